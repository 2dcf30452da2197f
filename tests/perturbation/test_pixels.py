"""Fields of noise: standard normal, the same for each seed, independent for each purpose."""

import math
from zlib import crc32

import numpy as np
import pytest

from kit.perturbation import physics
from kit.perturbation.physics import NOISE_STEPS, derived_seed, noise_field, normal, steps, to_pixels, uniform

COUNT = 100_000


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
    monkeypatch.setattr(physics, "NOISE_CACHE_BYTES", 1000)
    drawn = {seed: noise_field(seed, 200) for seed in range(905, 910)}  # 400 bytes each

    def kept(seed):
        return np.shares_memory(noise_field(seed, 10), drawn[seed])

    assert kept(909)
    assert kept(908)
    drawn[910] = noise_field(910, 200)
    assert kept(910)
    assert kept(908)  # it was used last
    assert not np.shares_memory(noise_field(911, 501), noise_field(911, 501))  # too large to keep
    assert kept(908)
    assert not kept(909)


def test_a_field_that_isphysics_longer_takes_the_place_of_the_short_one_and_is_the_newest(monkeypatch):
    monkeypatch.setattr(physics, "NOISE_CACHE_BYTES", 1000)
    noise_field(920, 100)
    second, longer = noise_field(921, 200), noise_field(920, 200)  # 400 bytes each
    noise_field(922, 200)
    assert np.shares_memory(noise_field(920, 10), longer)
    assert not np.shares_memory(noise_field(921, 10), second)
    # Of exactly as many bytes as there may be, it is kept alone.
    whole = noise_field(923, 500)
    assert np.shares_memory(noise_field(923, 500), whole)


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
