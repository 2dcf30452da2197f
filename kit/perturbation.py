"""What can happen to a picture between the scene and the file, as a frozen value with a seed.

The order is that of a camera: rotation and blur (scene and lens), brightness and contrast (light), noise
(sensor), JPEG (file).
"""

import difflib
import math
import operator
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from io import BytesIO
from threading import Lock
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

from kit.decoding import Decoding
from kit.images import Photo

Pixels = npt.NDArray[np.uint8]

NOISE_STEPS = 4096
"""One standard deviation in a `noise_field`."""

NOISE_CACHE_BYTES = 64 << 20
"""Upper bound of all noise fields that are kept."""

_JPEG_MAX_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
# 128 KiB of float32 at a time stay in the processor's second-level cache, which halves the time.
_CHUNK = 32_768


@dataclass(frozen=True)
class Parameter:
    """One parameter of a `Perturbation`, as sliders and sweeps need it."""

    name: str
    label: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float | None
    description: str


PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        parameter.name: parameter
        for parameter in (
            Parameter(
                "brightness",
                "Brightness",
                "\N{MULTIPLICATION SIGN}",
                0,
                3,
                0.05,
                1,
                "factor on every value, as PIL.ImageEnhance",
            ),
            Parameter(
                "noise", "Noise", "levels", 0, 100, 1, 0, "standard deviation of Gaussian noise, 8-bit levels"
            ),
            Parameter(
                "contrast",
                "Contrast",
                "\N{MULTIPLICATION SIGN}",
                0,
                3,
                0.05,
                1,
                "factor on the distance from mean grey",
            ),
            Parameter("blur", "Blur", "px", 0, 10, 0.1, 0, "standard deviation of a Gaussian blur"),
            Parameter(
                "jpeg_quality",
                "JPEG quality",
                "",
                1,
                100,
                1,
                None,
                "saved as JPEG with this quality and read back",
            ),
            Parameter("rotation", "Rotation", "°", -180, 180, 1, 0, "anticlockwise about the centre"),
        )
    }
)


@dataclass(frozen=True, repr=False)
class Perturbation:
    """A perturbation of 8-bit pixels, before any preprocessing.

    Parameters
    ----------
    brightness
        Factor 0..3, bit for bit `PIL.ImageEnhance.Brightness`. 1 changes nothing.
    noise
        Standard deviation 0..100 of Gaussian noise in 8-bit levels, independent for each value, clipped to
        0..255.
    seed
        Chooses the noise field; not negative. One seed scales one field, so a slider moves smoothly and
        sliding back gives the same picture.
    contrast
        Factor 0..3, bit for bit `PIL.ImageEnhance.Contrast`.
    blur
        Radius (standard deviation) 0..10 in pixels of `PIL.ImageFilter.GaussianBlur`.
    jpeg_quality
        Quality 1..100 of a JPEG file in between, with Pillow's default subsampling (4:2:0); ``None`` for
        no such file.
    rotation
        Degrees -180..180, anticlockwise, bilinear, same size, corners filled with black.

    Raises
    ------
    TypeError
        Not a number (a bool is none).
    ValueError
        Outside these bounds or not finite.
    """

    brightness: float = 1.0
    noise: float = 0.0
    seed: int = 0
    contrast: float = 1.0
    blur: float = 0.0
    jpeg_quality: int | None = None
    rotation: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", _whole("seed", self.seed, 0, None))
        for parameter in PARAMETERS.values():
            value = getattr(self, parameter.name)
            if parameter.neutral is None:
                if value is not None:
                    value = _whole(parameter.name, value, int(parameter.low), int(parameter.high))
            else:
                value = _real(parameter, value)
            object.__setattr__(self, parameter.name, value)

    @property
    def is_identity(self) -> bool:
        """Whether this leaves every picture as it is; the seed alone changes nothing."""
        return all(getattr(self, name) == parameter.neutral for name, parameter in PARAMETERS.items())

    def apply(self, photo: Photo) -> Photo:
        """Perturb a photo.

        Parameters
        ----------
        photo
            Not changed.

        Returns
        -------
        Photo
            Of the same size; ``photo`` itself for an identity.

        Raises
        ------
        TypeError
            For anything but a `Photo`.
        ValueError
            A picture too long for JPEG.
        """
        if not isinstance(photo, Photo):
            raise TypeError(f"Expected a Photo, received {type(photo).__name__}; open it with kit.load_image")
        if self.is_identity:
            return photo
        pixels = photo.pixels
        for name, function in _STEPS:
            value = getattr(self, name)
            if value != PARAMETERS[name].neutral:
                pixels = function(pixels, value, self.seed)
        pixels.flags.writeable = False
        remake = None if photo.remake is None else partial(_remake, photo.remake, self)
        return Photo(
            pixels, photo.name, photo.decoding, (*photo.notes, f"perturbed: {self._settings()}"), remake
        )

    def to_dict(self) -> dict[str, float | int | None]:
        """Return all fields as plain numbers."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Make a perturbation from `to_dict`'s result; missing fields are neutral.

        Raises
        ------
        TypeError
            An unknown field.
        """
        known = [field.name for field in fields(cls)]
        for key in settings:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else "leave it out"
                raise TypeError(f"Expected settings among {', '.join(known)}, received {key!r}; {hint}")
        return cls(**settings)

    def _settings(self) -> str:
        changed = [field for field in fields(self) if getattr(self, field.name) != field.default]
        return ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in changed)

    def __repr__(self) -> str:
        return f"Perturbation({self._settings()})"


