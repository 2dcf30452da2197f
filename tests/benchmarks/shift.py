"""How often `kit.shift` ranks the altered property first: ``shift.py --json FILE [--draws 200]``.

Reference and photos are drawn without overlap from one pool, 200 and 100 pictures, so that they differ by
chance alone; then the photos are altered in one property, in two, or in none.

Pools
    ``clothes``: the last 1,000 held-back pictures of Fashion-MNIST. ``photographs``: 600 random crops, 160
    pixels a side, of every second bundled photograph, each an independent draw of photograph and place.
    Measures, thresholds and strengths of the alterations were chosen on training pictures of Fashion-MNIST
    and on crops of the other photographs.
Alterations
    `kit.Perturbation` and Pillow, in strengths that `alterations` does not use, one after the other for
    two properties; grain is noise that is the same in all channels. Under ``imagecorruptions``, the functions
    of that package (Hendrycks and Dietterich), which the kit has no part in. Saturation of grey pictures is
    left out, since nothing changes.
Counted
    ``first``: the altered property is ranked first among the shifted, or the two are the first two, in any
    order. ``only``: and nothing else is shifted. ``flagged``: anything is shifted at all. ``largest``: the
    rival that takes the property, or the two, with the largest |delta|.

``--classes`` counts something else: how often other classes are told from other pictures by what a network
answers. Reference and photos are drawn from 2,500 bundled training pictures (of the network of 500 pictures
only those) and from 2,500 test pictures of Fashion-MNIST that no part of the kit has seen; they come from
Debian's package ``dataset-fashion-mnist``, which is fetched. ``other classes`` and ``pictures`` are the
shares of the draws in which these are told, ``answers differ`` that in which the answers do, whatever for;
``none`` and ``none, halves`` (both sides from the test pictures) should have neither.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

import kit
from kit.classifier.reference import InputStatistics, measured_rows
from kit.perturbation.alterations import middle, responses
from kit.robustness.shifts import (
    Gathered,
    findings,
    judged,
)
from tests.benchmarks.calibration import unseen

REFERENCE, PHOTOS = 200, 100
SIDE = 160
TRIED = {"clothes": 64, "photographs": 32}
# About the same thing: which of them is ranked first does not matter.
SAME = {"jpeg_quality": "blocking", "colour_noise": "noise"}

CLASSES: Mapping[str, tuple[Sequence[int], Mapping[str, Any], int]] = {
    "none": (range(10), {}, 1000),
    "none, halves": (range(10), {}, 1000),
    "none, 100 photos": (range(10), {}, 100),
    "one class missing": ((0, 1, 2, 3, 4, 5, 6, 7, 8), {}, 1000),
    "one class missing, 300 photos": ((0, 1, 2, 3, 4, 5, 6, 7, 8), {}, 300),
    "half of the classes": (range(5), {}, 300),
    "one class alone": ((0,), {}, 200),
    "one class alone, 30 photos": ((7,), {}, 30),
    "one class alone, darker": ((0,), {"brightness": 0.6}, 200),
    "half of the classes, noise 12": (range(5), {"noise": 12}, 300),
    "darker": (range(10), {"brightness": 0.6}, 300),
    "brighter": (range(10), {"brightness": 1.6}, 300),
    "flatter": (range(10), {"contrast": 0.6}, 300),
    "noise 12": (range(10), {"noise": 12}, 300),
    "noise 40": (range(10), {"noise": 40}, 300),
    "blur 1": (range(10), {"blur": 1}, 300),
    "jpeg_quality 30": (range(10), {"jpeg_quality": 30}, 300),
    "darker, noise 14": (range(10), {"brightness": 0.55, "noise": 14}, 300),
}
"""Classes, what is done to the pictures, and how many photos."""

Alter = Callable[[kit.Photo], kit.Photo]
Properties = tuple[str, ...]


def image(function: Callable[[Image.Image], Image.Image]) -> Alter:
    return lambda photo: kit.Photo(np.asarray(function(Image.fromarray(photo.pixels))))


def gained(red: float, green: float, blue: float) -> Alter:
    gains = np.array([red, green, blue])
    return lambda photo: kit.Photo(np.clip(np.rint(photo.pixels * gains), 0, 255).astype(np.uint8))


def grain(deviation: float) -> Alter:
    def alter(photo: kit.Photo) -> kit.Photo:
        generator = np.random.default_rng([7, int(photo.pixels.sum(dtype=np.int64))])
        noise = generator.normal(0, deviation, (*photo.size, 1))
        return kit.Photo(np.clip(np.rint(photo.pixels + noise), 0, 255).astype(np.uint8))

    return alter


def resized(factor: float) -> Alter:
    return image(
        lambda picture: picture.resize(
            (round(picture.width * factor), round(picture.height * factor)), Image.Resampling.LANCZOS
        )
    )


def coloured(factor: float) -> Alter:
    return image(lambda picture: ImageEnhance.Color(picture).enhance(factor))


def warmed(gain: float) -> Alter:
    return gained(gain**0.5, 1, gain**-0.5)


def perturbed(**settings: Any) -> Alter:
    return kit.Perturbation(**settings, seed=3).apply


def after(first: Alter, second: Alter) -> Alter:
    return lambda photo: second(first(photo))


def pairs(colour: bool) -> Mapping[str, tuple[Properties, Alter]]:
    """Two properties at once, in the order of a camera: light, lens, noise, file."""
    found = {
        "brightness 0.55, noise 14": ("brightness noise", perturbed(brightness=0.55, noise=14)),
        "brightness 0.4, noise 8": ("brightness noise", perturbed(brightness=0.4, noise=8)),
        "brightness 1.5, noise 10": ("brightness noise", perturbed(brightness=1.5, noise=10)),
        "brightness 0.55, grain 14": ("brightness noise", after(perturbed(brightness=0.55), grain(14))),
        "brightness 0.5, blur 1": ("brightness sharpness", perturbed(brightness=0.5, blur=1)),
        "brightness 0.55, jpeg_quality 40": (
            "brightness blocking",
            perturbed(brightness=0.55, jpeg_quality=40),
        ),
        "contrast 0.6, noise 10": ("contrast noise", perturbed(contrast=0.6, noise=10)),
        "contrast 0.6, blur 1": ("contrast sharpness", perturbed(contrast=0.6, blur=1)),
        "blur 1, noise 10": ("sharpness noise", perturbed(blur=1, noise=10)),
        "blur 1, jpeg_quality 50": ("sharpness blocking", perturbed(blur=1, jpeg_quality=50)),
        "noise 20, jpeg_quality 80": ("noise blocking", perturbed(noise=20, jpeg_quality=80)),
        "noise 10, jpeg_quality 50": ("noise blocking", perturbed(noise=10, jpeg_quality=50)),
        "grain 10, jpeg_quality 50": ("noise blocking", after(grain(10), perturbed(jpeg_quality=50))),
        "warmth 1.25, brightness 0.6": ("warmth brightness", after(warmed(1.25), perturbed(brightness=0.6))),
        "size 0.6, noise 10": ("size noise", after(resized(0.6), perturbed(noise=10))),
        "size 1.6, brightness 0.6": ("size brightness", after(resized(1.6), perturbed(brightness=0.6))),
    }
    if colour:
        found["warmth 1.25, brightness 1.4"] = (
            "warmth brightness",
            after(warmed(1.25), perturbed(brightness=1.4)),
        )
        found["warmth 1.25, blur 1.3"] = ("warmth sharpness", after(warmed(1.25), perturbed(blur=1.3)))
        found["saturation 0.4, brightness 0.6"] = (
            "saturation brightness",
            after(coloured(0.4), perturbed(brightness=0.6)),
        )
    return {name: (tuple(both.split()), function) for name, (both, function) in found.items()}


def alterations(colour: bool) -> Mapping[str, tuple[Properties, Alter]]:
    """Name to the properties and the function."""
    found: dict[str, tuple[str, Alter]] = {
        "none": ("", lambda photo: photo),
        "grain 10": ("noise", grain(10)),
    }
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
        found[f"warmth {gain}"] = ("warmth", warmed(gain))
    for gain in (0.85, 1.2):
        found[f"tint {gain}"] = ("tint", gained(1, gain, 1))
    for factor in (0.0, 0.5, 1.7) if colour else ():
        found[f"saturation {factor}"] = ("saturation", coloured(factor))
    for factor in (0.6, 1.6):
        found[f"size {factor}"] = ("size", resized(factor))
    found["aspect 0.7"] = (
        "aspect",
        image(
            lambda picture: picture.resize(
                (round(picture.width * 0.7**0.5), round(picture.height / 0.7**0.5)), Image.Resampling.LANCZOS
            )
        ),
    )
    return {name: (tuple(one.split()), function) for name, (one, function) in found.items()}


def corruptions() -> Mapping[str, tuple[Properties, Alter]]:
    # imagecorruptions asks pkg_resources, which setuptools no longer brings, for the paths of its own files,
    # and scikit-image now says channel_axis.
    module = ModuleType("pkg_resources")
    module.resource_filename = lambda package, name: str(  # type: ignore[attr-defined]
        resources.files(package.rpartition(".")[0]).joinpath(name)
    )
    sys.modules.setdefault("pkg_resources", module)
    from imagecorruptions import corrupt, corruptions  # noqa: PLC0415 (needs the line above)
    from skimage.filters import gaussian  # noqa: PLC0415 (comes with it)

    corruptions.gaussian = lambda picture, sigma, *, multichannel=False, **options: gaussian(
        picture, sigma, channel_axis=-1 if multichannel else None, **options
    )
    return {
        f"imagecorruptions {name} {severity}": (
            (quantity,),
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


def pools(tuning: bool) -> dict[str, tuple[list[kit.Photo], Mapping[str, tuple[Properties, Alter]]]]:
    pictures = kit.samples.fashion_mnist_arrays("train")[0][:1000]
    clothes = (
        [kit.Photo.from_array(one) for one in pictures]
        if tuning
        else list(kit.samples.photos("fashion_mnist")[1000:])
    )
    photographs = crops(kit.samples.photos("photographs")[0 if tuning else 1 :: 2], 600, 7)
    return {
        "clothes": (clothes, {**alterations(colour=False), **pairs(colour=False)}),
        "photographs": (photographs, {**alterations(colour=True), **corruptions(), **pairs(colour=True)}),
    }


def trial(
    pool: Sequence[kit.Photo], altered: Mapping[str, tuple[Properties, Alter]], tried: int, draws: int
) -> dict[str, dict[str, Any]]:
    """Count over random draws, the same ones for every alteration."""
    plain = measured_rows(pool)
    # The first pictures respond in place of those of each reference, which saves an hour.
    moved = np.stack([responses([middle(photo)]) for photo in pool[:200]])
    result = {}
    for name, (properties, function) in altered.items():
        np.random.seed(1)  # noqa: NPY002 (imagecorruptions draws from the global state)
        rows = plain if name == "none" else measured_rows([function(photo) for photo in pool])
        generator = np.random.default_rng(1)
        counts = {"first": 0, "only": 0, "flagged": 0, "largest": 0}
        others: dict[str, int] = {}
        for _ in range(draws):
            order = generator.permutation(len(pool))
            chosen = generator.choice(len(moved), tried, replace=False)
            with np.errstate(invalid="ignore"):
                response = moved[chosen].mean(axis=0)
            statistics = InputStatistics(plain[order[:REFERENCE]], response, REFERENCE)
            found = findings(statistics, rows[order[REFERENCE : REFERENCE + PHOTOS]])
            shifted = distinct(one.quantity for one in found if one.verdict == "shifted")
            counts["flagged"] += bool(shifted)
            first = set(shifted[: len(properties)]) == set(properties)
            counts["first"] += first
            counts["only"] += set(shifted) == set(properties)
            ranked = sorted(found, key=lambda one: -abs(np.nan_to_num(one.difference.delta)))
            largest = distinct(one.quantity for one in ranked)[: len(properties)]
            counts["largest"] += set(largest) == set(properties)
            if shifted and not first:
                taken = " ".join(shifted[:2] if len(properties) > 1 else shifted[:1])
                others[taken] = others.get(taken, 0) + 1
        result[name] = {key: value / draws for key, value in counts.items()} | {"properties": properties}
        shown = ", ".join(f"{other} {count}" for other, count in others.items())
        shares = "  ".join(f"{key} {result[name][key]:6.1%}" for key in counts)
        print(f"  {name:36} {shares}  {shown}", flush=True)
    return result


def answered(draws: int) -> dict[str, dict[str, float]]:
    """Count what is said of photos with other classes, with other pictures, with both, and with neither."""
    unseen_photos, labels = unseen()
    others, labels = unseen_photos[:2500], labels[:2500]
    ours = [kit.Photo.from_array(one) for one in kit.samples.fashion_mnist_arrays("train")[0][:2500]]
    plain, theirs = measured_rows(ours), measured_rows(others)
    response = responses([middle(photo) for photo in ours[:64]])
    result = {}
    for network, learned in {"fashion_mnist": 2500, "fashion_mnist_500": 500}.items():
        classifier = kit.samples.classifier(network)
        known = (ours[:learned], plain[:learned], classifier.probabilities(ours[:learned]).argmax(axis=1))
        for name, (classes, settings, most) in CLASSES.items():
            altered, rows = others, theirs
            if settings:
                altered = [kit.Perturbation(**settings, seed=3).apply(photo) for photo in others]
                rows = measured_rows(altered)
            pool = (altered, rows, classifier.probabilities(altered).argmax(axis=1))
            kept = np.flatnonzero(np.isin(labels, classes))
            counts = {"other classes": 0, "pictures": 0, "answers differ": 0}
            times = draws if name.startswith("none") else max(draws // 8, 1)
            for draw in range(times):
                order = np.random.default_rng(draw).permutation(len(kept))
                half = "halves" in name
                first = kept[order[most : 2 * most]] if half else np.arange(learned)
                if not half:
                    first = np.random.default_rng(draw).permutation(learned)[:1000]
                training = drawn(*(pool if half else known), first)
                photos = drawn(*pool, kept[order[:most]])
                statistics = InputStatistics(training.rows, response, len(training.rows))
                found, _, answers, _ = judged(statistics, training, photos, classifier)
                assert answers is not None
                counts["other classes"] += answers.verdict == "other_classes"
                counts["answers differ"] += answers.verdict in ("other_classes", "follows")
                counts["pictures"] += any(one.verdict == "shifted" for one in found)
            result[f"{network}, {name}"] = {key: value / times for key, value in counts.items()}
            shares = "  ".join(f"{key} {value / times:6.1%}" for key, value in counts.items())
            print(f"  {network:18} {name:36} {times:4} draws  {shares}", flush=True)
    return result


def drawn(photos: Sequence[kit.Photo], rows: Any, answers: Any, places: Any) -> Gathered:
    """Return some pictures as `kit.shift` has them once they are measured and answered."""
    kept = tuple(photos[place] for place in places[:64])
    return Gathered(rows[places], kept, tuple(places.tolist()), answers[places], len(places))


def distinct(quantities: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(SAME.get(one, one) for one in quantities))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--tuning", action="store_true", help="the pictures on which thresholds were chosen")
    parser.add_argument("--pools", nargs="*", default=["clothes", "photographs"])
    parser.add_argument(
        "--classes", action="store_true", help="tell other classes from other pictures instead"
    )
    options = parser.parse_args()
    results: dict[str, Any] = {"classes": answered(options.draws)} if options.classes else {}
    found = {} if options.classes else pools(options.tuning)
    for name in () if options.classes else options.pools:
        print(f"{name}, {options.draws} draws of {REFERENCE} against {PHOTOS}")
        results[name] = trial(*found[name], TRIED[name], options.draws)
        for count, words in ((1, "one property"), (2, "two properties")):
            cases = [case for case in results[name].values() if len(case["properties"]) == count]
            first, only = (np.mean([case[key] for case in cases]) for key in ("first", "only"))
            print(f"  {words:36} first {first:6.1%}  only {only:6.1%}")
        print(f"  {'none':36} not flagged {1 - results[name]['none']['flagged']:5.1%}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
