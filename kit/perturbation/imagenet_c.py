"""The fifteen common corruptions of ImageNet-C as settings of a perturbation.

Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR
2019, arXiv 1903.12261. Constants are those of their code for pictures of 224 x 224 pixels.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kit._checking import known, number, whole
from kit.perturbation.parameters import PARAMETERS
from kit.perturbation.pixels import uniform

LARGEST_SIDE = 672
"""Side of the largest pictures that lengths are scaled for; beyond it they leave the bounds of sliders."""

_SIDE = 224

CORRUPTIONS: Mapping[str, tuple[str, tuple[float, ...]]] = MappingProxyType(
    {
        # Standard deviations of .08 to .38 where white is 1.
        "gaussian_noise": ("noise", (20.4, 30.6, 45.9, 66.3, 96.9)),
        # 60, 25, 12, 5 and 3 photons at white: 255 / sqrt(photons).
        "shot_noise": ("shot_noise", tuple(255 / photons**0.5 for photons in (60, 25, 12, 5, 3))),
        "impulse_noise": ("impulse_noise", (0.03, 0.06, 0.09, 0.17, 0.27)),
        "defocus_blur": ("defocus_blur", (3, 4, 6, 8, 10)),
        # Standard deviations measured on the indices of pixels that their code shuffles: it takes from pixels
        # that were moved before, so there is no formula.
        "glass_blur": ("glass_blur", (0.71, 1.2, 2.09, 2.83, 3.95)),
        # Half a Gaussian of standard deviation s over n pixels, (s, n) = (3, 21), (5, 31), (8, 31), (12, 31),
        # (15, 41): a line of the same variance is sqrt(12) times as long as its standard deviation.
        "motion_blur": ("motion_blur", (6.5, 10.7, 17.0, 23.8, 30.2)),
        "zoom_blur": ("zoom_blur", (10, 15, 20, 24, 30)),
        "snow": ("snow", (1, 2, 3, 4, 5)),
        "frost": ("frost", (1, 2, 3, 4, 5)),
        "fog": ("fog", (1, 2, 3, 4, 5)),
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
)
"""For each corruption the parameter that makes it, and its value at severities 1 to 5."""


def settings(name: str, severity: int, seed: int, side: float) -> dict[str, Any]:
    """Return the fields of the perturbation that is this corruption; see `Perturbation.corruption`."""
    parameter, values = CORRUPTIONS[known("corruption", name, CORRUPTIONS)]
    value = values[whole("severity", severity, 1, 5) - 1]
    if not 1 <= number("side", side) <= LARGEST_SIDE:
        raise ValueError(
            f"Expected side within 1..{LARGEST_SIDE}, received {side!r}; make the pictures smaller"
        )
    if PARAMETERS[parameter].unit == "px":
        scale = side / _SIDE
        # A block is never smaller than in the paper: pixels are its unit.
        value *= max(scale, 1) if parameter == "pixelate" else scale
    chosen: dict[str, Any] = {parameter: value, "seed": seed}
    if name == "motion_blur":
        chosen["motion_angle"] = float(round(uniform(seed, "motion", -45, 45)))
    return chosen
