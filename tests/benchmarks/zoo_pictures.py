"""Pictures with classes for the networks of `zoo.py`: small sets of many kinds, from packages or drawn.

Every set is a function from a side to pairs of uint8 pictures (H, W, 3) or (H, W) and class indices;
`shuffled` brings those to the side that are of another.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kit import samples
from kit.perturbation.physics import jpeg_quality

STAMPS = Path("/usr/share/tuxpaint/stamps")
EMOJI = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
ICONS = Path("/usr/share/icons/oxygen/base")
NEEDED = {
    "products_on_white": (STAMPS, "tuxpaint-stamps-default"),
    "products_on_dark": (STAMPS, "tuxpaint-stamps-default"),
    "emoji": (EMOJI, "fonts-noto-color-emoji"),
    "icons": (ICONS, "oxygen-icon-theme"),
}
"""What has to be there for a set, and the Debian package that it is from."""
COPIES = {"emoji": 4, "icons": 2, "products_on_white": 4, "products_on_dark": 4}


def digits(_side):
    """scikit-learn's handwritten digits, light on dark, enlarged."""
    from sklearn.datasets import load_digits

    data = load_digits()
    pictures = np.round(data.images * 255 / 16).astype(np.uint8)
    return zip(pictures, data.target.tolist(), strict=True)


def faces(_side):
    """scikit-image's part of Labeled Faces in the Wild: 100 faces and 100 other crops, grey."""
    import skimage.data

    data = np.load(Path(skimage.data.__file__).parent / "lfw_subset.npy")
    pictures = np.round(data * 255).astype(np.uint8)
    return zip(pictures, [0] * 100 + [1] * 100, strict=True)


def textures(side):
    """Crops of scikit-image's brick, grass and gravel, grey."""
    from skimage import data

    return _crops([data.brick(), data.grass(), data.gravel()], side, 250)


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
    return _crops([samples.photo(f"{name}.jpg").pixels for name in names], side, 120)


def clothes(_side):
    """Part of the bundled Fashion-MNIST, grey, light on black."""
    pictures, labels = samples.fashion_mnist_arrays("train")
    some = slice(3000, 4500)
    return zip(pictures[some], labels[some].tolist(), strict=True)


def tinted_clothes(side):
    """The same, each in a colour near that of its class."""
    random = np.random.default_rng(5)
    tints = random.uniform(0.25, 1, (10, 3))
    for picture, label in clothes(side):
        tint = np.clip(tints[label] + random.normal(0, 0.1, 3), 0.1, 1)
        grey = _resized(picture, side)[..., None]
        yield np.round(grey * tint).astype(np.uint8), label


def letters(side):
    """Ten letters in ten typefaces, dark on light paper, in the colours of ink."""
    import matplotlib as mpl

    folder = Path(mpl.get_data_path(), "fonts", "ttf")
    names = (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSerif",
        "DejaVuSerif-Italic",
        "DejaVuSansMono",
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "cmr10",
        "cmss10",
    )
    random = np.random.default_rng(7)
    for _ in range(1200):
        label = int(random.integers(10))
        size = int(side * random.uniform(0.5, 0.8))
        name = names[random.integers(len(names))]
        font = ImageFont.truetype(folder / f"{name}.ttf", size)
        paper = tuple(random.integers(200, 256, 3))
        ink = tuple(random.integers((0, 0, 60), (60, 80, 160)))
        image = Image.new("RGB", (side, side), paper)
        middle = tuple(side / 2 + random.uniform(-0.1, 0.1, 2) * side)
        ImageDraw.Draw(image).text(middle, "ABDEGKMRSW"[label], ink, font, anchor="mm")
        yield np.asarray(image), label