def _remake(remake: Callable[[Decoding], Photo], perturbation: Perturbation, decoding: Decoding) -> Photo:
    return perturbation.apply(remake(decoding))


def _real(parameter: Parameter, value: Any) -> float:
    expected = (
        f"Expected {parameter.name} as a number {parameter.low:g}..{parameter.high:g}, received {value!r}"
    )
    if isinstance(value, (bool, np.bool_, str, bytes)):
        raise TypeError(expected)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(expected) from None
    if not (math.isfinite(number) and parameter.low <= number <= parameter.high):
        raise ValueError(expected)
    return number + 0.0  # -0.0 becomes 0.0, which prints in one way only


def _whole(name: str, value: Any, low: int, high: int | None) -> int:
    bounds = f"{low}..{high}" if high is not None else "not below 0"
    expected = f"Expected {name} as a whole number {bounds}, received {value!r}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(expected)
    try:
        # Sliders hand over 85.0.
        number = operator.index(int(value) if isinstance(value, float) and value.is_integer() else value)
    except TypeError:
        raise TypeError(expected) from None
    if number < low or (high is not None and number > high):
        raise ValueError(expected)
    return number


def noise_field(seed: int, count: int) -> npt.NDArray[np.int16]:
    """Return standard normal samples in steps of 1/4096.

    Parameters
    ----------
    seed
        Seed of `numpy.random.default_rng`.
    count
        Number of samples. A shorter field is the beginning of a longer one.

    Returns
    -------
    ndarray
        int16, shape (count,), read-only, shared: samples times `NOISE_STEPS`, rounded. The longest fields of
        recent seeds are kept, up to `NOISE_CACHE_BYTES` in total.
    """
    with _fields_lock:
        known = _fields.get(seed)
        if known is not None and known.size >= count:
            _fields.move_to_end(seed)
            return known[:count]
    field = _draw(seed, count)
    if field.nbytes <= NOISE_CACHE_BYTES:
        with _fields_lock:
            known = _fields.get(seed)
            if known is None or known.size < count:
                _fields[seed] = field
            _fields.move_to_end(seed)
            while sum(kept.nbytes for kept in _fields.values()) > NOISE_CACHE_BYTES:
                _fields.popitem(last=False)
    return field


_fields: "OrderedDict[int, npt.NDArray[np.int16]]" = OrderedDict()
_fields_lock = Lock()


def _draw(seed: int, count: int) -> npt.NDArray[np.int16]:
    generator = np.random.default_rng(seed)
    field = np.empty(count, np.int16)
    for start in range(0, count, _CHUNK):
        part = field[start : start + _CHUNK]
        samples = generator.standard_normal(part.size, dtype=np.float32)
        samples *= np.float32(NOISE_STEPS)
        np.rint(samples, out=samples)
        # int16 ends at 8 standard deviations, which a sample passes once in 10**15.
        part[...] = np.clip(samples, -32768, 32767)
    field.flags.writeable = False
    return field


