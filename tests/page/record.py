"""Writes down what the kernel makes of pixels, for the tests of the page: ``python -m tests.page.record``."""

import json
import math
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import numpy as np

from kit import samples
from kit.images import Photo
from kit.perturbation import Perturbation
from kit.perturbation.physics import add_field, brightness, noise_field
from tests.pictures import LEVELS

FILE = Path(__file__).parent / "data" / "pixels.json"
HEIGHT, WIDTH = 24, 32
SEED = 5
PAIRS = (
    *((1, 0), (0, 0), (3, 0), (0.35, 0), (1.85, 0)),
    *((1, 1), (1, 13), (1, 100), (0.35, 13), (1.37, 23), (3, 100)),
)
"""Brightness and noise, one of them or both neutral, and together."""
STEPS = (*range(-32768, 32768, 331), *range(-40, 41), 400, -5200, -5760, 12461)
"""Of a field of noise, the far ends included; the last ones show whether each rounding to float32 is made."""
FACTORS = (
    *(i / 100 for i in range(301)),
    *(3 * i / 211 for i in range(212)),
    1e-30,
    math.nextafter(1, 2),
)
"""Of a brightness: places of the slider, uneven ones, and a neighbour of what changes nothing."""
DEVIATIONS = (
    *range(1, 101),
    *(100 * i / 41 for i in range(1, 41)),
    1e-9,
    2.794,
    76.8,
    92.8,
)


def recorded() -> str:
    """What the file has to hold."""
    (photo,) = (
        each for each in samples.photos("photographs") if each.name == "dahlia.jpg"
    )
    # A part with all 256 levels.
    pixels = np.ascontiguousarray(photo.pixels[200 : 200 + HEIGHT, 280 : 280 + WIDTH])
    crop = Photo.from_array(pixels, "crop")
    levels, steps = (
        np.repeat(LEVELS, len(STEPS)),
        np.tile(np.array(STEPS, np.int16), LEVELS.size),
    )
    content = {
        "height": HEIGHT,
        "width": WIDTH,
        "pixels": _text(pixels),
        "field": _text(noise_field(SEED, pixels.size)),
        "pairs": [
            {
                "brightness": factor,
                "noise": deviation,
                "pixels": _text(_perturbed(crop, factor, deviation)),
            }
            for factor, deviation in PAIRS
        ],
        # Of all levels, and of all levels with all steps; a digest, since they are millions.
        "brightness": [
            [factor, _digest(brightness(LEVELS, factor))] for factor in FACTORS
        ],
        "steps": STEPS,
        "noise": [
            [deviation, _digest(add_field(levels, deviation, steps))]
            for deviation in DEVIATIONS
        ],
    }
    lines = (
        f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items()
    )
    return "{" + ",\n".join(lines) + "}\n"


def _perturbed(photo, factor, deviation):
    return (
        Perturbation(brightness=factor, noise=deviation, seed=SEED).apply(photo).pixels
    )


def _text(array):
    return b64encode(array.tobytes()).decode()


def _digest(pixels):
    return sha256(pixels.tobytes()).hexdigest()[:8]


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(recorded(), encoding="utf-8")
