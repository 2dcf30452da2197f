"""Random fields: one seed gives a field of its own to each purpose, and the same one each time."""

from zlib import crc32

import numpy as np

from kit.perturbation.pixels import noise_field
from kit.perturbation.random_fields import derived_seed, normal, steps, to_pixels, uniform

COUNT = 100_000


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
