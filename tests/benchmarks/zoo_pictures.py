"""Pictures with classes for the networks of `zoo.py`: small sets of many kinds, from packages or drawn.

Every set is a function from a seed to uint8 pictures (H, W, 3) or (H, W) and class indices, shuffled. Sets
whose Debian package is not installed raise `MissingPackageError`, which names it.
"""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kit import samples
from kit._arrays import Pixels

Set = tuple[list[Pixels], list[int]]

STAMPS = Path("/usr/share/tuxpaint/stamps")
EMOJI = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
ICONS = Path("/usr/share/icons/oxygen/base")


class MissingPackageError(Exception):
    """A Debian package that a set needs is not installed."""


def digits(side):
    """scikit-learn's handwritten digits, light on dark, enlarged."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pictures = np.round(data.images * 255 / 16).astype(np.uint8)
    return [_resized(one, side) for one in pictures], data.target.tolist()


def faces(side):
    """scikit-image's part of Labeled Faces in the Wild: 100 faces and 100 other crops, grey."""
    import skimage.data

    data = np.load(Path(skimage.data.__file__).parent / "lfw_subset.npy")
    pictures = np.round(data * 255).astype(np.uint8)
    return [_resized(one, side) for one in pictures], [
        int(place >= 100) for place in range(len(pictures))
    ]


def textures(side):
    """Crops of scikit-image's brick, grass and gravel, grey."""
    import skimage.data

    whole = [getattr(skimage.data, name)() for name in ("brick", "grass", "gravel")]
    return _crops([np.asarray(one) for one in whole], side, 250)


def crops(side):
    """Crops of eight bundled photographs, coloured: which of them is it from?"""
    names = (
        "hens",
        "dahlia",
        "lake",
        "toucan",
        "room",
        "pavilion",
        "panda",
        "street_at_sunset",
    )
    found = {
        photo.name.split(".")[0]: photo.pixels
        for photo in samples.photos("photographs")
    }
    return _crops([found[name] for name in names], side, 120)


def clothes(side):
    """Part of the bundled Fashion-MNIST, grey, light on black."""
    pictures, labels = samples.fashion_mnist_arrays("train")
    return [_resized(one, side) for one in pictures[3000:4500]], labels[
        3000:4500
    ].tolist()


def tinted_clothes(side):
    """The same, each in a colour near that of its class."""
    random = np.random.default_rng(5)
    tints = random.uniform(0.25, 1, (10, 3))
    pictures, labels = clothes(side)
    near = [
        np.clip(tints[label] + random.normal(0, 0.1, 3), 0.1, 1) for label in labels
    ]
    pairs = zip(pictures, near, strict=True)
    return [
        np.round(one[..., None] * tint).astype(np.uint8) for one, tint in pairs
    ], labels


def letters(side):
    """Ten letters in ten typefaces, dark on light paper, in the colours of ink."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    names = (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSerif",
        "DejaVuSerif-Italic",
        "DejaVuSansMono",
    )
    names = (
        *names,
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "cmr10",
        "cmss10",
    )
    random, found, labels = np.random.default_rng(7), [], []
    for _ in range(1200):
        label = int(random.integers(10))
        size = int(side * random.uniform(0.5, 0.8))
        font = ImageFont.truetype(
            str(folder / f"{names[int(random.integers(len(names)))]}.ttf"), size
        )
        paper = tuple(int(level) for level in random.integers(200, 256, 3))
        ink = (
            int(random.integers(0, 60)),
            int(random.integers(0, 80)),
            int(random.integers(60, 160)),
        )
        image = Image.new("RGB", (side, side), paper)
        middle = tuple(side / 2 + random.uniform(-0.1, 0.1) * side for _ in range(2))
        ImageDraw.Draw(image).text(middle, "ABDEGKMRSW"[label], ink, font, anchor="mm")
        found.append(np.asarray(image))
        labels.append(label)
    return found, labels


def shapes(side):
    """Discs, squares, triangles and rings in any colours on dark ground with some noise."""
    random, found, labels = np.random.default_rng(9), [], []
    for _ in range(1200):
        label = int(random.integers(4))
        image = Image.new(
            "RGB",
            (side, side),
            tuple(int(level) for level in random.integers(0, 90, 3)),
        )
        draw, radius = ImageDraw.Draw(image), side * random.uniform(0.18, 0.38)
        x, y = random.uniform(0.35, 0.65, 2) * side
        colour = tuple(int(level) for level in random.integers(90, 256, 3))
        box = (x - radius, y - radius, x + radius, y + radius)
        if label == 0:
            draw.ellipse(box, colour)
        elif label == 1:
            draw.rectangle(box, colour)
        elif label == 2:
            draw.polygon(
                [(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)],
                colour,
            )
        else:
            draw.ellipse(box, outline=colour, width=max(int(radius / 3), 1))
        noise = random.normal(0, 8, (side, side, 3))
        found.append(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
        labels.append(label)
    return found, labels


def products_on_white(side):
    """Cut-out photographs of Tux Paint on white: animals, food, vehicles and others."""
    return _stamps(side, (255, 255, 255))


def products_on_dark(side):
    """The same on dark grey."""
    return _stamps(side, (24, 24, 28))


def emoji(side):
    """Noto's coloured emoji on pale ground, by the block of Unicode that they are from."""
    if not EMOJI.exists():
        raise MissingPackageError("fonts-noto-color-emoji")
    font = ImageFont.truetype(str(EMOJI), 109)
    blocks = (
        (0x1F600, 0x1F640),
        (0x1F400, 0x1F440),
        (0x1F345, 0x1F37F),
        (0x1F680, 0x1F6A8),
    )
    blocks = (*blocks, (0x1F3E0, 0x1F3F0))
    random, found, labels = np.random.default_rng(13), [], []
    for label, (first, last) in enumerate(blocks):
        for code in range(first, last):
            image = Image.new("RGBA", (136, 128), (0, 0, 0, 0))
            ImageDraw.Draw(image).text(
                (0, 0), chr(code), font=font, embedded_color=True
            )
            for _ in range(4):
                found.append(_placed(image, side, (245, 242, 230), random))
                labels.append(label)
    return found, labels


