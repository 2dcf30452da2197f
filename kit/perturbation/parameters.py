"""The parameters of a perturbation, with ranges and neutral values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from kit._arrays import Pixels
from kit._checking import number, whole
from kit.perturbation import physics, weather


@dataclass(frozen=True)
class Parameter:
    """One parameter of a `Perturbation`, as sliders and sweeps need it.

    Attributes
    ----------
    name, unit
        Name of the field and of the function that does it; lengths in ``px`` are pixels of the image.
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
        Takes pixels, the value, and by their names seed and others; None for those that only steer.
    title
        What it is called, where that is not its name.
    """

    name: str
    unit: str
    low: float
    high: float
    step: float
    neutral: float | None
    kind: Literal["number", "whole", "switch"] = "number"
    of: str = ""
    group: str = ""
    function: Callable[..., Pixels] | None = None

    title: str = ""

    @property
    def label(self) -> str:
        """What it is called."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def description(self) -> str:
        """What it does, in a line; empty for those that only steer."""
        text = "" if self.function is None else self.function.__doc__ or ""
        return text.partition("\n")[0]

    def checked(self, value: Any) -> Any:
        """Return `value` as a float, an int or a bool, by `kind`; raises as `Perturbation`."""
        if value is None and self.neutral is None:
            return None
        if self.kind == "whole":
            return whole(self.name, value, int(self.low), int(self.high))
        if self.kind == "switch":
            if value not in (0, 1):
                raise ValueError(
                    f"Expected {self.name} as True or False, received {value!r}"
                )
            return bool(value)
        # A slider's move sends all of them, so those that are right do not go through `number`.
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            value = number(self.name, value, self.low, self.high)
        # -0.0 becomes 0.0, which prints in one way.
        return float(value) + 0.0


def _number(
    function: Callable[..., Pixels],
    low: float,
    high: float,
    *,
    step: float,
    unit: str = "",
    neutral: float | None = 0,
    **options: Any,
) -> Parameter:
    """Return the parameter of a function, which has its name."""
    return Parameter(
        function.__name__, unit, low, high, step, neutral, function=function, **options
    )


def _switch(function: Callable[..., Pixels], title: str) -> Parameter:
    return _number(function, 0, 1, step=1, neutral=False, kind="switch", title=title)


_PLACE = Parameter("", "", low=0, high=1, step=0.05, neutral=0.5, of="occlusion")

_CAMERA: Mapping[str, tuple[Parameter, ...]] = {
    "Scene": (
        _switch(physics.flip_horizontal, "Mirrored"),
        _switch(physics.flip_vertical, "Upside down"),
        _number(physics.rotation, -180, 180, step=1, unit="°"),
        _number(physics.elastic, 0, 10, step=0.1, unit="px"),
        _number(physics.occlusion, 0, 1, step=0.01),
        replace(_PLACE, name="occlusion_x"),
        replace(_PLACE, name="occlusion_y"),
    ),
    "Weather": (
        _number(weather.fog, 0, 5, step=0.1),
        _number(weather.snow, 0, 5, step=0.1),
        _number(weather.frost, 0, 5, step=0.1),
    ),
    "Lens": (
        _number(physics.glass_blur, 0, 12, step=0.1, unit="px"),
        _number(physics.defocus_blur, 0, 30, step=0.5, unit="px"),
        _number(physics.blur, 0, 10, step=0.1, unit="px"),
        _number(physics.zoom_blur, 0, 50, step=1, unit="%"),
        _number(physics.motion_blur, 0, 100, step=1, unit="px"),
        Parameter(
            "motion_angle", "°", low=-90, high=90, step=5, neutral=0, of="motion_blur"
        ),
    ),
    "Light": (
        _number(physics.brightness, 0, 3, step=0.05, unit="×", neutral=1),
        _number(physics.lift, -128, 128, step=1, unit="levels"),
        _number(physics.contrast, 0, 3, step=0.05, unit="×", neutral=1),
        _number(physics.fade, 0, 1, step=0.01),
    ),
    "Sensor": (
        _number(physics.shot_noise, 0, 150, step=1, unit="levels"),
        _number(physics.noise, 0, 100, step=1, unit="levels"),
        _number(physics.impulse_noise, 0, 1, step=0.01),
        _number(physics.white_balance, -1, 1, step=0.05, unit="stops"),
    ),
    "File": (
        _number(physics.downscale, 1, 16, step=0.1, unit="×", neutral=1),
        _number(physics.pixelate, 1, 32, step=0.1, unit="px", neutral=1),
        _number(
            physics.jpeg_quality,
            1,
            100,
            step=1,
            neutral=None,
            kind="whole",
            title="JPEG quality",
        ),
    ),
}

PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: replace(parameter, group=group)
    for group, parameters in _CAMERA.items()
    for parameter in parameters
}
"""Every parameter by name, in the order of a camera."""

CORRUPTIONS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    # Standard deviations of .08 to .38 where white is 1.
    "gaussian_noise": ("noise", (20.4, 30.6, 45.9, 66.3, 96.9)),
    # 60, 25, 12, 5 and 3 photons at white: 255 / sqrt(photons).
    "shot_noise": (
        "shot_noise",
        tuple(255 / photons**0.5 for photons in (60, 25, 12, 5, 3)),
    ),
    "impulse_noise": ("impulse_noise", (0.03, 0.06, 0.09, 0.17, 0.27)),
    "defocus_blur": ("defocus_blur", (3, 4, 6, 8, 10)),
    # Standard deviations measured on the indices of pixels that their code shuffles: it takes from pixels
    # that were moved before, so there is no formula.
    "glass_blur": ("glass_blur", (0.71, 1.2, 2.09, 2.83, 3.95)),
    # Half a Gaussian of standard deviation s over n pixels, (s, n) = (3, 21), (5, 31), (8, 31), (12, 31),
    # (15, 41): a line of the same variance is sqrt(12) times as long as its standard deviation.
    "motion_blur": ("motion_blur", (6.5, 10.7, 17.0, 23.8, 30.2)),
    "zoom_blur": ("zoom_blur", (10, 15, 20, 24, 30)),
    **{weather: (weather, (1, 2, 3, 4, 5)) for weather in ("snow", "frost", "fog")},
    # .1 to .5 where white is 1.
    "brightness": ("lift", (25.5, 51.0, 76.5, 102.0, 127.5)),
    # Factors of .4 to .05 on the distance from the mean of each channel.
    "contrast": ("fade", (0.6, 0.7, 0.8, 0.9, 0.95)),
    # Uniform within 1.12 pixels, smoothed with 2.24 pixels, times 12.5, 16.25, 21.25, 25 and 30.
    "elastic_transform": ("elastic", (1.02, 1.33, 1.74, 2.04, 2.45)),
    # Resolutions of .6 to .25.
    "pixelate": ("pixelate", tuple(1 / share for share in (0.6, 0.5, 0.4, 0.3, 0.25))),
    "jpeg_compression": ("jpeg_quality", (25, 18, 15, 10, 7)),
}
"""For each corruption the parameter that makes it, and its value at severities 1 to 5."""
