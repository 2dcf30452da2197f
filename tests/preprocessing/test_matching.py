"""What a result shows of a photo, and by which fit and filter."""

import numpy as np
import pytest
from PIL import Image

from kit import Photo, samples
from kit.preprocessing import Preprocessing
from kit.preprocessing.colours import Line, _polarity_and_scaling_of_line
from kit.preprocessing.fitting import (
    Part,
    Probe,
    _unexplained_levels,
    fitting_part,
    window_of,
    window_words,
)
from kit.preprocessing.pipeline import TO_SIZE, run
from kit.preprocessing.placing import Content

CAT = samples.photo("cat.jpg")


def test_what_is_left_counts_in_levels_of_the_photo():
    # Levels 80 and 120 deviate by 20 from their mean, of which a tenth is 2.
    photo = Photo.from_array(np.tile(np.uint8([80, 120]), (6, 3)))
    part = Part(Preprocessing(), unexplained_share=0.1)
    assert _unexplained_levels(part, photo) == pytest.approx(2)


def test_what_lies_between_borders_is_found_in_a_photo():
    # Down to a sixth, between 3, 5, 2 and 7 pixels; of its last 15 rows nothing is known.
    part = Image.fromarray(CAT.pixels[75:291, 10:226]).reduce(6)
    image = np.pad(np.asarray(part, float), ((3, 5), (2, 7), (0, 0)))
    image[-15:] = np.nan
    found = Content(image).best_anywhere(CAT)
    np.testing.assert_allclose(found.window, [[57, 321], [-2, 268]], atol=1)


def test_a_part_that_is_not_resized_is_told_with_its_border_as_it_lies_in_the_photo():
    window = np.array([[-4.0, 220], [300, 524]])
    here = Preprocessing()
    assert window_words(here, Part(here, window), CAT) == (
        "window: squash here, rows 0 to 220 of 300 and columns 300 to 451 of 451, not resized, "
        "with a border of 4, 0, 0, 73 pixels above, below, left and right, there"
    )


FITS = [
    {"fit": "crop", "filter": "cv2_area"},
    {"fit": "crop", "crop_fraction": 0.837},
    {"fit": "squash_crop", "crop_fraction": 0.875},
    {"fit": "letterbox_corner", "filter": "lanczos"},
    {"size": (40, 60), "filter": "tf_bilinear"},
    {"fit": "crop", "thumbnail": (56, 56)},
]


@pytest.mark.parametrize("changes", FITS)
def test_a_part_is_read_as_the_fit_the_filter_and_the_thumbnail_that_show_it(changes):
    here = Preprocessing(48)
    there = here.replace(**changes)
    probe = Probe(CAT, run(TO_SIZE, there, CAT).astype(float))
    part = fitting_part(here, window_of(there, CAT), probe)
    assert (part.pipeline, part.window) == (there, None)


def test_an_unusual_thumbnail_is_read_where_it_is_expected():
    here = Preprocessing(48, thumbnail=(90, 70))
    reversed_channels = run(TO_SIZE, here, CAT)[..., ::-1].astype(float)
    part = fitting_part(here, window_of(here, CAT), Probe(CAT, reversed_channels))
    assert part.pipeline == here


@pytest.mark.parametrize(("green", "fitted"), [(0.02, True), (-0.02, False)])
def test_channels_of_which_some_rise_and_some_fall_are_no_scaling(green, fitted):
    expected = Preprocessing(scaling="-1..1")
    line = Line(np.array([0.01, green, 0.01]), np.zeros(3), levels_off=0.0)
    changes = _polarity_and_scaling_of_line(expected, line)
    assert (changes["scaling"] != expected.scaling) == fitted
