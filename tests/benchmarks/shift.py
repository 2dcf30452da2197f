"""How often `kit.shift` ranks the altered property first: ``shift.py --json FILE [--draws 200]``.

Reference and photos are drawn without overlap from one pool, 200 and 100 pictures, so that they differ by
chance alone; then the photos are altered in one property, or in none.

Pools
    ``clothes``: the last 1,000 held-back pictures of Fashion-MNIST. ``photographs``: 600 random crops, 160
    pixels a side, of every second bundled photograph, each an independent draw of photograph and place.
    Measures, thresholds and strengths of the alterations were chosen on training pictures of Fashion-MNIST
    and on crops of the other photographs.
Alterations
    `kit.Perturbation` and Pillow, in strengths that `kit.alterations` does not use; and, under
    ``imagecorruptions``, the functions of that package (Hendrycks and Dietterich), which the kit has no part
    in, where it is installed. Saturation of grey pictures is left out, since nothing changes.
Counted
    ``first``: the altered property is ranked first among the shifted. ``flagged``: anything is shifted at
    all. ``largest``: the rival that takes the property with the largest |delta|.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

import kit  # noqa: E402
from kit.alterations import middle, responses  # noqa: E402
from kit.input_statistics import InputStatistics, measured_rows  # noqa: E402
from kit.shifting import findings  # noqa: E402

REFERENCE, PHOTOS = 200, 100
SIDE = 160
TRIED = {"clothes": 64, "photographs": 32}
# About the same thing: which of them is ranked first does not matter.
SAME = {"jpeg_quality": "blocking", "colour_noise": "noise"}

Alter = Callable[[kit.Photo], kit.Photo]


def image(function: Callable[[Image.Image], Image.Image]) -> Alter:
    return lambda photo: kit.Photo(np.asarray(function(Image.fromarray(photo.pixels))))


def gained(red: float, green: float, blue: float) -> Alter:
    gains = np.array([red, green, blue])
    return lambda photo: kit.Photo(np.clip(np.rint(photo.pixels * gains), 0, 255).astype(np.uint8))


def alterations(colour: bool) -> Mapping[str, tuple[str, Alter]]:
    """Name to the property and the function."""
    found: dict[str, tuple[str, Alter]] = {"none": ("", lambda photo: photo)}
    for field, quantity, values in (
        ("brightness", "brightness", (0.4, 0.7, 1.35, 1.7)),
        ("contrast", "contrast", (0.4, 0.7, 1.35, 1.7)),
        ("noise", "noise", (4, 10, 20)),
        ("blur", "sharpness", (0.7, 1.3, 2)),
        ("jpeg_quality", "blocking", (20, 50, 80)),
    ):
        for value in values:
            found[f"{field} {value}"] = (quantity, kit.Perturbation(**{field: value}).apply)
    for gain in (0.8, 1.25):
        found[f"warmth {gain}"] = ("warmth", gained(gain**0.5, 1, gain**-0.5))
    for gain in (0.85, 1.2):
        found[f"tint {gain}"] = ("tint", gained(1, gain, 1))
    for factor in (0.0, 0.5, 1.7) if colour else ():
        found[f"saturation {factor}"] = (
            "saturation",
            image(lambda picture, factor=factor: ImageEnhance.Color(picture).enhance(factor)),
        )
    for factor in (0.6, 1.6):
        found[f"size {factor}"] = (
            "size",
            image(
                lambda picture, factor=factor: picture.resize(
                    (round(picture.width * factor), round(picture.height * factor)), Image.Resampling.LANCZOS
                )
            ),
        )
    found["aspect 0.7"] = (
        "aspect",
        image(
            lambda picture: picture.resize(
                (round(picture.width * 0.7**0.5), round(picture.height / 0.7**0.5)), Image.Resampling.LANCZOS
            )
        ),
    )
    return found


def corruptions() -> Mapping[str, tuple[str, Alter]]:
    try:
        from imagecorruptions import corrupt  # noqa: PLC0415 (optional)
    except ImportError:
        return {}
    return {
        f"imagecorruptions {name} {severity}": (
            quantity,
            lambda photo, name=name, severity=severity: kit.Photo(
                np.asarray(corrupt(photo.pixels, corruption_name=name, severity=severity), np.uint8)
            ),
        )
        for name, quantity in (
            ("gaussian_noise", "noise"),
            ("shot_noise", "noise"),
            ("defocus_blur", "sharpness"),
            ("gaussian_blur", "sharpness"),
            ("jpeg_compression", "blocking"),
            ("contrast", "contrast"),
            ("saturate", "saturation"),
        )
        for severity in (1, 3)
    }


def crops(photos: Sequence[kit.Photo], count: int, seed: int) -> list[kit.Photo]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        pixels = photos[generator.integers(len(photos))].pixels
        top, left = (generator.integers(length - SIDE + 1) for length in pixels.shape[:2])
        found.append(kit.Photo(pixels[top : top + SIDE, left : left + SIDE]))
    return found


def pools() -> dict[str, tuple[list[kit.Photo], Mapping[str, tuple[str, Alter]]]]:
    return {
        "clothes": (list(kit.samples.photos("fashion_mnist")[1000:]), alterations(colour=False)),
        "photographs": (
            crops(kit.samples.photos("photographs")[1::2], 600, 7),
            {**alterations(colour=True), **corruptions()},
        ),
    }


def trial(
    pool: Sequence[kit.Photo], altered: Mapping[str, tuple[str, Alter]], tried: int, draws: int
) -> dict[str, dict[str, Any]]:
    """Count over random draws, the same ones for every alteration."""
    plain = measured_rows(pool)
    # The first pictures respond in place of those of each reference, which saves an hour.
    moved = np.stack([responses([middle(photo)]) for photo in pool[:200]])
    result = {}
    for name, (quantity, function) in altered.items():
        rows = plain if name == "none" else measured_rows([function(photo) for photo in pool])
        generator = np.random.default_rng(1)
        counts = {"first": 0, "flagged": 0, "largest": 0}
        others: dict[str, int] = {}
        for _ in range(draws):
            order = generator.permutation(len(pool))
            chosen = generator.choice(len(moved), tried, replace=False)
            with np.errstate(invalid="ignore"):
                response = moved[chosen].mean(axis=0)
            statistics = InputStatistics(plain[order[:REFERENCE]], response, REFERENCE)
            found = findings(statistics, rows[order[REFERENCE : REFERENCE + PHOTOS]])
            shifted = [SAME.get(one.quantity, one.quantity) for one in found if one.verdict == "shifted"]
            counts["flagged"] += bool(shifted)
            counts["first"] += shifted[:1] == [quantity]
            largest = max(found, key=lambda one: abs(np.nan_to_num(one.difference.delta)))
            counts["largest"] += SAME.get(largest.quantity, largest.quantity) == quantity
            if shifted and shifted[0] != quantity:
                others[shifted[0]] = others.get(shifted[0], 0) + 1
        result[name] = {key: value / draws for key, value in counts.items()} | {"property": quantity}
        shown = ", ".join(f"{other} {count}" for other, count in others.items())
        print(
            f"  {name:36} first {result[name]['first']:5.1%}  flagged {result[name]['flagged']:6.1%}"
            f"  largest {result[name]['largest']:6.1%}  {shown}",
            flush=True,
        )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--pools", nargs="*", default=["clothes", "photographs"])
    options = parser.parse_args()
    found = pools()
    results = {}
    for name in options.pools:
        print(f"{name}, {options.draws} draws of {REFERENCE} against {PHOTOS}")
        results[name] = trial(*found[name], TRIED[name], options.draws)
        altered = [case for key, case in results[name].items() if key != "none"]
        mean = np.mean([case["first"] for case in altered])
        print(f"  {'all alterations':36} first {mean:5.1%}")
        print(f"  {'none':36} not flagged {1 - results[name]['none']['flagged']:5.1%}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
