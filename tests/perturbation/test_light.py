"""Light against colorsys."""

import colorsys

import numpy as np

from kit.perturbation import physics


def test_lift_adds_to_the_value_of_hsv():
    colours = np.random.default_rng(0).integers(0, 256, (1, 500, 3)).astype(np.uint8)
    colours[0, :4] = [[0, 0, 0], [255, 255, 255], [9, 0, 0], [255, 0, 1]]
    for levels in (-60.0, 25.5, 127.5):
        expected = []
        for red, green, blue in colours[0] / 255:
            hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
            value = min(1, max(0, value + levels / 255))
            expected.append(np.multiply(colorsys.hsv_to_rgb(hue, saturation, value), 255))
        np.testing.assert_allclose(physics.lift(colours, levels)[0], expected, atol=0.501)


def test_fade_draws_each_channel_to_its_own_mean():
    pixels = np.array([[[0, 100, 50], [200, 100, 150]]], np.uint8)
    assert physics.fade(pixels, 0.9).tolist() == [[[90, 100, 95], [110, 100, 105]]]
    assert physics.fade(pixels, 1.0).tolist() == [[[100, 100, 100], [100, 100, 100]]]
