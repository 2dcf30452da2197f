"""From any kind of picture to RGB, with every conversion put into words.

Each conversion here is a known cause of a wrong prediction (a picture lying on its side, black where
it was transparent, washed out by a cut at 255), so each one is reported and can be switched.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from PIL import ExifTags, Image

from kit._arrays import Array, Pixels
from kit._checking import instance, integers, known
from kit.images.opening import PhotoError, Stored

_NOTHING_STORED = Stored()
_BAND = 1 << 20
"""Pixels that are converted at a time; of a whole picture, all stages side by side would take a gigabyte."""
_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
_SAID = {
    "1": "1 bit",
    **dict.fromkeys(("L", "LA", "La"), "greyscale"),
    **dict.fromkeys(("P", "PA"), "palette"),
    **{mode: mode for mode in ("LAB", "YCbCr", "HSV")},
}
# How to undo an orientation: swap 6 and 8, everything else undoes itself.
_UNDO = {6: 8, 8: 6}


@dataclass(frozen=True)
class Decoding:
    """How a file becomes RGB. Each field can be the one in which training and inference differ.

    Parameters
    ----------
    exif
        Turn the picture upright by its EXIF orientation tag. Keras' ``load_img`` and TensorFlow do not.
    matte
        Colour under transparent pixels, RGB in 0..255. ``None`` drops the alpha channel and shows the
        colour stored under it, as Pillow's ``convert("RGB")`` does.
    depth
        16 bits to 8: ``"scale"`` divides by 257 and rounds (65535 becomes 255), ``"clip"`` cuts at 255
        as Pillow's ``convert`` does.

    Raises
    ------
    TypeError, ValueError
        For a value outside these.
    """

    exif: bool = True
    matte: tuple[int, int, int] | None = (255, 255, 255)
    depth: Literal["scale", "clip"] = "scale"

    def __post_init__(self) -> None:
        instance("exif", self.exif, bool, "True or False")
        known("depth", self.depth, ("scale", "clip"))
        if self.matte is not None:
            matte = integers("matte", self.matte, ("red", "green", "blue"), 0, 255)
            object.__setattr__(self, "matte", matte)


def to_rgb(
    image: Image.Image, decoding: Decoding, name: str, stored: Stored = _NOTHING_STORED
) -> tuple[Pixels, tuple[str, ...]]:
    """Convert a picture of any Pillow mode to RGB.

    Parameters
    ----------
    image
        A loaded picture; not changed.
    decoding
        What to do about orientation, alpha and depth.
    name
        File name for messages.
    stored
        From `open_image`.

    Returns
    -------
    pixels
        uint8, shape (H, W, 3), RGB, a new array.
    notes
        What was done, in words, in order.

    Raises
    ------
    PhotoError
        A mode or a value range that has no meaning in 8 bits.
    """
    notes: list[str] = []
    if stored.several:
        kind = "animation" if image.format in ("GIF", "PNG", "WEBP") else "several pictures in the file"
        notes.append(f"{kind}, number {image.tell() + 1} used")
    convert, has_alpha = _conversion(image, decoding, name, notes, stored.depth)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    transparent = 0
    for rows, band in _bands(image):
        color, alpha = convert(band)
        if alpha is not None:
            transparent += int(np.count_nonzero(alpha < 255))
            color = color if decoding.matte is None else _on_matte(color, alpha, decoding.matte)
        pixels[rows] = color
    if has_alpha:
        done = "alpha dropped" if decoding.matte is None else f"alpha laid on {decoding.matte}"
        notes.append(f"{done}, {_share(transparent, image)} of the pixels transparent")
    pixels = _upright(image, pixels, decoding, notes, stored.orientation)
    if image.info.get("icc_profile"):
        notes.append("ICC profile not applied")
    return np.ascontiguousarray(pixels), tuple(notes)


_Conversion: TypeAlias = Callable[[Image.Image], tuple[Pixels, Pixels | None]]
"""From a band of a picture to its RGB (H, W, 3), and alpha (H, W) where there is some."""


def _bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    step = max(1, _BAND // image.width)
    for top in range(0, image.height, step):
        rows = slice(top, min(top + step, image.height))
        yield rows, image.crop((0, rows.start, image.width, rows.stop))


def _conversion(
    image: Image.Image, decoding: Decoding, name: str, notes: list[str], depth: int
) -> tuple[_Conversion, bool]:
    """Return how a band is converted, and whether that gives an alpha channel."""
    mode = image.mode
    if mode in _SIXTEEN_BIT_MODES:
        return _from_integers(image, decoding, name, notes), image.info.get("transparency") is not None
    if mode == "F":
        return _from_floats(image, name, notes), False
    if mode in _SAID:
        notes.append(f"{_SAID[mode]} converted to RGB")
    elif mode == "CMYK":
        notes.append("CMYK converted to RGB without a colour profile")
    elif mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
        raise PhotoError(
            f"Expected a picture in a known colour mode, received {name!r} in mode {mode!r}; "
            "save it as RGB PNG"
        )
    if depth == 16:
        notes.append("16 bits a channel read as 8, upper byte kept")
    has_alpha = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info

    def convert(band: Image.Image) -> tuple[Pixels, Pixels | None]:
        try:
            straight = band.convert("LA") if mode == "La" else band  # Pillow has no way from La to RGBA
            pixels = np.asarray(straight.convert("RGBA" if has_alpha else "RGB"))
        except (ValueError, KeyError, ImportError, OSError) as error:
            raise PhotoError(
                f"Expected a picture that can become RGB, received {name!r} in mode {mode!r} ({error})"
            ) from error
        return pixels[..., :3], pixels[..., 3] if has_alpha else None

    return convert, has_alpha


def _range(image: Image.Image) -> tuple[Array, Array]:
    # np.asarray honours the byte order of each 16-bit mode; a NaN comes through.
    bands = (np.asarray(band) for _, band in _bands(image))
    ends = np.array([(values.min(), values.max()) for values in bands])
    return ends[:, 0].min(), ends[:, 1].max()


def _from_integers(image: Image.Image, decoding: Decoding, name: str, notes: list[str]) -> _Conversion:
    low, high = map(int, _range(image))
    if low < 0 or high > 65535:
        raise PhotoError(
            f"Expected whole numbers 0..65535 in a picture of mode {image.mode!r}, received {name!r} with "
            f"{low}..{high}; save it as 8 or 16 bit"
        )
    scaled = decoding.depth == "scale"
    if scaled:
        notes.append(f"16-bit greyscale {low}..{high} divided by 257")
    else:
        cut = sum(int(np.count_nonzero(np.asarray(band) > 255)) for _, band in _bands(image))
        notes.append(f"16-bit greyscale {low}..{high} cut at 255 ({_share(cut, image)} of the pixels)")
    transparent = image.info.get("transparency")

    def convert(band: Image.Image) -> tuple[Pixels, Pixels | None]:
        values = np.asarray(band).astype(np.int32)
        # Rounds to nearest; 257 is odd, so there are no ties.
        gray = (values + 128) // 257 if scaled else np.minimum(values, 255)
        alpha = None if transparent is None else np.where(values == transparent, 0, 255).astype(np.uint8)
        return _as_rgb(gray), alpha

    return convert


def _from_floats(image: Image.Image, name: str, notes: list[str]) -> _Conversion:
    low, high = map(float, _range(image))
    if not (low >= 0 and high <= 255):  # a NaN fails this, too
        raise PhotoError(
            f"Expected floating-point values 0..1 or 0..255, received {name!r} with {low:.6g}..{high:.6g}; "
            "scale them and save as 8 bit"
        )
    # A float file does not say which value is white; at most 1 can only be a picture if 1 is.
    factor = 255 if high <= 1 else 1
    notes.append(f"floating-point greyscale {low:.6g}..{high:.6g} taken as 0..{255 // factor}")
    return lambda band: (_as_rgb(np.rint(np.asarray(band, np.float64) * factor)), None)


def _as_rgb(gray: Array) -> Pixels:
    return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=-1)


def _on_matte(pixels: Pixels, alpha: Pixels, matte: tuple[int, int, int]) -> Pixels:
    """``(color * alpha + matte * (255 - alpha) + 127) // 255``: rounded to nearest, without ties."""
    mixed = np.empty_like(pixels)
    weight = alpha.astype(np.uint16)
    for channel, background in enumerate(matte):
        # 255 * 255 + 127 fits into 16 bits.
        color = pixels[..., channel] * weight + np.uint16(background) * (255 - weight) + np.uint16(127)
        mixed[..., channel] = color // 255
    return mixed


def _share(count: int, image: Image.Image) -> str:
    percent = 100 * count / (image.width * image.height)
    return "<0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"


def _upright(
    image: Image.Image, pixels: Pixels, decoding: Decoding, notes: list[str], applied: int
) -> Pixels:
    turned_by_pillow = applied != 1
    orientation = applied if turned_by_pillow else _orientation(image)
    if orientation not in range(2, 9):
        return pixels
    notes.append(f"EXIF orientation {orientation} {'applied' if decoding.exif else 'ignored'}")
    if decoding.exif == turned_by_pillow:
        return pixels
    return orient(pixels, orientation if decoding.exif else _UNDO.get(orientation, orientation))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001  # a damaged EXIF block is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) else 1


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """Turn stored pixels upright, by EXIF orientation 1..8 (CIPA DC-008, tag 274); returns a view."""
    if orientation >= 5:  # stored rows are columns
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
