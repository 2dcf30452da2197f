"""Scene, lens, light, sensor and file against literal sums, other libraries and what is known by hand."""

import math

import numpy as np
import pytest
from PIL import Image

from kit.perturbation import Perturbation, physics
from kit.perturbation.physics import noise_field
from tests.page import record


def dot(side=41):
    """One white pixel in the middle of black."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[side // 2, side // 2] = 255
    return pixels


def apply(pixels, **settings):
    return Perturbation(**settings).apply(pixels).pixels


# Fields of noise


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


def test_an_elastic_displacement_is_smooth_by_a_share_of_each_side():
    columns = np.tile(np.arange(150, dtype=np.uint8)[:, None], (250, 1, 3))
    moved = [physics.elastic(columns, 3.0, seed) for seed in range(6)]
    inside = (np.float64(moved) - columns)[:, 20:-20, 20:-20, 0]
    # Neighbours under a Gaussian of 1 % of 150 pixels correlate by exp(-1 / (4 * 1.5**2)) = 0.89, of 250
    # pixels by 0.96.
    beside = np.corrcoef(inside[..., 1:].ravel(), inside[..., :-1].ravel())[0, 1]
    above = np.corrcoef(inside[:, 1:].ravel(), inside[:, :-1].ravel())[0, 1]
    assert 0.87 < beside < 0.91
    assert 0.94 < above < 0.98


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


def test_a_moving_point_is_a_line_of_the_length_and_angle():
    across = physics.motion_blur(dot(), 21.5, 0.0)[..., 0]
    assert across.any(axis=1).nonzero()[0].tolist() == [20]
    assert across[20].nonzero()[0].tolist() == list(range(9, 32))
    rows, columns = physics.motion_blur(dot(), 20.0, 45.0)[..., 0].nonzero()
    assert abs(np.polyfit(columns, -rows, 1)[0] - 1) < 0.05  # up to the right


def test_weak_glass_is_two_weak_blurs():
    weak = physics.blur(physics.blur(dot(), 0.1), 0.1)
    np.testing.assert_array_equal(physics.glass_blur(dot(), 0.1, 1), weak)


# Light and sensor


def test_lift_adds_to_the_value_of_hsv():
    colours = np.uint8([[[0, 0, 0], [9, 0, 0], [200, 100, 50]]])
    # Half of 200 and of its channels is left; black becomes grey.
    assert physics.lift(colours, -100).tolist() == [[[0] * 3, [0] * 3, [100, 50, 25]]]
    assert physics.lift(colours, 100).tolist() == [
        [[100] * 3, [109, 0, 0], [255, 128, 64]]
    ]


def test_three_photons_at_white_make_four_levels(cat):
    noisy = physics.shot_noise(cat.pixels, 255 / math.sqrt(3), 0)
    assert set(np.unique(noisy)) == {0, 85, 170, 255}


def test_impulses_are_nested():
    grey = np.full((300, 300, 3), 100, np.uint8)
    few, more, all_of_them = (
        physics.impulse_noise(grey, share, 3) != 100 for share in (0.03, 0.27, 1)
    )
    assert (more >= few).all()
    assert all_of_them.all()


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
