"""Blurs against literal sums, and what a slider may expect of them."""

import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from kit.perturbation.physics import (
    blur,
    convolve,
    defocus_blur,
    glass_blur,
    line_kernel,
    motion_blur,
    zoom_blur,
)


@pytest.fixture(scope="module")
def face(cat):
    return cat.pixels[60:200, 100:280].copy()


def dot(side=41):
    """One white pixel in the middle of black."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[side // 2, side // 2] = 255
    return pixels


def test_convolution_is_the_sum_it_stands_for():
    generator = np.random.default_rng(0)
    for shape, kernel in [((30, 41), (7, 3)), ((5, 4), (9, 9)), ((1, 1), (5, 5)), ((28, 28), (1, 1))]:
        values = generator.uniform(0, 255, shape).astype(np.float32)
        weights = generator.uniform(0, 1, kernel).astype(np.float32)
        # numpy mirrors without repeating the border, which scipy calls mirror.
        expected = ndimage.convolve(values, weights / weights.sum(), mode="mirror")
        np.testing.assert_allclose(convolve(values, weights), expected, atol=2e-3)


def test_a_point_out_of_focus_is_a_disc():
    spread = defocus_blur(dot(), 6.0)[..., 0].astype(float)
    rows, columns = np.mgrid[-20:21, -20:21]
    distance = np.hypot(rows, columns)
    level = round(255 / (math.pi * 6**2))
    assert (spread[distance < 5.5] == level).all()
    assert (spread[distance > 6.5] == 0).all()


def test_a_moving_point_is_a_line_of_the_length_and_angle():
    across = motion_blur(dot(), 20.0)[..., 0].astype(float)
    assert across.sum(axis=1).nonzero()[0].tolist() == [20]
    assert across[20].nonzero()[0].tolist() == list(range(10, 31))
    upwards = motion_blur(dot(), 20.0, angle=90.0)[..., 0]
    np.testing.assert_array_equal(upwards.T, across)
    rows, columns = motion_blur(dot(), 20.0, angle=45.0)[..., 0].nonzero()
    assert abs(np.polyfit(columns, -rows, 1)[0] - 1) < 0.05  # up to the right


def test_a_line_keeps_its_weights_and_its_centre():
    places = np.linspace(-7, 7, 50, dtype=np.float32)
    for angle in (0, 13, 45, 90, 171):
        kernel = line_kernel(places, np.ones_like(places), angle)
        rows, columns = np.indices(kernel.shape) - kernel.shape[0] // 2
        assert abs(kernel.sum() - 50) < 1e-3
        assert abs((kernel * rows).sum()) < 1e-2
        # Even weights over a length L have the variance L**2 / 12; sharing adds up to a quarter an axis.
        spread = (kernel * (rows**2 + columns**2)).sum() / 50
        assert 14**2 / 12 <= spread <= 14**2 / 12 * 50 / 49 + 0.75


def test_glass_moves_pixels_by_the_stated_deviation():
    # Columns that count up tell where a pixel came from; the slight blurs keep a slope, but for the borders.
    slope = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    moved = slope[20:-20, 20:-20].astype(float) - glass_blur(slope, 4.0, 1)[20:-20, 20:-20]
    softness = 0.55 + 0.22 * 4
    # White noise keeps 1 / (4 pi s**2) of its variance under a Gaussian of deviation s.
    # The result is rounded to whole levels; Pillow makes its Gaussian of three boxes.
    expected = math.sqrt((4**2 + 1 / 12) / (4 * math.pi * softness**2) + 1 / 12)
    assert abs(moved.std() / expected - 1) < 0.1
    assert abs(moved.mean()) < 0.1


def test_glass_moves_rows_and_columns_by_fields_of_their_own_and_nothing_past_the_border():
    places = np.indices((200, 200)).astype(np.uint8)
    down, across = (
        glass_blur(np.repeat(each[..., None], 3, axis=2), 4.0, 1)[..., 0].astype(float) - each
        for each in places
    )
    inside = slice(20, -20)
    one, other = (moved[inside, inside].ravel() for moved in (down, across))
    assert abs(one.std() / other.std() - 1) < 0.05
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    # A pixel that would come from outside comes from the border, and not from the opposite one.
    assert across[:, 0].max() < 5 * 4
    assert across[:, -1].min() > -5 * 4


def test_glass_that_moves_nothing_blurs_twice(face):
    # A displacement would round to a pixel beyond five deviations only.
    np.testing.assert_array_equal(glass_blur(face, 0.1), blur(blur(face, 0.1), 0.1))
    # 0.55 + 0.22 * deviation, a line through ImageNet-C's pairs, once that is the smaller one.
    grey = np.full((60, 60, 3), 7, np.uint8)
    grey[:, 30:] = 207
    width = np.diff(glass_blur(grey, 1.0, 3)[..., 0].mean(axis=0)) / 200
    places = np.arange(59) - 29
    # Two Gaussians of 0.77 pixels and a displacement that is rounded to whole pixels.
    assert abs((width * places**2).sum() - (2 * 0.77**2 + 1 + 1 / 12)) < 0.15


@pytest.mark.parametrize("function", [defocus_blur, glass_blur, motion_blur, zoom_blur])
def test_next_to_no_blur_changes_next_to_nothing(face, function):
    assert np.abs(function(face, 0.01).astype(float) - face).mean() < 0.1


def test_zoom_keeps_the_centre_and_spreads_the_border():
    spread = zoom_blur(dot(101), 0.1)
    np.testing.assert_allclose(spread, dot(101), atol=10)
    rings = np.zeros((101, 101, 3), np.uint8)
    rings[:, 90] = 255
    blurred = zoom_blur(rings, 20.0)[50, :, 0]
    # From 40 pixels off the centre to 48, which is 20 % farther.
    assert blurred[90:99].min() > 0
    assert blurred[:89].max() == 0


def test_zoom_is_the_mean_over_evenly_spaced_zooms(face):
    plane = face[..., 0].astype(float)
    middle = (np.array(plane.shape) - 1) / 2
    zooms = np.linspace(1, 1.2, 100)
    expected = sum(
        ndimage.affine_transform(plane, np.full(2, 1 / zoom), middle - middle / zoom, order=1, mode="nearest")
        for zoom in zooms
    ) / len(zooms)
    assert np.abs(zoom_blur(face, 20.0)[..., 0] - expected).mean() < 0.5


@pytest.mark.parametrize("function", [defocus_blur, glass_blur, motion_blur, zoom_blur])
def test_more_is_blurrier_and_a_small_step_is_small(face, function):
    def roughness(pixels):
        return np.abs(np.diff(pixels.astype(float), axis=1)).mean()

    strengths = [1, 2, 4, 8]
    results = [roughness(function(face, float(strength))) for strength in strengths]
    assert sorted(results, reverse=True) == results
    # A twentieth of a pixel (or of a percent) changes no picture by more than a level on average.
    for strength in strengths:
        step = function(face, strength + 0.05).astype(float) - function(face, float(strength))
        assert np.abs(step).mean() < 1


def test_a_strong_zoom_is_the_mean_of_32_pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 300, 3), dtype=np.uint8)
    zoomed = []
    for zoom in np.linspace(1, 1.5, 32):
        left, top = 150 - 150 / zoom, 2 - 2 / zoom
        box = (left, top, 300 - left, 4 - top)
        zoomed.append(
            np.asarray(Image.fromarray(pixels).resize((300, 4), Image.Resampling.BILINEAR, box=box))
        )
    assert np.abs(zoom_blur(pixels, 50.0) - np.mean(zoomed, axis=0)).max() <= 0.51
