"""What is read of a result, part by part: the order of its values, what it shows of a photo, and the fit."""

import numpy as np
import pytest
from PIL import Image

from kit import samples
from kit.preprocessing import Preprocessing
from kit.preprocessing.buffers import buffers
from kit.preprocessing.fitting import Probe, fitting_part, window_of
from kit.preprocessing.pipeline import TO_SIZE, run
from kit.preprocessing.placing import Content

CAT = samples.photo("cat.jpg")


def test_what_lies_between_borders_is_found_in_a_photo():
    # Down to a sixth, between 3, 5, 2 and 7 pixels; of its last 15 rows nothing is known.
    for top, left in ((9, 15), (60, 70)):
        part = CAT.pixels[top : top + 216, left : left + 324]
        small = np.asarray(Image.fromarray(part).reduce(6), float)
        image = np.pad(small, ((3, 5), (2, 7), (0, 0)))
        image[-15:] = np.nan
        edges = [[top - 18, top + 246], [left - 12, left + 366]]
        found = Content(image).anywhere(CAT)
        np.testing.assert_allclose(found.window, edges, atol=1)


def test_longer_rows_of_pixels_are_found_and_cut():
    for channels, columns, kind, count in (
        (1, 120, "grey", 51),
        (3, 113, "RGB", 54),
        (4, 104, "RGBA", 44),
    ):
        pixels = CAT.pixels[:64, :96, :channels].astype(float)
        rows = np.full((64, columns, channels), 255.0)
        rows[:, :96, :3] = pixels
        images = {
            each.orders: each.image for each in buffers(np.resize(rows, pixels.shape))
        }
        image = images[f"rows of {columns} {kind} pixels",]
        assert image.shape == pixels.shape
        np.testing.assert_array_equal(image[:count], pixels[:count])
        assert np.isnan(image[count:]).all()


FITS = [
    {"fit": "crop", "filter": "cv2_area"},
    {"fit": "crop", "crop_fraction": 0.875},
    {"fit": "resize_crop", "crop_fraction": 0.875},
    {"fit": "crop", "crop_fraction": 0.837},
    {"fit": "squash_crop", "crop_fraction": 0.875},
    {"fit": "letterbox"},
    {"fit": "letterbox_corner", "filter": "lanczos"},
    {"fit": "pad"},
    {"size": (40, 60), "filter": "tf_bilinear"},
    {"thumbnail": (32, 32)},
]


@pytest.mark.parametrize("changes", FITS)
def test_a_part_is_read_as_the_fit_the_filter_and_the_thumbnail_that_show_it(changes):
    here = Preprocessing(48)
    there = here.replace(**changes)
    probe = Probe(CAT, run(TO_SIZE, there, CAT).astype(float))
    part = fitting_part(here, window_of(there, CAT), probe)
    assert (part.pipeline, part.window) == (there, None)