def shapes(side):
    """Discs, squares, triangles and rings in any colours on dark ground with some noise."""
    random = np.random.default_rng(9)
    for _ in range(1200):
        label = int(random.integers(4))
        image = Image.new("RGB", (side, side), tuple(random.integers(0, 90, 3)))
        draw = ImageDraw.Draw(image)
        radius = side * random.uniform(0.18, 0.38)
        x, y = random.uniform(0.35, 0.65, 2) * side
        colour = tuple(random.integers(90, 256, 3))
        box = (x - radius, y - radius, x + radius, y + radius)
        triangle = [(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)]
        if label == 0:
            draw.ellipse(box, colour)
        elif label == 1:
            draw.rectangle(box, colour)
        elif label == 2:
            draw.polygon(triangle, colour)
        else:
            draw.ellipse(box, outline=colour, width=int(radius / 3))
        noise = random.normal(0, 8, (side, side, 3))
        yield np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8), label


def products_on_white(side):
    """Cut-out photographs of Tux Paint on white: animals, food, vehicles and others."""
    return _stamps(side, (255, 255, 255))


def products_on_dark(side):
    """The same on dark grey."""
    return _stamps(side, (24, 24, 28))


def emoji(side):
    """Noto's coloured emoji on pale ground, by the block of Unicode that they are from."""
    font = ImageFont.truetype(EMOJI, 109)
    blocks = (
        range(0x1F600, 0x1F640),
        range(0x1F400, 0x1F440),
        range(0x1F345, 0x1F37F),
        range(0x1F680, 0x1F6A8),
        range(0x1F3E0, 0x1F3F0),
    )
    random = np.random.default_rng(13)
    for label, codes in enumerate(blocks):
        for code in codes:
            image = Image.new("RGBA", (136, 128))
            ImageDraw.Draw(image).text(
                (0, 0), chr(code), font=font, embedded_color=True
            )
            for _ in range(4):
                yield _placed(image, side, (245, 242, 230), random), label


def icons(side):
    """Oxygen's icons on black, by their folder."""
    random = np.random.default_rng(17)
    for label, kind in enumerate(("actions", "apps", "mimetypes", "places")):
        for path in sorted((ICONS / "64x64" / kind).glob("*.png"))[:200]:
            image = Image.open(path).convert("RGBA")
            for _ in range(2):
                yield _placed(image, side, (0, 0, 0), random), label


def shuffled(name, side):
    """Pairs of a set, in an order that is the same every time; copies stay together."""
    made = globals()[name](side)
    pairs = [(_resized(picture, side), label) for picture, label in made]
    copies = COPIES.get(name, 1)
    groups = np.random.default_rng(0).permutation(len(pairs) // copies)
    return [pairs[group * copies + copy] for group in groups for copy in range(copies)]


def _stamps(side, ground):
    random = np.random.default_rng(11)
    kinds = ("animals", "food", "vehicles", "household", "plants")
    for label, kind in enumerate(kinds):
        paths = sorted((STAMPS / kind).rglob("*.png"))
        drawn = re.compile(r"_mirror|_flip|cartoon|drawn")
        for path in [path for path in paths if not drawn.search(path.stem)][:90]:
            image = Image.open(path).convert("RGBA")
            for _ in range(4):
                yield _placed(image, side, ground, random), label


def _placed(image, side, ground, random):
    """Put a picture with transparency somewhere near the middle of a ground, in a size that varies."""
    share = random.uniform(0.65, 0.95) * side / max(image.size)
    small = image.resize([max(round(length * share), 1) for length in image.size])
    under = Image.new("RGB", (side, side), ground)
    moved = random.integers(-side // 16, side // 16 + 1, 2)
    under.paste(small, tuple((side - np.array(small.size)) // 2 + moved), small)
    return np.asarray(under)


def _crops(whole, side, each):
    random = np.random.default_rng(3)
    for label, pixels in enumerate(whole):
        height, width = pixels.shape[:2]
        for _ in range(each):
            edge = random.integers(side, min(height, width, 2 * side) + 1)
            top = random.integers(height - edge + 1)
            left = random.integers(width - edge + 1)
            yield pixels[top : top + edge, left : left + edge], label


def _resized(pixels, side):
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def resaved(photo, size, quality):
    """The same picture from another source: reduced, saved as a poor JPEG, and enlarged again."""
    small = Image.fromarray(photo.pixels).resize(size)
    saved = Image.fromarray(jpeg_quality(np.asarray(small), quality))
    return photo.altered(np.asarray(saved.resize(photo.size[::-1])))
