"""The table of a perturbation's parameters, which sliders, sweeps, checks and documentation read.

Its order is the order in which they are applied, that of a camera: scene, weather, lens, light, sensor, file.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from kit._checking import number


@dataclass(frozen=True)
class Parameter:
    """One parameter of a `Perturbation`, as sliders and sweeps need it.

    Attributes
    ----------
    name, label, unit, description
        Name of the field, and words for people. Lengths in ``px`` are pixels of the picture.
    low, high, step
        Bounds, which are allowed, and the step of a slider.
    neutral
        Value that changes nothing; None where only its absence does.
    group
        Where in the camera this happens.
    kind
        ``number``, ``whole`` (a whole number) or ``switch`` (true or false, the same as 1 or 0).
    of
        The parameter that this one only steers: without that one it changes nothing.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float | None
    description: str
    group: str = ""
    kind: Literal["number", "whole", "switch"] = "number"
    of: str = ""

    def checked(self, value: Any) -> Any:
        """Return `value` as a float, an int or a bool, by `kind`.

        Raises
        ------
        TypeError
            Not a number (a bool is none, but for a switch).
        ValueError
            Outside the bounds or not finite.
        """
        if self.kind == "number" and type(value) in (float, int) and self.low <= value <= self.high:
            # Short, since the live loop checks all at every move; -0.0 becomes 0.0, which prints in one way.
            return value + 0.0
        if value is None and self.neutral is None:
            return None
        if self.kind == "whole":
            return whole(self.name, value, int(self.low), int(self.high))
        if self.kind == "switch":
            return _switch(self.name, value)
        real = number(self.name, value)
        if not self.low <= real <= self.high:
            raise ValueError(f"Expected {self.name} within {self.low:g}..{self.high:g}, received {value!r}")
        return real + 0.0


def whole(name: str, value: Any, low: int, high: int | None) -> int:
    """Return a whole number within the bounds as an int, else raise a TypeError or a ValueError."""
    bounds = f"{low}..{high}" if high is not None else "not below 0"
    expected = f"Expected {name} as a whole number {bounds}, received {value!r}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(expected)
    try:
        # Sliders hand over 85.0.
        result = operator.index(int(value) if isinstance(value, float) and value.is_integer() else value)
    except TypeError:
        raise TypeError(expected) from None
    if result < low or (high is not None and result > high):
        raise ValueError(expected)
    return result


def _switch(name: str, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    real = number(name, value)
    if real not in (0, 1):
        raise ValueError(f"Expected {name} as True or False, received {value!r}")
    return bool(real)


_TIMES = "\N{MULTIPLICATION SIGN}"
_Row = tuple[str, str, str, float, float, float, float | None, str]
_SEVERITY = "as severe as ImageNet-C's 1 to 5, and in between"


def _group(group: str, *rows: _Row, **kinds: Mapping[str, Any]) -> list[Parameter]:
    return [Parameter(*row, group=group, **kinds.get(row[0], {})) for row in rows]


_SWITCH = {"kind": "switch"}
_TABLE = (
    _group(
        "Scene",
        ("flip_horizontal", "Mirrored", "", 0, 1, 1, False, "left and right swapped"),
        ("flip_vertical", "Upside down", "", 0, 1, 1, False, "top and bottom swapped"),
        ("rotation", "Rotation", "°", -180, 180, 1, 0, "anticlockwise about the centre"),
        ("elastic", "Elastic", "px", 0, 10, 0.1, 0, "standard deviation of a smooth random displacement"),
        ("occlusion", "Occlusion", "", 0, 1, 0.01, 0, "share of the area behind a grey rectangle"),
        ("occlusion_x", "Occlusion x", "", 0, 1, 0.05, 0.5, "place of the rectangle: 0 left, 1 right"),
        ("occlusion_y", "Occlusion y", "", 0, 1, 0.05, 0.5, "place of the rectangle: 0 top, 1 bottom"),
        flip_horizontal=_SWITCH,
        flip_vertical=_SWITCH,
        occlusion_x={"of": "occlusion"},
        occlusion_y={"of": "occlusion"},
    ),
    _group(
        "Weather",
        ("fog", "Fog", "", 0, 5, 0.1, 0, f"clouds of a plasma fractal, {_SEVERITY}"),
        ("snow", "Snow", "", 0, 5, 0.1, 0, f"falling snow, {_SEVERITY}"),
        ("frost", "Frost", "", 0, 5, 0.1, 0, f"drawn ice crystals, {_SEVERITY}"),
    ),
    _group(
        "Lens",
        ("glass_blur", "Glass blur", "px", 0, 12, 0.1, 0, "standard deviation by which pixels are displaced"),
        ("defocus_blur", "Defocus blur", "px", 0, 30, 0.5, 0, "radius of the disc of a lens out of focus"),
        ("blur", "Blur", "px", 0, 10, 0.1, 0, "standard deviation of a Gaussian blur"),
        ("zoom_blur", "Zoom blur", "%", 0, 50, 1, 0, "how far the lens is zoomed in during the exposure"),
        ("motion_blur", "Motion blur", "px", 0, 100, 1, 0, "length of the way the camera moves"),
        ("motion_angle", "Motion angle", "°", -90, 90, 5, 0, "way of the camera, anticlockwise"),
        motion_angle={"of": "motion_blur"},
    ),
    _group(
        "Light",
        ("brightness", "Brightness", _TIMES, 0, 3, 0.05, 1, "factor on every value, as PIL.ImageEnhance"),
        ("lift", "Lift", "levels", -128, 128, 1, 0, "added to the value of hue, saturation and value"),
        ("contrast", "Contrast", _TIMES, 0, 3, 0.05, 1, "factor on the distance from mean grey"),
        ("fade", "Fade", "", 0, 1, 0.01, 0, "how far each channel is drawn to its own mean"),
    ),
    _group(
        "Sensor",
        ("shot_noise", "Shot noise", "levels", 0, 150, 1, 0, "standard deviation of Poisson noise at white"),
        ("noise", "Noise", "levels", 0, 100, 1, 0, "standard deviation of Gaussian noise, 8-bit levels"),
        ("impulse_noise", "Impulse noise", "", 0, 1, 0.01, 0, "share of values that turn into 0 or 255"),
        (
            "white_balance",
            "White balance",
            "stops",
            -1,
            1,
            0.05,
            0,
            "red up and blue down: above 0 is warmer",
        ),
    ),
    _group(
        "File",
        ("downscale", "Downscale", _TIMES, 1, 16, 0.1, 1, "reduced by this and enlarged again, bicubic"),
        ("pixelate", "Pixelate", "px", 1, 32, 0.1, 1, "side of the blocks that are averaged"),
        (
            "jpeg_quality",
            "JPEG quality",
            "",
            1,
            100,
            1,
            None,
            "saved as JPEG with this quality and read back",
        ),
        jpeg_quality={"kind": "whole"},
    ),
)

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {parameter.name: parameter for group in _TABLE for parameter in group}
)
