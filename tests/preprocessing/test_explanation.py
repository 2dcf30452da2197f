"""What a function does otherwise is found one difference at a time, each with its effect by itself."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kit.images import Decoding, Photo, load_image
from kit.preprocessing import Preprocessing
from kit.preprocessing.black_box import Explanation
from kit.preprocessing.comparison import moved

CAT = load_image(Path(__file__).parents[2] / "data" / "photographs" / "cat.jpg")
HERE = Preprocessing((96, 96), scaling="-1..1", fit="crop", crop_fraction=0.875)


def explained(there, *, decoding=False, photo=CAT, here=HERE):
    notes = []
    theirs = there.apply(photo)[0].astype(np.float64)
    return Explanation(here, photo, theirs, moved).differences(notes, decoding=decoding), notes


CHANGES = {
    "size": ({"size": (64, 96)}, "resize"),
    "filter": ({"filter": "nearest"}, "resize"),
    "fit": ({"fit": "squash", "crop_fraction": 1.0}, "resize"),
    "channels": ({"channels": "bgr"}, "channels"),
    "grey": ({"channels": "gray_rgb"}, "channels"),
    "invert": ({"invert": True}, "invert"),
    "scaling": ({"scaling": "0..1"}, "scale"),
    "layout": ({"layout": "transposed"}, "layout"),
    "scrambled": ({"layout": "reshaped"}, "layout"),
    "small": ({"thumbnail": (24, 24)}, "thumbnail"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_effect_of_one_difference_is_how_far_it_moves_the_tensor(name):
    changes, step = CHANGES[name]
    there = HERE.replace(**changes)
    (found,), notes = explained(there)
    assert found.step == step
    assert found.effect == pytest.approx(moved(HERE.apply(CAT), there.apply(CAT)), abs=0.01)
    assert "rebuilds their result" in notes[0]


def test_a_cast_is_found_behind_another_window_too():
    # Much of it is black, and much is white.
    rows, columns = np.mgrid[0:200, 0:300]
    waves = 127 + 380 * np.sin(rows / 30)[..., None] * np.cos(columns[..., None] / [40, 50, 60])
    photo = Photo.from_array(waves.clip(0, 255).astype(np.uint8))
    there = HERE.replace(fit="squash", crop_fraction=1.0, scaling="0..1", cast="uint8")
    found, _ = explained(there, photo=photo)
    assert [one.step for one in found] == ["resize", "scale", "cast"]
    assert found[2].words.endswith("only 0, 1 are left")


def test_another_decoding_is_looked_for_only_where_the_function_decodes(tmp_path):
    rgba = np.dstack(
        [CAT.pixels, np.tile(np.linspace(0, 255, CAT.pixels.shape[1]), (CAT.pixels.shape[0], 1))]
    )
    Image.fromarray(rgba.astype(np.uint8)).save(tmp_path / "faded.png")
    photo = load_image(tmp_path / "faded.png")
    there = HERE.replace(decoding=Decoding(matte=(0, 0, 0)), channels="bgr")
    found, _ = explained(there, decoding=True, photo=photo)
    assert [one.words for one in found] == [
        "alpha: laid over (255, 255, 255) here, laid over (0, 0, 0) there",
        "channels: rgb here, bgr there",
    ]
    found, _ = explained(there, decoding=False, photo=photo)
    assert "decode" not in {one.step for one in found}


def test_what_is_blurred_besides_is_left_over_and_no_thumbnail():
    def softened(pixels):
        return (pixels + np.roll(pixels, 3, axis=1)) / 2

    theirs = softened(HERE.apply(CAT)[0]).astype(np.float64)
    found = Explanation(HERE, CAT, theirs, moved).differences([], decoding=False)
    assert "thumbnail" not in {one.step for one in found}
    assert found[-1].step == "tensor"
    assert "left over" in found[-1].words
    assert 0 < found[-1].effect < 0.5


def test_a_picture_of_one_value_is_told_as_such():
    flat = Photo.from_array(np.full((20, 20, 3), 7, np.uint8))
    (found,), _ = explained(HERE, photo=flat)
    assert found.words == "values: a picture here, −0.9451 everywhere there"
