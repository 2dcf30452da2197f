"""What can happen to a picture between the scene and the file, as a frozen value with a seed.

The order is that of a camera: rotation and blur (scene and lens), brightness and contrast (light), noise
(sensor), JPEG (file).
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from kit.checking import number, refuse_unknown
from kit.corruptions import (
    NOISE_STEPS,
    Pixels,
    add_noise,
    blur,
    brighten,
    change_contrast,
    noise_field,
    recompress,
    rotate,
)
from kit.decoding import Decoding
from kit.images import Photo

__all__ = ["NOISE_STEPS", "PARAMETERS", "Parameter", "Perturbation", "noise_field"]


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
        refuse_unknown(settings, [field.name for field in fields(cls)])
        return cls(**settings)

    def _settings(self) -> str:
        changed = [field for field in fields(self) if getattr(self, field.name) != field.default]
        return ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in changed)

    def __repr__(self) -> str:
        return f"Perturbation({self._settings()})"


def _remake(remake: Callable[[Decoding], Photo], perturbation: Perturbation, decoding: Decoding) -> Photo:
    return perturbation.apply(remake(decoding))


def _real(parameter: Parameter, value: Any) -> float:
    real = number(parameter.name, value)
    if not parameter.low <= real <= parameter.high:
        raise ValueError(
            f"Expected {parameter.name} within {parameter.low:g}..{parameter.high:g}, received {value!r}"
        )
    return real + 0.0  # -0.0 becomes 0.0, which prints in one way only


def _whole(name: str, value: Any, low: int, high: int | None) -> int:
    bounds = f"{low}..{high}" if high is not None else "not below 0"
    expected = f"Expected {name} as a whole number {bounds}, received {value!r}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(expected)
    try:
        # Sliders hand over 85.0.
        whole = operator.index(int(value) if isinstance(value, float) and value.is_integer() else value)
    except TypeError:
        raise TypeError(expected) from None
    if whole < low or (high is not None and whole > high):
        raise ValueError(expected)
    return whole


# In the order in which they are applied.
_STEPS: tuple[tuple[str, Callable[[Pixels, Any, int], Pixels]], ...] = (
    ("rotation", rotate),
    ("blur", blur),
    ("brightness", brighten),
    ("contrast", change_contrast),
    ("noise", add_noise),
    ("jpeg_quality", recompress),
)
