"""A person's function is called on pixels, or else on the path of a file with the same contents."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.images import Photo, load_image
from kit.preprocessing.black_box import call

CAT = load_image(Path(__file__).parents[2] / "data" / "photographs" / "cat.jpg")


def test_a_function_of_pixels_is_called_on_a_copy_and_no_file():
    called = call(lambda pixels: pixels / 255, CAT)
    assert (called.problem, called.reads_file) == ("", False)
    np.testing.assert_array_equal(called.tensor, CAT.pixels / 255)


@pytest.mark.parametrize("read", [Image.open, lambda path: Image.open(path.resolve())])
def test_a_function_of_a_path_gets_the_file_under_its_ending_and_it_is_gone_afterwards(read):
    seen = []

    def function(path):
        picture = np.asarray(read(path))
        seen.append((Path(path), Path(path).read_bytes()))
        return picture

    called = call(function, CAT)
    assert called.reads_file
    np.testing.assert_array_equal(called.tensor, CAT.pixels)
    ((path, contents),) = seen
    assert (path.suffix, contents) == (".jpg", CAT.file)
    assert not path.exists()


def test_a_photo_without_a_file_is_written_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    called = call(lambda path: np.asarray(Image.open(path)), Photo.from_array(pixels, "../a name.jpg"))
    np.testing.assert_array_equal(called.tensor, pixels)


def test_what_goes_wrong_with_pixels_and_with_a_path_is_told_in_one_line():
    def wrong_both_ways(given):
        raise ValueError(f"{type(given).__name__}\nis not wanted")

    called = call(wrong_both_ways, CAT)
    assert called.tensor is None
    assert called.problem == (
        "raised ValueError: ndarray is not wanted (given pixels), "
        "raised ValueError: str is not wanted (given a path)"
    )
    assert call(lambda given: 1 / 0, CAT).problem == "raised ZeroDivisionError: division by zero"
    # A file with alpha, read as it is.
    four = call(lambda path: np.asarray(Image.open(path).convert("RGBA")), CAT)
    assert (
        "returned shape (300, 451, 4), which is no picture of 1 or 3 channels (given a path)" in four.problem
    )
