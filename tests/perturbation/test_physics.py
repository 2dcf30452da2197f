"""Scene, lens, light, sensor and file against literal sums, other libraries and what is known by hand."""

import colorsys
import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from kit.perturbation import Perturbation, physics
from kit.perturbation.physics import noise_field
from tests.page import record


def slope(axis, side):
    """An image whose values say the row (axis 0) or the column (axis 1)."""
    return np.repeat(
        np.indices((side, side))[axis].astype(np.uint8)[..., None], 3, axis=2
    )


def dot(side=41):
    """One white pixel in the middle of black."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[side // 2, side // 2] = 255
    return pixels


def apply(pixels, **settings):
    return Perturbation(**settings).apply(pixels).pixels


# Fields of noise


def test_the_noise_field_is_standard_normal():
    count = 1_000_000
    samples = noise_field(3, count) / physics.NOISE_STEPS
    # Five standard errors of each estimate: a sound field fails once in a million seeds.
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((samples**power).mean() - expected) < 5 * math.sqrt(variance / count)
    for lag in (1, 3, 300):  # neighbours in channel, pixel and row
        assert abs((samples[lag:] * samples[:-lag]).mean()) < 5 / math.sqrt(count)


def test_a_seed_fixes_the_field_which_is_read_only():
    # Recorded: other numbers here mean that saved notebooks no longer come out as they are stored.
    assert noise_field(0, 4).tolist() == [4578, -5682, -1747, -3291]
    drawn = [
        noise_field(1234, count).copy() for count in (7, 40_000, 200_000)
    ]  # anew, shorter first
    for short in drawn:
        np.testing.assert_array_equal(short, drawn[-1][: short.size])
    field = noise_field(1234, 50)
    with pytest.raises(ValueError, match="read-only"):
        field[0] = 1


def test_kept_fields_stay_within_their_bound(monkeypatch):
    monkeypatch.setattr(physics, "NOISE_CACHE_BYTES", 1000)
    drawn = {seed: noise_field(seed, 200) for seed in range(905, 910)}  # 400 bytes each
    kept = [
        np.shares_memory(noise_field(seed, 200), drawn[seed])
        for seed in (909, 908, 907, 908)
    ]
    # Of two, the one that was asked for last stays.
    assert kept == [True, True, False, True]
    assert not np.shares_memory(
        noise_field(911, 501), noise_field(911, 501)
    )  # too large to keep


def test_pixels_and_noise_are_rounded_half_to_even_and_clipped():
    assert physics.to_pixels(np.float32([-3.0, 0.5, 1.5, 254.6, 300.0])).tolist() == [
        0,
        0,
        2,
        255,
        255,
    ]
    # 2 levels of noise and 1024 of 4096 steps: half a level.
    field = np.full(4, 1024, np.int16)
    assert physics.add_field(np.uint8([0, 1, 2, 3]), 2.0, field).tolist() == [
        0,
        2,
        2,
        4,
    ]


def test_what_the_tests_of_the_page_compare_with_is_what_the_kernel_computes():
    kept = record.FILE.read_text(encoding="utf-8")
    assert kept == record.recorded(), "run make record, and read what differs"


# Scene


def test_flips_swap_sides():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(apply(pixels, flip_horizontal=True), pixels[:, ::-1])
    np.testing.assert_array_equal(apply(pixels, flip_vertical=1), pixels[::-1])


def test_an_elastic_displacement_has_the_stated_deviation_and_is_smooth():
    for axis in (0, 1):
        still = np.ascontiguousarray(slope(axis, 250)[:, :150])
        moved = np.stack([physics.elastic(still, 3.0, seed) for seed in range(6)])
        inside = (moved.astype(float) - still)[:, 20:-20, 20:-20, 0]
        assert abs(inside.mean()) < 0.15
        assert abs(inside.std() - 3) < 0.15
        # Mirrored at the border, where half of them would lie beyond it.
        assert 2 < moved.swapaxes(1, axis + 1)[:, 0].mean() < 4
        # Neighbours under a Gaussian of 1 % of 150 pixels correlate by exp(-1 / (4 * 1.5**2)) = 0.89, of 250
        # pixels by 0.96.
        beside = np.corrcoef(inside[..., 1:].ravel(), inside[..., :-1].ravel())[0, 1]
        above = np.corrcoef(inside[:, 1:].ravel(), inside[:, :-1].ravel())[0, 1]
        assert 0.87 < beside < 0.91
        assert 0.94 < above < 0.98
    # Of a small image by one pixel: exp(-1 / 4) = 0.78.
    small = np.ascontiguousarray(slope(1, 40)[:40])
    moves = [
        physics.elastic(small, 1.0, seed) - small.astype(float) for seed in range(9)
    ]
    inside = np.stack(moves)[:, 5:-5, 5:-5, 0]
    beside = np.corrcoef(inside[..., 1:].ravel(), inside[..., :-1].ravel())[0, 1]
    assert 0.7 < beside < 0.86


def test_an_occluder_hides_the_stated_share_and_moves_to_the_borders():
    white = np.full((100, 200, 3), 255, np.uint8)
    for share in (0.01, 0.25, 0.49, 1):
        hidden = (apply(white, occlusion=share) == physics.OCCLUDER).all(axis=-1)
        assert hidden.mean() == share
    for place, edges in (
        ({}, (25, 74, 50, 149)),
        ({"occlusion_x": 0, "occlusion_y": 1}, (50, 99, 0, 99)),
    ):
        rows, columns = (
            apply(white, occlusion=0.25, **place)[..., 0] == physics.OCCLUDER
        ).nonzero()
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == edges


# Lens


def test_convolution_is_the_sum_it_stands_for():
    generator = np.random.default_rng(0)
    for shape, kernel in [
        ((30, 41), (7, 3)),
        ((5, 4), (9, 9)),
        ((1, 1), (5, 5)),
        ((28, 28), (1, 1)),
    ]:
        values = generator.uniform(0, 255, shape).astype(np.float32)
        weights = generator.uniform(0, 1, kernel).astype(np.float32)
        # numpy mirrors without repeating the border, which scipy calls mirror.
        expected = ndimage.convolve(values, weights / weights.sum(), mode="mirror")
        np.testing.assert_allclose(
            physics.convolve(values, weights), expected, atol=2e-3
        )


def test_a_point_out_of_focus_is_a_disc_and_a_moving_one_a_line_of_the_length_and_angle():
    spread = physics.defocus_blur(dot(), 6.0)[..., 0].astype(float)
    rows, columns = np.mgrid[-20:21, -20:21]
    distance = np.hypot(rows, columns)
    assert (spread[distance < 5.5] == round(255 / (math.pi * 6**2))).all()
    assert (spread[distance > 6.5] == 0).all()
    across = physics.motion_blur(dot(), 21.5, 0.0)[..., 0].astype(float)
    assert across.sum(axis=1).nonzero()[0].tolist() == [20]
    assert across[20].nonzero()[0].tolist() == list(range(9, 32))
    np.testing.assert_array_equal(
        physics.motion_blur(dot(), 21.5, 90.0)[..., 0].T, across
    )
    rows, columns = physics.motion_blur(dot(), 20.0, 45.0)[..., 0].nonzero()
    assert abs(np.polyfit(columns, -rows, 1)[0] - 1) < 0.05  # up to the right


def test_glass_moves_rows_and_columns_by_the_stated_deviation_and_nothing_past_the_border():
    slopes = [slope(axis, 200) for axis in (0, 1)]
    moved = [
        physics.glass_blur(each, 4.0, 1)[..., 0] - each[..., 0].astype(float)
        for each in slopes
    ]
    weak = physics.blur(physics.blur(dot(), 0.1), 0.1)
    np.testing.assert_array_equal(physics.glass_blur(dot(), 0.1, 1), weak)
    # White noise keeps 1 / (4 pi s**2) of its variance under a Gaussian of deviation s.
    # The result is rounded to whole levels; Pillow makes its Gaussian of three boxes.
    expected = math.sqrt(
        (4**2 + 1 / 12) / (4 * math.pi * (0.55 + 0.22 * 4) ** 2) + 1 / 12
    )
    one, other = (each[20:-20, 20:-20].ravel() for each in moved)
    for each in (one, other):
        assert abs(each.std() / expected - 1) < 0.1
        assert abs(each.mean()) < 0.1
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    # A pixel that would come from outside comes from the border, and not from the opposite one.
    assert moved[1][:, 0].max() < 5 * 4
    assert moved[1][:, -1].min() > -5 * 4


# Light and sensor


def test_lift_adds_to_the_value_of_hsv_and_fade_draws_each_channel_to_its_own_mean():
    colours = np.random.default_rng(0).integers(0, 256, (1, 500, 3)).astype(np.uint8)
    colours[0, :4] = [[0, 0, 0], [255, 255, 255], [9, 0, 0], [255, 0, 1]]
    for levels in (-60.0, 127.5):
        expected = []
        for red, green, blue in colours[0] / 255:
            hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
            value = min(1, max(0, value + levels / 255))
            expected.append(
                np.multiply(colorsys.hsv_to_rgb(hue, saturation, value), 255)
            )
        np.testing.assert_allclose(
            physics.lift(colours, levels)[0], expected, atol=0.501
        )
    pixels = np.array([[[0, 100, 50], [200, 100, 150]]], np.uint8)
    assert physics.fade(pixels, 0.9).tolist() == [[[90, 100, 95], [110, 100, 105]]]


def test_counts_are_poisson_quantiles():
    field = physics.normal_steps(0, "test", 40_000)
    rank = stats.norm.cdf(field / 4096)
    # Exact below 30, an expansion above, which may be off by one where a quantile falls between two counts.
    for mean in (0.0, 0.02, 7.3, 29.9, 30.1, 400.0):
        counts = physics.poisson(
            np.zeros(field.size, np.uint8), np.full(256, mean), field
        )
        expected = stats.poisson.ppf(rank, mean) if mean else np.zeros(field.size)
        assert (counts != expected).mean() <= 0.01 * (mean > 30), mean
        assert np.abs(counts - expected).max() <= 1


def test_each_value_is_counted_at_its_own_level(cat):
    pixels = np.arange(256, dtype=np.uint8).repeat(3 * 400).reshape(-1, 400, 3)
    noisy = physics.shot_noise(pixels, 30.0, 1).reshape(256, -1).astype(float)
    middle = slice(20, 180)  # not clipped
    assert np.abs(noisy.mean(axis=1) - np.arange(256))[
        middle
    ].max() < 5 * 30 / math.sqrt(1200)
    assert abs((noisy.mean(axis=1) - np.arange(256))[middle].mean()) < 0.2
    # The variance is proportional to the light: 30**2 at 255.
    share = noisy.var(axis=1)[middle] / (900 * np.arange(256)[middle] / 255)
    assert abs(share.mean() - 1) < 0.02
    # 3 photons at white: 0, 85, 170 and 255.
    assert set(np.unique(physics.shot_noise(cat.pixels, 255 / math.sqrt(3), 0))) == {
        0,
        85,
        170,
        255,
    }


def test_impulses_are_the_stated_share_half_black_half_white_and_nested():
    grey, lost = np.full((300, 300, 3), 100, np.uint8), {}
    for share in (0.03, 0.27, 1):
        noisy = physics.impulse_noise(grey, share, 3)
        lost[share] = noisy != 100
        for level in (0, 255):
            allowed = 5 * math.sqrt(share / 2 * (1 - share / 2) / noisy.size) + 1e-4
            assert abs((noisy == level).mean() - share / 2) < allowed
    assert (lost[0.27] >= lost[0.03]).all()
    assert lost[1].all()


# File


def test_resolution_is_lost_as_pillow_resizes(cat):
    image = Image.fromarray(cat.pixels)
    width, height = image.size
    small = image.resize((width // 7, height // 7), Image.Resampling.BICUBIC)
    expected = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(physics.downscale(cat.pixels, 7.0), expected)
    checks = np.uint8(np.indices((8, 8)).sum(axis=0) % 2 * 200)
    averaged = physics.pixelate(checks[..., None].repeat(3, axis=2), 2.0)
    assert set(averaged.ravel().tolist()) == {100}
    tiny = physics.pixelate(cat.pixels[:5, :7], 32.0)
    assert (tiny == tiny[0, 0]).all()
