"""Measures of training pictures: which are kept, how exactly, and what is not misread."""

import json

import numpy as np
import pytest

import kit
from kit.classifier import reference
from kit.classifier.reference import KEPT, InputStatistics, measured_rows
from kit.images.properties import QUANTITIES, measure

CLOTHES = kit.samples.photos("fashion_mnist")


def test_of_many_pictures_those_that_are_kept_are_drawn_from_all(monkeypatch):
    monkeypatch.setattr(reference, "TRIED", (1, 1))  # responses take longer and are not looked at
    levels = np.linspace(1, 255, 2 * KEPT).astype(np.uint8)
    statistics = InputStatistics.of(
        [kit.Photo.from_array(np.full((4, 4), level, np.uint8)) for level in levels]
    )
    assert (len(statistics.rows), statistics.count) == (KEPT, 2 * KEPT)
    brightness = statistics.rows[:, 0]
    assert len(np.unique(brightness)) > 0.6 * KEPT
    # Evenly from 1 to 255: mean 128, and the standard error of half of the pictures.
    assert abs(brightness.mean() - 128) < 4 * 254 / np.sqrt(12 * 2 * KEPT)


def test_measures_are_kept_to_four_digits_and_are_the_same_after_a_file():
    exact = np.array([list(measure(photo).values()) for photo in CLOTHES[:20]])
    rows = measured_rows(CLOTHES[:20])
    np.testing.assert_allclose(rows, exact, rtol=5e-4, atol=1e-12)
    assert {f"{value:.4g}" for value in rows.ravel()} == {f"{value:.4g}" for value in exact.ravel()}
    statistics = InputStatistics.of(CLOTHES[:2])
    again = InputStatistics.from_bytes(statistics.to_bytes())
    np.testing.assert_array_equal(again.rows, statistics.rows)
    assert np.isnan(again.rows[:, list(QUANTITIES).index("jpeg_quality")]).all()


def test_they_cannot_be_changed():
    rows = np.ones((2, len(QUANTITIES)))
    statistics = InputStatistics(rows, np.zeros((22, 3, len(QUANTITIES))), 2)
    rows[:] = 7
    assert (statistics.rows == 1).all()
    for array in (statistics.rows, statistics.response):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("key", ["format", "quantities", "alterations"])
def test_what_was_written_with_other_alterations_or_quantities_is_refused(key):
    content = json.loads(InputStatistics.of(CLOTHES[:1]).to_bytes())
    with pytest.raises(ValueError, match=rf"received other bytes \(other {key}\); save the classifier anew"):
        InputStatistics.from_bytes(json.dumps({**content, key: None}).encode())
