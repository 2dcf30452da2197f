"""What an image can be: how each property is measured, done to other images and undone, and its words.

A row of `CONDITIONS` is all that the kit knows of a property. `kit.shift`, slices of mistakes and the image
causes of a diagnosis read its columns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from kit.images.opening import FORMATS, file_format
from kit.images.photo import Photo
from kit.images.properties import (
    WINDOW,
    Sample,
    blur_radius,
    clipping,
    colour_noise,
    edge_share,
    file_quality,
    grid,
    grid_zeros,
    light_level,
    noise_deviation,
    noise_level,
    relative_contrast,
    saturation,
    sharpness,
)
from kit.perturbation.alterations import (
    Alteration,
    Condition,
    ImageCause,
    coloured,
    compressed,
    cropped,
    grained,
    greened,
    noised,
    perturbed,
    resized,
    sharpened,
    warmed,
)
from kit.perturbation.restoring import (
    balanced,
    brightened,
    cleaned,
    contrasted,
    darkened,
    deblurred,
    smoothed,
)


def _is_of_format(name: str, sample: Sample) -> float:
    return float(file_format(sample.photo.file or b"") == name)


_LESS = (0.85, 0.6, 0.3)
_MORE = (1.15, 1.5, 2.2)
_RATIOS_UP = (1.05, 1.15, 1.4)
_RATIOS_DOWN = (0.95, 0.87, 0.71)
_SHARES = (0.9, 0.75, 0.5)
_DEVIATIONS = (2, 8, 25)
_WARMTH = "red over blue"
_TINT = "green over the rest"
_RELEVEL = "relevelled(photo, (31, 204))"
_BALANCE = "ImageOps.autocontrast(Image.fromarray(photo.pixels), cutoff=5)"

# Of each property, a measure and the setting that brings photos to it.
_DARK = ((10, 0.05), (20, 0.1), (41, 0.2), (82, 0.4), (123, 0.6), (204, 1))
_BRIGHT = (
    (0, 1),
    (0.14, 1.25),
    (0.3, 1.5),
    (0.4, 1.75),
    (0.43, 2),
    (0.45, 2.5),
    (0.55, 3),
)
_FLAT = ((0.044, 0.05), (0.09, 0.1), (0.18, 0.2), (0.36, 0.4), (0.56, 0.6), (1, 1))
_CAST = ((0.22, 0), (0.66, 0.25), (0.98, 0.5), (1.25, 0.75), (1.52, 1))
_BLOCKS = (
    (0.13, 60),
    (0.19, 30),
    (0.27, 20),
    (0.33, 15),
    (0.48, 10),
    (0.58, 7),
    (0.73, 5),
    (1.1, 2),
)

_ROWS = (
    Condition(
        "brightness",
        measure=lambda sample: float(sample.luma.mean()),
        group="light",
        resolution=0.05,
        logarithmic=True,
        little="dark",
        much="bright",
        rank=13,
        alterations=(
            Alteration("darker", _LESS, perturbed("brightness")),
            Alteration("brighter", _MORE, perturbed("brightness")),
        ),
    ),
    Condition(
        "contrast",
        # Root mean square (Peli, Contrast in complex images, 1990), which less light alone leaves as it is.
        measure=lambda sample: (
            float(sample.luma.std()) / max(float(sample.luma.mean()), 1.0)
        ),
        group="light",
        resolution=0.05,
        logarithmic=True,
        much="high-contrast",
        rank=12,
        alterations=(
            Alteration("flatter", _LESS, perturbed("contrast")),
            Alteration("harder", _MORE, perturbed("contrast")),
        ),
    ),
    ImageCause(
        "light",
        measure=lambda sample: light_level(sample.thin),
        group="light",
        unit="level of the brightest 5 %, or 3.5 of the median, 0..255",
        cause="dark",
        adjective="dark",
        advice="Brighten the images",
        ordinary=105,
        below=True,
        parameter="brightness",
        amounts=_DARK,
        undo=brightened,
        call=_RELEVEL,
        brings=("tinted",),
    ),
    Condition(
        "highlights",
        measure=lambda sample: float((sample.luma >= 254).mean()),
        group="clipping",
        title="white pixels",
        resolution=0.005,
        much="overexposed",
        rank=14,
    ),
    Condition(
        "shadows",
        measure=lambda sample: float((sample.luma <= 1).mean()),
        group="clipping",
        title="black pixels",
        resolution=0.005,
    ),
    ImageCause(
        "clipping",
        measure=lambda sample: clipping(sample.thin),
        group="clipping",
        unit="share clipped at white",
        cause="bright",
        adjective="bright",
        advice="Expose less",
        ordinary=0.08,
        parameter="brightness",
        amounts=_BRIGHT,
        undo=darkened,
        call=_RELEVEL,
        brings=("low_contrast",),
    ),
    ImageCause(
        "range",
        measure=lambda sample: relative_contrast(sample.thin),
        group="light",
        unit="range of levels over the sum of its ends",
        little="low-contrast",
        rank=11,
        cause="low_contrast",
        adjective="low in contrast",
        advice="Spread the levels",
        ordinary=0.4,
        below=True,
        parameter="contrast",
        amounts=_FLAT,
        undo=contrasted,
        call=_RELEVEL,
    ),
    Condition(
        "warmth",
        measure=lambda sample: sample.light[0] / sample.light[2],
        group="colour",
        resolution=0.02,
        logarithmic=True,
        little="bluish",
        much="yellowish",
        rank=9,
        alterations=(
            Alteration("warmer", _RATIOS_UP, warmed, _WARMTH),
            Alteration("cooler", _RATIOS_DOWN, warmed, _WARMTH),
        ),
    ),
    Condition(
        "tint",
        measure=lambda sample: (
            sample.light[1] / (sample.light[0] * sample.light[2]) ** 0.5
        ),
        group="colour",
        resolution=0.02,
        logarithmic=True,
        little="pinkish",
        much="greenish",
        rank=10,
        alterations=(
            Alteration("greener", _RATIOS_UP, greened, _TINT),
            Alteration("more magenta", _RATIOS_DOWN, greened, _TINT),
        ),
    ),
    ImageCause(
        "cast",
        measure=lambda sample: float(np.ptp(np.log2(sample.light))),
        group="colour",
        unit="stops between the channels",
        cause="tinted",
        adjective="tinted",
        advice="Balance the channels",
        ordinary=0.8,
        parameter="white_balance",
        amounts=_CAST,
        undo=balanced,
        call=_BALANCE,
    ),
    Condition(
        "saturation",
        measure=lambda sample: saturation(sample.thin),
        group="colour",
        resolution=0.01,
        little="pale",
        much="colourful",
        rank=15,
        alterations=(
            Alteration("paler", (0.8, 0.4, 0), coloured),
            Alteration("more colourful", (1.2, 1.6, 2.5), coloured),
        ),
    ),
    Condition(
        "sharpness",
        measure=lambda sample: sharpness(sample.middle),
        group="texture",
        resolution=0.02,
        alterations=(
            Alteration(
                "blurred",
                (0.5, 1, 2.5),
                perturbed("blur"),
                unit="px",
                neutral=0,
                opposite="sharper",
            ),
            Alteration(
                "sharpened",
                (50, 120, 300),
                sharpened,
                unit="% of an unsharp mask",
                neutral=0,
            ),
        ),
    ),
    ImageCause(
        "noise",
        measure=lambda sample: noise_level(sample.middle),
        group="noise",
        unit="standard deviation, in levels",
        resolution=0.25,
        much="noisy",
        rank=5,
        alterations=(
            Alteration(
                "noisy",
                _DEVIATIONS,
                noised,
                unit="levels",
                neutral=0,
                opposite="cleaner",
            ),
            Alteration(
                "grainy",
                _DEVIATIONS,
                grained,
                unit="levels of grey noise",
                neutral=0,
                opposite="less grainy",
            ),
        ),
        cause="noisy",
        adjective="noisy",
        advice="Remove the noise",
        ordinary=8,
        parameter="noise",
        read=noise_deviation,
        undo=cleaned,
        call="restored(photo, noise={:.3g})",
    ),
    Condition(
        "colour_noise",
        measure=lambda sample: colour_noise(sample.middle),
        group="noise",
        resolution=0.25,
    ),
    ImageCause(
        "edge_share",
        measure=lambda sample: edge_share(sample.middle),
        group="texture",
        unit="share of a step over 8 pixels between two",
        little="blurred",
        rank=6,
        cause="blurred",
        adjective="blurred",
        advice="Sharpen, or focus better",
        ordinary=0.27,
        below=True,
        parameter="blur",
        read=blur_radius,
        undo=deblurred,
        call="restored(photo, blur={:.3g})",
        brings=("low_contrast",),
    ),
    Condition(
        "blocking",
        measure=lambda sample: grid_zeros(sample.middle),
        group="texture",
        title="JPEG blocks",
        resolution=0.01,
        much="compressed",
        rank=7,
        alterations=(
            Alteration(
                "compressed",
                (90, 60, 15),
                compressed,
                unit="JPEG quality",
                neutral=100,
                opposite="less compressed",
            ),
        ),
    ),
    ImageCause(
        "grid",
        measure=lambda sample: grid(sample.middle),
        group="texture",
        unit="regular part of the steps between pixels, as a share",
        much="blocky",
        rank=8,
        cause="jpeg",
        adjective="blocky",
        advice="Save with a higher quality",
        ordinary=0.16,
        parameter="jpeg_quality",
        amounts=_BLOCKS,
        undo=smoothed,
        call="restored(photo, jpeg_quality={:.3g})",
    ),
    Condition(
        "jpeg_quality",
        measure=lambda sample: file_quality(sample.photo.file),
        group="file",
        title="JPEG quality",
        resolution=2,
        little="low-quality JPEG",
        rank=4,
    ),
    Condition(
        "size",
        measure=lambda sample: float(np.sqrt(np.prod(sample.photo.size))),
        group="shape",
        resolution=0.05,
        logarithmic=True,
        little="small",
        much="large",
        rank=3,
        alterations=(
            Alteration("reduced", (0.8, 0.5, 0.25), resized(width=1, height=1)),
            Alteration("enlarged", (1.25, 2, 4), resized(width=1, height=1)),
            Alteration("cropped", (0.9, 0.7, 0.5), cropped(width=1, height=1)),
        ),
    ),
    Condition(
        "aspect",
        measure=lambda sample: sample.photo.size[1] / sample.photo.size[0],
        group="shape",
        resolution=0.05,
        logarithmic=True,
        little="tall",
        much="wide",
        rank=2,
        alterations=(
            Alteration("squeezed", (0.85, 0.65, 0.4), resized(width=0.5, height=-0.5)),
            Alteration("stretched", (1.2, 1.6, 2.5), resized(width=0.5, height=-0.5)),
            Alteration("narrower", _SHARES, cropped(width=1, height=0)),
            Alteration("wider", _SHARES, cropped(width=0, height=1)),
        ),
    ),
    Condition(
        "turned",
        measure=lambda sample: float(
            "EXIF orientation" in " ".join(sample.photo.notes)
        ),
        group="file",
        title="EXIF turn",
        resolution=0.1,
        binary=True,
        much="turned",
        rank=0,
    ),
    *(
        Condition(
            name,
            measure=partial(_is_of_format, name),
            group="file",
            binary=True,
            much=name,
            rank=1,
        )
        for name in FORMATS
    ),
)
CONDITIONS: Mapping[str, Condition] = {row.name: row for row in _ROWS}
"""Everything that is measured, by its name."""

QUANTITIES: Mapping[str, Condition] = {row.name: row for row in _ROWS if row.resolution}
"""What two sets of images are compared by."""

ALTERATIONS: Mapping[str, Alteration] = {
    alteration.name: replace(alteration, quantity=row.name)
    for row in _ROWS
    for alteration in row.alterations
}
"""Every alteration by its name."""

IMAGE_CAUSES: Mapping[str, ImageCause] = {
    row.cause: row for row in _ROWS if isinstance(row, ImageCause)
}
"""What a diagnosis may blame, by the name of the cause."""


def measures(
    photo: Photo, conditions: Iterable[Condition], window: int = WINDOW
) -> list[float]:
    """Measure an image by some of `CONDITIONS`, in their order; see `Sample`."""
    sample = Sample(photo, window)
    return [condition.measure(sample) for condition in conditions]
