import numpy as np
import pytest

from kit.classifier.conversion import largest_difference, trial_tensors
from kit.preprocessing import Preprocessing


class Fixed:
    """Engine that always puts out the same row."""

    input_shape, output_count, description = (2, 2, 1), 2, "fixed"

    def __init__(self, *row):
        self.row = np.array(row, np.float32)

    def predict(self, tensors):
        return np.tile(self.row, (len(tensors), 1))


BATCHES = (np.zeros((2, 2, 2, 1), np.float32), np.ones((1, 2, 2, 1), np.float32))


def test_the_largest_difference_is_that_of_the_probabilities():
    assert largest_difference(Fixed(0.5, 0.5), Fixed(0.5, 0.5), "softmax", BATCHES) == 0
    assert largest_difference(Fixed(0.5, 0.5), Fixed(0.75, 0.25), "softmax", BATCHES) == 0.25
    # A constant added to all logits changes no probability.
    assert largest_difference(Fixed(1, 2), Fixed(3, 4), "logits", BATCHES) == pytest.approx(0, abs=1e-7)


def test_what_is_no_number_never_agrees():
    assert largest_difference(Fixed(0.5, 0.5), Fixed(np.nan, 0.5), "softmax", BATCHES) == float("inf")


def test_trial_inputs_are_the_same_at_every_call():
    for first, second in zip(trial_tensors((8, 9, 3)), trial_tensors((8, 9, 3)), strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("shape", [(28, 28, 1), (224, 224, 3), (300, 500, 3), (3, 32, 48)])
def test_trial_inputs_fit_any_network(shape):
    for batch in trial_tensors(shape):
        assert batch.shape[1:] == shape
        assert batch.dtype == np.float32


def test_open_sides_are_tried_at_96_pixels():
    assert {batch.shape[1:] for batch in trial_tensors((None, 40, 3))} == {(96, 40, 3)}


def test_without_a_preprocessing_the_usual_ranges_are_covered():
    unit, signed, levels = trial_tensors((64, 64, 3))
    assert 0 <= unit.min() < 0.01
    assert 0.99 < unit.max() <= 1
    assert (signed.min() < -0.98, signed.max() > 0.98) == (True, True)
    assert (levels.min() < 2.6, levels.max() > 252) == (True, True)


@pytest.mark.parametrize(
    ("scaling", "low", "high"), [("-1..1", -1, 1), ("0..255", 0, 255), ("caffe", -124, 152)]
)
def test_with_a_preprocessing_its_range_is_covered(scaling, low, high):
    noise, pictures = trial_tensors((32, 32, 3), Preprocessing(size=(32, 32), scaling=scaling))
    for batch in (noise, pictures):
        assert batch.shape[1:] == (32, 32, 3)
        assert low <= batch.min() < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < batch.max() <= high
    # Pictures have smooth areas, noise has none.
    steps = [np.abs(np.diff(batch, axis=1)).mean() for batch in (noise, pictures)]
    assert steps[1] < steps[0] / 3
