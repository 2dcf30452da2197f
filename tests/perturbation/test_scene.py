"""Flips, elastic deformation and occlusion by hand."""

import numpy as np
from scipy import ndimage

from kit.images import Photo
from kit.perturbation import Perturbation, physics


def slope(axis, side=120):
    """A picture whose values say the row (axis 0) or the column (axis 1)."""
    return np.repeat(np.indices((side, side))[axis].astype(np.uint8)[..., None], 3, axis=2)


def apply(pixels, **settings):
    return Perturbation(**settings).apply(Photo.from_array(pixels)).pixels


def test_flips_swap_sides():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(apply(pixels, flip_horizontal=True), pixels[:, ::-1])
    np.testing.assert_array_equal(apply(pixels, flip_vertical=1), pixels[::-1])
    both = apply(pixels, flip_horizontal=True, flip_vertical=True)
    np.testing.assert_array_equal(both, np.rot90(pixels, 2))


def test_an_elastic_displacement_has_the_stated_deviation_along_both_axes():
    for axis in (0, 1):
        moved = np.stack([physics.elastic(slope(axis, 250), 3.0, seed) for seed in range(4)]).astype(float)
        moved -= slope(axis, 250)
        inside = moved[:, 20:-20, 20:-20, 0]
        assert abs(inside.mean()) < 0.15
        assert abs(inside.std() - 3) < 0.15


def neighbours(moved, axis):
    """Correlation of the values beside each other along an axis of (pictures, rows, columns)."""
    one, other = (np.delete(moved, edge, axis).ravel() for edge in (0, -1))
    return np.corrcoef(one, other)[0, 1]


def test_an_elastic_field_is_as_smooth_as_each_side_asks_and_never_rougher_than_a_pixel():
    # A Gaussian of 1 % of a side s leaves a correlation of exp(-1 / (4 s**2)) between neighbours: 2.5 pixels
    # on a side of 250, 1 pixel on one of 100 and, since that is the least, on one of 28.
    for height, width, expected in [
        (100, 250, (0.78, 0.96)),
        (250, 100, (0.96, 0.78)),
        (28, 28, (0.78, 0.78)),
    ]:
        columns = np.indices((height, width))[1]
        pixels = np.repeat(columns.astype(np.uint8)[..., None] * (250 // width), 3, axis=2)
        moved = np.stack([physics.elastic(pixels, 1.5, seed)[..., 0] for seed in range(8)]) / (250 // width)
        moved = (moved - columns)[:, 7:-7, 7:-7]
        assert abs(moved.std() - 1.5) < 0.12
        rounding = 1 / (12 * (250 // width) ** 2) / moved.var()
        for axis, correlation in zip((1, 2), expected, strict=True):
            assert abs(neighbours(moved, axis) / (1 - rounding) - correlation) < 0.03


def test_one_field_is_scaled():
    fine = (slope(1, 120) * 2).astype(np.uint8)
    weak, strong = (
        physics.elastic(fine, deviation, 5)[25:-25, 25:-25].astype(float) for deviation in (2.0, 4.0)
    )
    clean = fine[25:-25, 25:-25]
    assert np.abs((strong - clean) - 2 * (weak - clean)).max() <= 2  # roundings


def test_an_elastic_field_is_smooth():
    moved = (
        physics.elastic(slope(1, 250), 3.0, 0)[20:-20, 20:-20, 0].astype(float)
        - slope(1, 250)[20:-20, 20:-20, 0]
    )
    # Neighbours under a Gaussian of 2.5 pixels correlate by exp(-1 / (4 * 2.5**2)) = 0.96.
    assert 0.93 < np.corrcoef(moved[:, 1:].ravel(), moved[:, :-1].ravel())[0, 1] < 0.98


def test_an_occluder_hides_the_stated_share_and_moves_to_the_borders():
    white = np.full((100, 200, 3), 255, np.uint8)
    for share in (0.01, 0.25, 0.49, 1):
        hidden = (apply(white, occlusion=share) == physics.OCCLUDER).all(axis=-1)
        assert hidden.mean() == share
    rows, columns = (apply(white, occlusion=0.25)[..., 0] == physics.OCCLUDER).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (25, 74, 50, 149)
    rows, columns = (apply(white, occlusion=0.25, occlusion_x=0, occlusion_y=1)[..., 0] == 128).nonzero()
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (50, 99, 0, 99)
    assert ndimage.label(apply(white, occlusion=0.1)[..., 0] == 128)[1] == 1
