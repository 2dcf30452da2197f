"""A person's own function against the bundled classifier's preprocessing."""

import numpy as np
import pytest
from PIL import Image

import kit
from kit import samples

CLASSIFIER = samples.classifier("efficientnet_lite0")
PHOTOS = samples.photos("imagenet")[:3]
RIGHT = CLASSIFIER.preprocessing


def same(pixels):
    return RIGHT.apply(kit.Photo.from_array(pixels))


def test_a_function_that_does_the_same_agrees():
    found = kit.check(CLASSIFIER, PHOTOS, same)
    assert (found.agrees, found.first_step, found.changed) == (True, None, 0)
    assert str(found) == "The function agrees with the preprocessing of the classifier on 3 of 3 photos."
    assert repr(found) == "Checkup(agrees, 3 photos)"


def test_the_first_step_that_parts_is_named():
    found = kit.check(CLASSIFIER, PHOTOS, lambda pixels: same(pixels)[..., ::-1])
    assert (found.agrees, found.first_step) == (False, "channels")
    found = kit.check(CLASSIFIER, PHOTOS, lambda pixels: same(pixels) * 128 + 127)
    assert found.first_step == "scale"
    assert 0 <= found.changed <= 1
    assert repr(found) == "Checkup(parts at 'scale', 3 photos)"


def test_a_function_with_another_size_cannot_be_asked_for_answers():
    found = kit.check(
        CLASSIFIER, PHOTOS[0], lambda pixels: np.asarray(Image.fromarray(pixels).resize((96, 96)))
    )
    assert not found.agrees
    assert found.changed is None


def test_what_a_function_raises_is_told():
    found = kit.check(CLASSIFIER, PHOTOS[:1], lambda pixels: 1 / 0)
    assert "ZeroDivisionError" in str(found)


def test_nothing_to_check_is_refused():
    with pytest.raises(ValueError, match="Expected at least one picture"):
        kit.check(CLASSIFIER, [], same)
