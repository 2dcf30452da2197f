"""Make ``data/photographs/`` and its index from freely licensed photographs.

Run it from the project's root, on Debian 13 with ``npm``, in an environment with the build packages
(``pip install -e ".[data]"``)::

    python -m data.build.photographs

``photographs.csv`` lists the originals. Every picture is scaled down and saved as JPEG without metadata. The
special files are made from ordinary ones; each shows one way in which a file can be read wrongly. Classes
were checked by eye: where the network disagrees, it is the network that is wrong.
"""

import csv
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from data.build.sources import DATA, read

FOLDER = DATA / "photographs"
LONGEST_SIDE = 512
QUALITY = 85
EXIF_ORIENTATION, TURN_CLOCKWISE = 0x0112, 6
GREEN_SCREEN = (0, 128, 0)

Row = dict[str, str]
Entry = dict[str, str | int | None]


def originals() -> dict[str, Row]:
    """Rows of ``photographs.csv`` by the name of the file to write."""
    with (
        Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as stream
    ):
        return {row["file"]: row for row in csv.DictReader(stream)}


def original(row: Row) -> Image.Image:
    """Return the photograph as it came, in RGB or grey."""
    image = Image.open(io.BytesIO(read(row["package"], row["path"])))
    return image if image.mode == "L" else image.convert("RGB")


def scaled(row: Row) -> Image.Image:
    """Return the photograph scaled down to `LONGEST_SIDE`; smaller ones as they are."""
    image = original(row)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return image


def ordinary_entry(row: Row) -> Entry:
    """Return what the index says of an ordinary photograph."""
    label = row["imagenet_class"]
    return {
        "file": row["file"],
        "title": row["title"],
        "kind": "photograph",
        "imagenet_class": int(label) if label else None,
        "author": row["author"],
        "licence": row["licence"],
        "source": row["source"],
        "package": row["package"],
        "original": row["path"].rpartition("/")[2],
    }


def cut_out(image: Image.Image) -> Image.Image:
    """Make the white around a convex thing transparent and leave green-screen colour under it."""
    rgb = np.asarray(image)
    coloured = rgb.min(axis=2) < 250

    def between(mask: np.ndarray, axis: int) -> np.ndarray:
        flipped = np.flip(np.maximum.accumulate(np.flip(mask, axis), axis), axis)
        return np.maximum.accumulate(mask, axis) & flipped

    inside = between(coloured, 0) & between(coloured, 1)
    pixels = np.where(inside[..., None], rgb, np.uint8(GREEN_SCREEN))
    return Image.fromarray(np.dstack([pixels, inside * np.uint8(255)]), "RGBA")


def half_exposed(image: Image.Image) -> Image.Image:
    """Return a grey picture in 16 bits that uses the lower half of them."""
    levels = np.asarray(image.convert("F").resize((240, 240), Image.Resampling.BOX)) * (
        0.5 * 257
    )
    return Image.fromarray(np.rint(levels).astype(np.uint16))


def write_special(rows: dict[str, Row]) -> list[Entry]:
    """Write the special files and return their index entries."""
    # Lossless, since the colour under transparent pixels is the point.
    exact = {"lossless": True, "exact": True, "method": 6}
    cut_out(scaled(rows["volleyball.jpg"])).save(FOLDER / "alpha.webp", **exact)

    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = TURN_CLOCKWISE
    sideways = scaled(rows["koala.jpg"]).transpose(Image.Transpose.ROTATE_90)
    sideways.save(FOLDER / "exif.jpg", quality=QUALITY, exif=exif)

    scaled(rows["ladybird.jpg"]).convert("CMYK").save(
        FOLDER / "cmyk.jpg", quality=QUALITY
    )

    half_exposed(original(rows["tripod.jpg"])).save(
        FOLDER / "depth16.png", optimize=True
    )

    wide = original(rows["spoonbills.jpg"]).crop((0, 80, 1920, 720))
    wide.resize((768, 256), Image.Resampling.LANCZOS).save(
        FOLDER / "wide.jpg", quality=QUALITY
    )

    titles = {
        "alpha.webp": (
            "volleyball.jpg",
            "Volleyball cut out, green under the transparent pixels",
        ),
        "exif.jpg": ("koala.jpg", "Koala stored sideways, with an EXIF orientation"),
        "cmyk.jpg": ("ladybird.jpg", "Ladybird in CMYK"),
        "depth16.png": (
            "tripod.jpg",
            "Photographer with tripod, 16 bits, half exposed",
        ),
        "wide.jpg": ("spoonbills.jpg", "Spoonbills, three times as wide as high"),
    }
    return [
        {
            **ordinary_entry(rows[source]),
            "file": file,
            "title": title,
            "kind": "special",
            "made_from": source,
        }
        for file, (source, title) in titles.items()
    ]


def main() -> None:
    """Write the photographs, the special files and the index."""
    FOLDER.mkdir(exist_ok=True)
    rows = originals()
    for file, row in rows.items():
        scaled(row).save(
            FOLDER / file, quality=QUALITY, optimize=True, progressive=True
        )
    entries = [ordinary_entry(row) for row in rows.values()] + write_special(rows)
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "index.json").write_text(text, encoding="utf-8")
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{len(entries)} photographs, {total:,} bytes")


if __name__ == "__main__":
    main()
