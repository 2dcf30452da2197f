"""How many planted duplicates `kit.find_duplicates` finds: ``leakage.py --json FILE [--seeds 0,1,2]``.

Pictures
    ``fashion_mnist``: the 10,000 bundled training pictures, 28 x 28, grey, as one collection with 200 planted
    copies. ``across``: 9,000 of them as training pictures, and 1,000 others with 200 copies of training
    pictures as validation pictures. ``tiles``: 64 x 64 tiles of the bundled photographs, in colour, as PNG
    files in two folders, 200 copies in the second.
Planted
    50 copies each, of pictures drawn at random without repetition: ``crop`` (80 to 95 % of each side kept at
    a random place, resized back by bicubic or bilinear interpolation), ``jpeg`` (quality 30 to 90),
    ``brightness`` (0.5 to 1.5) and ``flip`` (left to right).
Counted
    ``found``: planted copies that are paired with their original. ``true``: pairs of two pictures that
    `JUDGED` lists, or their copies: duplicates that the data set itself has, looked at one by one, enlarged.
    ``false``: all other pairs.
Threshold
    Up to 24 of 256 bits may differ. It was chosen on the bundled images, training against test images of
    Fashion-MNIST among them, so false pairs may be more frequent elsewhere.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

import kit  # noqa: E402
from kit.validation.duplicates import Duplicates  # noqa: E402

KINDS = ("crop", "jpeg", "brightness", "flip")
COPIES = 200
JUDGED = {(1928, 3704), (3568, 5448)}
"""Places of bundled training pictures that show the same garment, in another shade."""
TILE = 64
WIDTHS = {"seed": 5, "among": 7, "found": 9, **dict.fromkeys(KINDS, 11), "true": 6, "false": 6, "seconds": 9}
"""Columns of the printed table."""


def changed(pixels: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """A copy of a picture as it may turn up again."""
    image = Image.fromarray(pixels)
    if kind == "crop":
        width, height = image.size
        kept = rng.uniform(0.8, 0.95)
        columns, rows = round(width * kept), round(height * kept)
        left, top = rng.integers(0, width - columns + 1), rng.integers(0, height - rows + 1)
        filters = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
        part = image.crop((left, top, left + columns, top + rows))
        image = part.resize((width, height), filters[rng.integers(2)])
    elif kind == "jpeg":
        file = BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(30, 91)))
        image = Image.open(file)
    elif kind == "brightness":
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.5, 1.5))
    elif kind == "flip":
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image)


def planted(
    pictures: np.ndarray, rng: np.random.Generator, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Copies and the places of their originals, which are drawn from `among`."""
    originals = rng.choice(among, COPIES, replace=False)
    copies = [changed(pictures[place], KINDS[n % len(KINDS)], rng) for n, place in enumerate(originals)]
    return np.stack(copies), originals


def tiles() -> np.ndarray:
    """64 x 64 tiles of the bundled photographs, none overlapping another, without plain ones."""
    found = []
    for photo in kit.samples.photos("photographs"):
        height, width = (side // TILE * TILE for side in photo.size)
        grid = photo.pixels[:height, :width].reshape(height // TILE, TILE, width // TILE, TILE, 3)
        found.append(grid.swapaxes(1, 2).reshape(-1, TILE, TILE, 3))
    every = np.concatenate(found)
    return every[every.std(axis=(1, 2, 3)) > 20]


def write(folder: Path, pictures: np.ndarray) -> Path:
    """Save pictures as PNG files in order."""
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:05}.png", compress_level=1)
    return folder


def count(duplicates: Duplicates, kinds: dict[int, str], source: Callable[[int], int]) -> dict[str, Any]:
    """Pairs that are planted, by kind; that the data set has itself; and false ones.

    `kinds` is the change of each planted copy, by the place of the second of a pair; `source` is the place of
    the picture that a second is, or is a copy of.
    """
    found = dict.fromkeys(KINDS, 0)
    own, false = 0, []
    for pair in duplicates.pairs:
        first = pair.first if len(duplicates.sizes) == 2 else source(pair.first)
        pictured = (first, source(pair.second))
        if pictured[0] == pictured[1]:
            found[kinds[pair.second]] += 1
        elif tuple(sorted(pictured)) in JUDGED:
            own += 1
        else:
            false.append([*pictured, pair.distance])
    pairs = len(duplicates.pairs)
    return {
        "found": sum(found.values()),
        **found,
        "true": own,
        "false": len(false),
        "pairs": pairs,
        "which": false,
    }


def measure(pictures: str, seed: int) -> dict[str, Any]:
    """Plant, search and count once."""
    rng = np.random.default_rng(seed)
    bundled = kit.samples.fashion_mnist_arrays("train")[0]
    every = rng.permutation(tiles()) if pictures == "tiles" else bundled
    size = len(every)
    trained = size if pictures == "fashion_mnist" else size * 9 // 10
    copies, originals = planted(every[:trained], rng, np.arange(trained))
    shift = 0 if pictures == "fashion_mnist" else trained
    kinds = {size - shift + n: KINDS[n % len(KINDS)] for n in range(COPIES)}

    def source(second: int) -> int:
        return int(originals[second - size + shift]) if second in kinds else second + shift

    if pictures == "fashion_mnist":
        seconds, duplicates = timed(np.concatenate([every, copies]))
    elif pictures == "across":
        seconds, duplicates = timed(every[:trained], np.concatenate([every[trained:], copies]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            training = write(Path(folder) / "training", every[:trained])
            validation = write(Path(folder) / "validation", np.concatenate([every[trained:], copies]))
            seconds, duplicates = timed(training, validation)
    counted = count(duplicates, kinds, source)
    return {"pictures": pictures, "seed": seed, "seconds": seconds, "among": size, **counted}


def timed(*collections: Any) -> tuple[float, Duplicates]:
    """Seconds, and what was found."""
    before = time.perf_counter()
    duplicates = kit.find_duplicates(*collections, progress=False)
    return time.perf_counter() - before, duplicates


def main() -> None:
    """Measure, print the table, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the report is written")
    parser.add_argument("--seeds", default="0,1,2", help="one run of each kind for each")
    parser.add_argument("--pictures", default="fashion_mnist,across,tiles")
    options = parser.parse_args()
    rows = []
    heads = "".join(f"{head:>{width}}" for head, width in WIDTHS.items())
    print(f"{'pictures':13}{heads}")
    for pictures in options.pictures.split(","):
        for seed in map(int, options.seeds.split(",")):
            row = measure(pictures, seed)
            rows.append(row)
            shown = row | {"found": f"{row['found']}/{COPIES}", "seconds": f"{row['seconds']:.1f}"}
            values = "".join(f"{shown[head]!s:>{width}}" for head, width in WIDTHS.items())
            print(f"{pictures:13}{values}", flush=True)
    if options.json:
        machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        text = json.dumps({"machine": machine, "rows": rows}, indent=1)
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
