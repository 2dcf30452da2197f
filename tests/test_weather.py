"""Fog, snow and frost: the same share of a picture of any size, smooth under a slider, seeded."""

import numpy as np
import pytest
from PIL import Image

from kit import samples, weather

WEATHER = (weather.fog, weather.snow, weather.frost)
CASTLE = next(photo.pixels for photo in samples.photos("photographs") if photo.name == "castle.jpg")[
    :336, :504
].copy()


def literal_plasma(noise, side, decay):
    """The diamond-square algorithm, point by point."""
    clouds, step, strength = np.zeros((side, side)), side, 1.0
    while step >= 2:
        half = step // 2
        for row in range(half, side, step):
            for column in range(half, side, step):
                around = [
                    clouds[(row + a) % side, (column + b) % side]
                    for a in (-half, half)
                    for b in (-half, half)
                ]
                clouds[row, column] = np.mean(around) + strength * noise[row, column]
        before = clouds.copy()
        for row in range(0, side, half):
            for column in range(half if row % step == 0 else 0, side, step):
                around = [
                    before[(row + a) % side, (column + b) % side]
                    for a, b in ((-half, 0), (half, 0), (0, -half), (0, half))
                ]
                clouds[row, column] = np.mean(around) + strength * noise[row, column]
        step, strength = half, strength / decay**2
    clouds -= clouds.min()
    return clouds / clouds.max()


def test_plasma_is_made_of_diamonds_and_squares():
    noise = weather._uniform_field(4, "fog", (16, 16))
    np.testing.assert_allclose(weather.plasma(4, 16, 1.7), literal_plasma(noise, 16, 1.7), atol=1e-5)


def test_fog_by_hand():
    grey = np.full((30, 30, 3), 100, np.uint8)
    # (x + thickness * clouds) * x_max / (x_max + thickness) with clouds 0 and 1 at the extremes.
    foggy = weather.fog(grey, 1.0).astype(float)
    darkest = 100 * (100 / 255) / (100 / 255 + 1.5)
    assert foggy.min() >= round(darkest)
    assert foggy.max() <= 100
    assert np.ptp(foggy) > 10


def test_ice_is_normalised_and_shared():
    pane = weather.crystals(3, (224, 300))
    assert pane.shape == (224, 300)
    assert abs(float(pane.mean())) < 1e-3
    assert abs(float(pane.std()) - 1) < 1e-3
    assert weather.crystals(3, (224, 300)) is pane
    with pytest.raises(ValueError, match="read-only"):
        pane[0, 0] = 1


def test_snow_whitens_and_its_flakes_are_bright():
    dark = np.full((224, 224, 3), 40, np.uint8)
    snowy = weather.snow(dark, 3.0, 1)
    # 0.7 * 40 + 0.3 * (1.5 * 40 + 127.5) without a flake.
    assert snowy.min() == round(0.7 * 40 + 0.3 * 187.5)
    assert snowy.max() > 130
    assert 0.02 < (snowy > 100).mean() < 0.6


@pytest.mark.parametrize("function", WEATHER)
def test_a_setting_close_to_none_changes_next_to_nothing(function):
    assert np.abs(function(CASTLE, 0.01, 2).astype(float) - CASTLE).mean() < 2


@pytest.mark.parametrize("function", WEATHER)
def test_a_step_of_the_slider_is_small(function):
    for severity in (0.5, 1.5, 2.5, 3.5, 4.5):
        step = function(CASTLE, severity + 0.01, 2).astype(float) - function(CASTLE, severity, 2)
        assert np.abs(step).mean() < 2


@pytest.mark.parametrize("function", WEATHER)
def test_weather_takes_the_same_share_of_a_small_picture(function):
    large = Image.fromarray(function(CASTLE, 3.0, 1))
    size = (CASTLE.shape[1] // 8, CASTLE.shape[0] // 8)
    shrunk = np.asarray(large.resize(size, Image.Resampling.BOX)).astype(float)
    small = function(np.array(Image.fromarray(CASTLE).resize(size, Image.Resampling.BOX)), 3.0, 1).astype(
        float
    )
    assert abs(shrunk.mean() - small.mean()) < 6  # fog depends on the brightest value, which shrinking lowers
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("function", WEATHER)
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (28, 28), (600, 7)])
def test_any_size_has_weather(function, shape):
    pixels = np.full((*shape, 3), 90, np.uint8)
    result = function(pixels, 4.0, 1)
    assert result.shape == pixels.shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize("function", WEATHER)
def test_seeds_differ(function):
    assert not np.array_equal(function(CASTLE, 3.0, 1), function(CASTLE, 3.0, 2))
