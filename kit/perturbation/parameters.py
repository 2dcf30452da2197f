"""The table of a perturbation's parameters, which sliders, sweeps, checks and documentation read.

Its order is the order in which they are applied, that of a camera: scene, weather, lens, light, sensor, file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, ModuleType
from typing import Any, Literal

import numpy as np

from kit._arrays import Pixels
from kit._checking import number, whole
from kit.perturbation import file, lens, light, scene, sensor, weather


@dataclass(frozen=True)
class Parameter:
    """One parameter of a `Perturbation`, as sliders and sweeps need it.

    Attributes
    ----------
    name, label, unit, description
        Name of the field and of the function that does it, and words for people. Lengths in ``px`` are pixels
        of the picture.
    low, high, step
        Bounds, which are allowed, and the step of a slider.
    neutral
        Value that changes nothing; None where only its absence does.
    kind
        ``number``, ``whole`` (a whole number) or ``switch`` (true or false, the same as 1 or 0).
    of
        The parameter that this one only steers: without that one it changes nothing.
    group
        Where in the camera this happens.
    function
        Takes pixels, the value, a seed and the values of those that steer it; None for those.
    """

    name: str
    label: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float | None
    description: str
    kind: Literal["number", "whole", "switch"] = "number"
    of: str = ""
    group: str = ""
    function: Callable[..., Pixels] | None = None

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


def _switch(name: str, value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    real = number(name, value)
    if real not in (0, 1):
        raise ValueError(f"Expected {name} as True or False, received {value!r}")
    return bool(real)


_TIMES = "\N{MULTIPLICATION SIGN}"
_SEVERITY = "as severe as ImageNet-C's 1 to 5, and in between"
_SAVED = "saved as JPEG with this quality and read back"


def _group(module: ModuleType, *rows: tuple[Any, ...]) -> tuple[Parameter, ...]:
    """Return the parameters of one module; those without a function there steer the last one that has one."""
    group = module.__name__.rpartition(".")[2].capitalize()
    found: list[Parameter] = []
    steered = ""
    for row in rows:
        function = getattr(module, row[0], None)
        steered = row[0] if function else steered
        of = "" if function else steered
        found.append(replace(Parameter(*row), of=of, group=group, function=function))
    return tuple(found)


_SCENE = _group(
    scene,
    ("flip_horizontal", "Mirrored", "", 0, 1, 1, False, "left and right swapped", "switch"),
    ("flip_vertical", "Upside down", "", 0, 1, 1, False, "top and bottom swapped", "switch"),
    ("rotation", "Rotation", "°", -180, 180, 1, 0, "anticlockwise about the centre"),
    ("elastic", "Elastic", "px", 0, 10, 0.1, 0, "standard deviation of a smooth random displacement"),
    ("occlusion", "Occlusion", "", 0, 1, 0.01, 0, "share of the area behind a grey rectangle"),
    ("occlusion_x", "Occlusion x", "", 0, 1, 0.05, 0.5, "place of the rectangle: 0 left, 1 right"),
    ("occlusion_y", "Occlusion y", "", 0, 1, 0.05, 0.5, "place of the rectangle: 0 top, 1 bottom"),
)
_WEATHER = _group(
    weather,
    ("fog", "Fog", "", 0, 5, 0.1, 0, f"clouds of a plasma fractal, {_SEVERITY}"),
    ("snow", "Snow", "", 0, 5, 0.1, 0, f"falling snow, {_SEVERITY}"),
    ("frost", "Frost", "", 0, 5, 0.1, 0, f"drawn ice crystals, {_SEVERITY}"),
)
_LENS = _group(
    lens,
    ("glass_blur", "Glass blur", "px", 0, 12, 0.1, 0, "standard deviation by which pixels are displaced"),
    ("defocus_blur", "Defocus blur", "px", 0, 30, 0.5, 0, "radius of the disc of a lens out of focus"),
    ("blur", "Blur", "px", 0, 10, 0.1, 0, "standard deviation of a Gaussian blur"),
    ("zoom_blur", "Zoom blur", "%", 0, 50, 1, 0, "how far the lens is zoomed in during the exposure"),
    ("motion_blur", "Motion blur", "px", 0, 100, 1, 0, "length of the way the camera moves"),
    ("motion_angle", "Motion angle", "°", -90, 90, 5, 0, "way of the camera, anticlockwise"),
)
_LIGHT = _group(
    light,
    ("brightness", "Brightness", _TIMES, 0, 3, 0.05, 1, "factor on every value, as PIL.ImageEnhance"),
    ("lift", "Lift", "levels", -128, 128, 1, 0, "added to the value of hue, saturation and value"),
    ("contrast", "Contrast", _TIMES, 0, 3, 0.05, 1, "factor on the distance from mean grey"),
    ("fade", "Fade", "", 0, 1, 0.01, 0, "how far each channel is drawn to its own mean"),
)
_SENSOR = _group(
    sensor,
    ("shot_noise", "Shot noise", "levels", 0, 150, 1, 0, "standard deviation of Poisson noise at white"),
    ("noise", "Noise", "levels", 0, 100, 1, 0, "standard deviation of Gaussian noise, 8-bit levels"),
    ("impulse_noise", "Impulse noise", "", 0, 1, 0.01, 0, "share of values that turn into 0 or 255"),
    ("white_balance", "White balance", "stops", -1, 1, 0.05, 0, "red up and blue down: above 0 is warmer"),
)
_FILE = _group(
    file,
    ("downscale", "Downscale", _TIMES, 1, 16, 0.1, 1, "reduced by this and enlarged again, bicubic"),
    ("pixelate", "Pixelate", "px", 1, 32, 0.1, 1, "side of the blocks that are averaged"),
    ("jpeg_quality", "JPEG quality", "", 1, 100, 1, None, _SAVED, "whole"),
)

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {each.name: each for each in (*_SCENE, *_WEATHER, *_LENS, *_LIGHT, *_SENSOR, *_FILE)}
)
