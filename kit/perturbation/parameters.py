"""The parameters of a perturbation, with ranges and neutral values."""

from collections.abc import Callable, Iterator, Mapping
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

    @property
    def label(self) -> str:
        """What it is called."""
        return _LABELS.get(self.name, self.name.replace("_", " ").capitalize())

    @property
    def description(self) -> str:
        """What it does, in a line; empty for those that only steer."""
        return (
            ""
            if self.function is None
            else (self.function.__doc__ or "").partition("\n")[0]
        )

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
        # -0.0 becomes 0.0, which prints in one way.
        return number(self.name, value, self.low, self.high) + 0.0


_LABELS = {
    "flip_horizontal": "Mirrored",
    "flip_vertical": "Upside down",
    "jpeg_quality": "JPEG quality",
}

_ROWS: Mapping[str, tuple[tuple[Any, ...], ...]] = {
    "Scene": (
        ("flip_horizontal", "", 0, 1, 1, False, "switch"),
        ("flip_vertical", "", 0, 1, 1, False, "switch"),
        ("rotation", "°", -180, 180, 1, 0),
        ("elastic", "px", 0, 10, 0.1, 0),
        ("occlusion", "", 0, 1, 0.01, 0),
        ("occlusion_x", "", 0, 1, 0.05, 0.5),
        ("occlusion_y", "", 0, 1, 0.05, 0.5),
    ),
    "Weather": (
        ("fog", "", 0, 5, 0.1, 0),
        ("snow", "", 0, 5, 0.1, 0),
        ("frost", "", 0, 5, 0.1, 0),
    ),
    "Lens": (
        ("glass_blur", "px", 0, 12, 0.1, 0),
        ("defocus_blur", "px", 0, 30, 0.5, 0),
        ("blur", "px", 0, 10, 0.1, 0),
        ("zoom_blur", "%", 0, 50, 1, 0),
        ("motion_blur", "px", 0, 100, 1, 0),
        ("motion_angle", "°", -90, 90, 5, 0),
    ),
    "Light": (
        ("brightness", "×", 0, 3, 0.05, 1),
        ("lift", "levels", -128, 128, 1, 0),
        ("contrast", "×", 0, 3, 0.05, 1),
        ("fade", "", 0, 1, 0.01, 0),
    ),
    "Sensor": (
        ("shot_noise", "levels", 0, 150, 1, 0),
        ("noise", "levels", 0, 100, 1, 0),
        ("impulse_noise", "", 0, 1, 0.01, 0),
        ("white_balance", "stops", -1, 1, 0.05, 0),
    ),
    "File": (
        ("downscale", "×", 1, 16, 0.1, 1),
        ("pixelate", "px", 1, 32, 0.1, 1),
        ("jpeg_quality", "", 1, 100, 1, None, "whole"),
    ),
}


def _parameters() -> Iterator[Parameter]:
    steered = ""
    for group, rows in _ROWS.items():
        for row in rows:
            function = getattr(physics, row[0], None) or getattr(weather, row[0], None)
            # Those without a function steer the last one that has one.
            of = "" if function else steered
            steered = of or row[0]
            yield replace(Parameter(*row), of=of, group=group, function=function)


PARAMETERS: Mapping[str, Parameter] = {each.name: each for each in _parameters()}
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