def icons(side):
    """Oxygen's icons on black, by their folder."""
    if not ICONS.exists():
        raise MissingPackageError("oxygen-icon-theme")
    random, found, labels = np.random.default_rng(17), [], []
    for label, kind in enumerate(("actions", "apps", "mimetypes", "places")):
        for path in sorted((ICONS / "64x64" / kind).glob("*.png"))[:200]:
            image = Image.open(path).convert("RGBA")
            found += [_placed(image, side, (0, 0, 0), random) for _ in range(2)]
            labels += [label] * 2
    return found, labels


_SETS = (digits, faces, textures, crops, clothes, tinted_clothes, letters, shapes)
_SETS = (*_SETS, products_on_white, products_on_dark, emoji, icons)
SETS = {function.__name__: function for function in _SETS}


def shuffled(name, side):
    """Pictures and labels of a set, in an order that is the same every time; copies stay together."""
    pictures, labels = SETS[name](side)
    copies = {
        "emoji": 4,
        "icons": 2,
        "products_on_white": 4,
        "products_on_dark": 4,
    }.get(name, 1)
    groups = np.random.default_rng(0).permutation(len(pictures) // copies)
    order = [group * copies + copy for group in groups for copy in range(copies)]
    return [pictures[place] for place in order], [labels[place] for place in order]


def _stamps(side, ground):
    if not STAMPS.exists():
        raise MissingPackageError("tuxpaint-stamps-default")
    random, found, labels = np.random.default_rng(11), [], []
    for label, paths in enumerate(_stamps_by_kind()):
        for path in paths:
            image = Image.open(path).convert("RGBA")
            for _ in range(4):
                found.append(_placed(image, side, ground, random))
                labels.append(label)
    return found, labels


def _stamps_by_kind():
    for kind in ("animals", "food", "vehicles", "household", "plants"):
        paths = sorted((STAMPS / kind).rglob("*.png"))
        yield [
            path
            for path in paths
            if not re.search(r"_mirror|_flip|cartoon|drawn", path.stem)
        ][:90]


def _placed(
    image,
    side,
    ground,
    random,
):
    """Put a picture with transparency somewhere near the middle of a ground, in a size that varies."""
    share = random.uniform(0.65, 0.95) * side / max(image.size)
    small = image.resize(
        [max(round(length * share), 1) for length in image.size],
        Image.Resampling.BICUBIC,
    )
    under = Image.new("RGB", (side, side), ground)
    moved = [int(random.integers(-side // 16, side // 16 + 1)) for _ in range(2)]
    pairs = zip(small.size, moved, strict=True)
    under.paste(small, tuple((side - each) // 2 + by for each, by in pairs), small)
    return np.asarray(under)


def _crops(whole, side, each):
    random, found, labels = np.random.default_rng(3), [], []
    for label, pixels in enumerate(whole):
        height, width = pixels.shape[:2]
        for _ in range(each):
            edge = int(random.integers(side, min(height, width, 2 * side) + 1))
            top, left = (
                int(random.integers(height - edge + 1)),
                int(random.integers(width - edge + 1)),
            )
            found.append(_resized(pixels[top : top + edge, left : left + edge], side))
            labels.append(label)
    return found, labels


def _resized(pixels, side):
    return np.asarray(
        Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    )


def saved_small(pixels):
    """The same picture from another source: reduced, saved as JPEG, and enlarged again."""
    image = Image.fromarray(pixels)
    buffer, size = BytesIO(), [max(length * 3 // 4, 1) for length in image.size]
    image.resize(size).convert("RGB").save(buffer, "JPEG", quality=70)
    again = Image.open(buffer).resize(image.size, Image.Resampling.BICUBIC)
    return np.asarray(again if pixels.ndim == 3 else again.convert("L"))
