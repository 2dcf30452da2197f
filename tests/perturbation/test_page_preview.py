"""Brightness and noise against the arithmetic of the page's preview."""

from pathlib import Path

import numpy as np

from kit.images import load_image
from kit.perturbation import Perturbation
from kit.perturbation.light import brightness
from kit.perturbation.pixels import noise_field
from kit.perturbation.sensor import add_field
from tests.pictures import FACTORS, LEVELS, scene

# The page's preview, operation by operation: numbers are doubles, Math.fround rounds one to float32, and a
# Uint8ClampedArray clips and then rounds half to even.


def fround(number):
    return np.asarray(number, np.float64).astype(np.float32).astype(np.float64)


def page_brightness(value, factor):
    alpha = fround(factor)
    product = fround(alpha * value)
    return np.where(product <= 0, 0, np.where(product >= 255, 255, np.trunc(product)))


def page_noise(value, deviation, q):
    scale = fround(deviation / 4096)
    return np.rint(np.clip(fround(fround(scale * q) + value), 0, 255))


def test_brightness_equals_the_pages_arithmetic_for_every_level():
    values = LEVELS.astype(np.float64)
    for factor in FACTORS:
        np.testing.assert_array_equal(brightness(LEVELS, factor), page_brightness(values, factor))


def test_noise_equals_the_pages_arithmetic_for_every_level():
    q = np.unique(np.r_[-32768:32768:331, -40:41]).astype(np.int16)
    values = np.repeat(LEVELS, q.size)
    field = np.tile(q, LEVELS.size)
    deviations = [*range(1, 101), *np.random.default_rng(0).uniform(0, 100, 40), 1e-9]
    for deviation in deviations:
        expected = page_noise(values.astype(np.float64), deviation, field.astype(np.float64))
        np.testing.assert_array_equal(add_field(values, deviation, field), expected)


def test_noise_rounds_half_to_even():
    # 2 levels of noise and 1024 of 4096 steps: half a level.
    field = np.full(4, 1024, np.int16)
    assert add_field(np.array([0, 1, 2, 3], np.uint8), 2.0, field).tolist() == [0, 2, 2, 4]


def test_the_preview_in_the_page_equals_brightness_and_noise_together():
    settings = Perturbation(brightness=1.37, noise=23.0, seed=5)
    photo = scene()
    q = noise_field(5, photo.pixels.size)
    expected = [
        float(page_noise(page_brightness(float(value), 1.37), 23.0, float(step)))
        for value, step in zip(photo.pixels.ravel().tolist(), q.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(settings.apply(photo).pixels.ravel(), expected)


def test_the_preview_in_the_page_equals_the_kernel_on_photographs():
    folder = Path(__file__).parents[2] / "data" / "photographs"
    paths = sorted(path for path in folder.glob("*") if path.suffix in {".jpg", ".png"})[:3]
    assert len(paths) == 3
    for path in paths:
        photo = load_image(path)
        q = noise_field(0, photo.pixels.size).reshape(photo.pixels.shape)
        expected = page_noise(
            page_brightness(photo.pixels.astype(np.float64), 0.6), 17.0, q.astype(np.float64)
        )
        np.testing.assert_array_equal(Perturbation(brightness=0.6, noise=17.0).apply(photo).pixels, expected)