def add_noise(pixels: Pixels, deviation: float, seed: int) -> Pixels:
    """Add Gaussian noise: ``clip(rint(x + deviation / 4096 * q))``.

    One float32 multiplication and one float32 addition a value, rounded half to even, with q from
    `noise_field` in C order. The page repeats exactly this with ``Math.fround`` and a
    ``Uint8ClampedArray``, byte for byte.
    """
    return _add_field(pixels, deviation, noise_field(seed, pixels.size))


def _add_field(pixels: Pixels, deviation: float, field: npt.NDArray[np.int16]) -> Pixels:
    scale = np.float32(deviation / NOISE_STEPS)

    def part(values: Pixels, scratch: npt.NDArray[np.float32], start: int) -> None:
        np.multiply(field[start : start + values.size], scale, out=scratch, dtype=np.float32)
        np.add(scratch, values, out=scratch)
        np.rint(scratch, out=scratch)

    return _in_parts(pixels, part)


def brighten(pixels: Pixels, factor: float, seed: int = 0) -> Pixels:
    """Multiply in float32, clip, cut off the fraction.

    Bit for bit `PIL.ImageEnhance.Brightness` (libImaging/Blend.c with black), at a third of its time.
    """
    del seed
    scale = np.float32(factor)

    def part(values: Pixels, scratch: npt.NDArray[np.float32], start: int) -> None:
        del start
        np.multiply(values, scale, out=scratch, dtype=np.float32)

    return _in_parts(pixels, part)


def _in_parts(pixels: Pixels, part: Callable[[Pixels, npt.NDArray[np.float32], int], None]) -> Pixels:
    # Scratch space belongs to the call: callbacks come from several threads.
    values = pixels.reshape(-1)
    out = np.empty(pixels.shape, np.uint8)
    flat = out.reshape(-1)
    scratch = np.empty(min(_CHUNK, values.size), np.float32)
    for start in range(0, values.size, _CHUNK):
        piece = values[start : start + _CHUNK]
        room = scratch[: piece.size]
        part(piece, room, start)
        np.clip(room, 0, 255, out=room)
        np.copyto(flat[start : start + piece.size], room, casting="unsafe")
    return out


def change_contrast(pixels: Pixels, factor: float, seed: int = 0) -> Pixels:
    """Scale the distance from the mean grey; `PIL.ImageEnhance.Contrast` itself."""
    del seed
    return _through_pillow(pixels, lambda image: ImageEnhance.Contrast(image).enhance(factor))


def blur(pixels: Pixels, radius: float, seed: int = 0) -> Pixels:
    """Blur with `PIL.ImageFilter.GaussianBlur`."""
    del seed
    return _through_pillow(pixels, lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def rotate(pixels: Pixels, degrees: float, seed: int = 0) -> Pixels:
    """Rotate anticlockwise about the centre, bilinear, same size, black corners."""
    del seed
    return _through_pillow(pixels, lambda image: image.rotate(degrees, Image.Resampling.BILINEAR))


def recompress(pixels: Pixels, quality: int, seed: int = 0) -> Pixels:
    """Write a JPEG file of this quality in memory and read it back."""
    del seed
    if max(pixels.shape) > _JPEG_MAX_SIDE:
        raise ValueError(
            f"Expected at most {_JPEG_MAX_SIDE} pixels a side for JPEG, received {pixels.shape}; "
            "make it smaller first"
        )

    def through_file(image: Image.Image) -> Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer, formats=("JPEG",))

    return _through_pillow(pixels, through_file)


def _through_pillow(pixels: Pixels, function: Callable[[Image.Image], Image.Image]) -> Pixels:
    return np.array(function(Image.fromarray(pixels)))


_STEPS: tuple[tuple[str, Callable[[Pixels, Any, int], Pixels]], ...] = (
    ("rotation", rotate),
    ("blur", blur),
    ("brightness", brighten),
    ("contrast", change_contrast),
    ("noise", add_noise),
    ("jpeg_quality", recompress),
)
