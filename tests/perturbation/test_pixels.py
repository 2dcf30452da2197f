"""Fields of noise: standard normal, the same for each seed, independent for each purpose."""

import math
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from kit.images import load_image
from kit.perturbation import Perturbation, light, pixels, sensor
from kit.perturbation.pixels import NOISE_STEPS, derived_seed, noise_field, normal, steps, to_pixels, uniform
from tests.pictures import FACTORS, LEVELS, scene

COUNT = 100_000

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
        np.testing.assert_array_equal(light.brightness(LEVELS, factor), page_brightness(values, factor))


def test_noise_equals_the_pages_arithmetic_for_every_level():
    q = np.unique(np.r_[-32768:32768:331, -40:41]).astype(np.int16)
    values = np.repeat(LEVELS, q.size)
    field = np.tile(q, LEVELS.size)
    deviations = [*range(1, 101), *np.random.default_rng(0).uniform(0, 100, 40), 1e-9]
    for deviation in deviations:
        expected = page_noise(values.astype(np.float64), deviation, field.astype(np.float64))
        np.testing.assert_array_equal(sensor.add_field(values, deviation, field), expected)


def test_noise_rounds_half_to_even():
    # 2 levels of noise and 1024 of 4096 steps: half a level.
    field = np.full(4, 1024, np.int16)
    assert sensor.add_field(np.array([0, 1, 2, 3], np.uint8), 2.0, field).tolist() == [0, 2, 2, 4]


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


def test_the_noise_field_is_standard_normal():
    count = 1_000_000
    samples = noise_field(3, count) / NOISE_STEPS
    # Five standard errors of each estimate: a sound field fails once in a million seeds.
    assert abs(samples.mean()) < 5 / math.sqrt(count)
    assert abs(samples.std() - 1) < 5 / math.sqrt(2 * count)
    assert abs((samples**3).mean()) < 5 * math.sqrt(15 / count)
    assert abs((samples**4).mean() - 3) < 5 * math.sqrt(96 / count)
    share = math.erf(2 / math.sqrt(2))
    assert (
        abs((np.abs(samples) < 2).mean() - share)
        < 5 * math.sqrt(share * (1 - share) / count) + 1 / NOISE_STEPS
    )
    for lag in (1, 3, 300):  # neighbours in channel, pixel and row
        assert abs((samples[lag:] * samples[:-lag]).mean()) < 5 / math.sqrt(count)


def test_a_seed_fixes_the_field():
    # Recorded: other numbers here mean that saved notebooks no longer come out as they are stored.
    assert noise_field(0, 4).tolist() == [4578, -5682, -1747, -3291]
    assert not np.array_equal(noise_field(0, 100), noise_field(1, 100))


def test_the_field_of_a_small_picture_begins_that_of_a_large_one():
    drawn = [noise_field(1234, count).copy() for count in (7, 40_000, 200_000)]  # anew, shorter first
    long = drawn[-1]
    for short in drawn:
        np.testing.assert_array_equal(short, long[: short.size])
    for count in (0, 1, 7, 32_768, 32_769, 199_999):
        np.testing.assert_array_equal(noise_field(1234, count), long[:count])


def test_the_field_is_shared_and_read_only():
    field = noise_field(8, 50)
    assert np.shares_memory(field, noise_field(8, 20))
    assert field.dtype == np.int16
    with pytest.raises(ValueError, match="read-only"):
        field[0] = 1


def test_kept_fields_stay_within_their_bound(monkeypatch):
    monkeypatch.setattr(pixels, "NOISE_CACHE_BYTES", 1000)
    drawn = {seed: noise_field(seed, 200) for seed in range(5)}  # 400 bytes each

    def kept(seed):
        return np.shares_memory(noise_field(seed, 10), drawn[seed])

    assert kept(4)
    assert kept(3)
    drawn[5] = noise_field(5, 200)
    assert kept(5)
    assert kept(3)  # it was used last
    assert not np.shares_memory(noise_field(6, 501), noise_field(6, 501))  # too large to keep
    assert kept(3)
    assert not kept(4)


def test_a_seed_belongs_to_its_purpose_and_is_numpys():
    expected = np.random.SeedSequence((3, crc32(b"snow"))).generate_state(2, np.uint64)[0]
    assert derived_seed(3, "snow") == expected


def test_fields_of_other_purposes_and_seeds_have_nothing_in_common():
    fields = [
        steps(3, "snow", COUNT),
        steps(3, "glass", COUNT),
        steps(4, "snow", COUNT),
        noise_field(3, COUNT),
    ]
    between = np.corrcoef(fields)[np.triu_indices(4, 1)]
    assert np.abs(between).max() < 5 / np.sqrt(COUNT)
    np.testing.assert_array_equal(steps(3, "snow", 50), fields[0][:50])


def test_normal_samples_are_steps_of_a_4096th_of_a_deviation():
    samples = normal(3, "snow", (2, 5))
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples.ravel(), steps(3, "snow", 10) / 4096)
    samples[:] = 0  # a copy
    assert normal(3, "snow", (2, 5)).any()


def test_a_uniform_number_is_anywhere_within_its_bounds():
    numbers = [uniform(seed, "motion", -45, 45) for seed in range(300)]
    assert -45 <= min(numbers) < -44 < 44 < max(numbers) <= 45
    assert abs(np.mean(numbers)) < 5 * 90 / np.sqrt(12 * 300)
    assert uniform(1, "motion", 0, 1) != uniform(1, "snow", 0, 1)


def test_pixels_are_rounded_half_to_even_and_clipped():
    values = np.array([-3.0, 0.5, 1.5, 254.6, 300.0], np.float32)
    assert to_pixels(values).tolist() == [0, 0, 2, 255, 255]
