"""Fog, snow and frost: the same share of an image of any size, smooth under a slider, seeded."""

import numpy as np
import pytest
from PIL import Image

from kit import samples
from kit.perturbation import weather

WEATHER = (weather.fog, weather.snow, weather.frost)
CASTLE = next(
    photo for photo in samples.photos("photographs") if photo.name == "castle.jpg"
)
CASTLE = CASTLE.pixels[:336, :504].copy()


FOG = [(1, 1.5, 2), (3, 2.5, 1.7), (5, 3, 1.4), (2.5, 2.25, 1.85)]


@pytest.mark.parametrize(("severity", "thickness", "decay"), FOG)
def test_fog_is_the_published_formula(severity, thickness, decay):
    pixels = CASTLE[:224, :256]
    brightest = pixels.max() / 255
    clouds = weather.plasma(7, 256, decay)[:224, :, None]
    expected = (
        (pixels / 255 + thickness * clouds) * brightest / (brightest + thickness) * 255
    )
    assert np.abs(weather.fog(pixels, severity, 7) - expected).max() < 0.51


def test_a_layer_has_1024_pixels_along_the_longer_side_at_most():
    layer = weather.layer_size(np.zeros((100, 1000, 3), np.uint8))
    assert layer == (102, 1024)


@pytest.mark.parametrize("function", WEATHER)
def test_a_step_of_the_slider_is_small(function):
    assert np.abs(function(CASTLE, 0.01, 2).astype(float) - CASTLE).mean() < 2
    for severity in (0.5, 2.5, 4.5):
        step = function(CASTLE, severity + 0.01, 2).astype(float) - function(
            CASTLE, severity, 2
        )
        assert np.abs(step).mean() < 2


@pytest.mark.parametrize("function", WEATHER)
def test_weather_takes_the_same_share_of_a_picture_of_any_size(function):
    def reduced(pixels):
        size = (CASTLE.shape[1] // 8, CASTLE.shape[0] // 8)
        return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))

    shrunk, small = (
        reduced(function(CASTLE, 3.0, 1)).astype(float),
        function(reduced(CASTLE), 3.0, 1),
    )
    assert (
        abs(shrunk.mean() - small.mean()) < 6
    )  # fog depends on the brightest value, which shrinking lowers
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.95
    for shape in ((1, 1), (1, 3000), (600, 7)):
        assert function(np.full((*shape, 3), 90, np.uint8), 4.0, 1).shape == (*shape, 3)
