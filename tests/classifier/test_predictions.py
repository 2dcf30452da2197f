"""What follows from rows of probabilities: each member by hand, and those of a network beside its rows."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from kit import Predictions, samples
from kit.perturbation import Perturbation
from tests.refusals import refused

CLASSES = ("cat", "dog", "horse")
ROWS = np.array(
    [[0.25, 0.5, 0.25], [1, 0, 0], [0.125, 0.25, 0.625], [0.5, 0.5, 0]], np.float32
)
PHOTOS = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")


def made(labels, rows=ROWS, class_names=CLASSES):
    return Predictions(rows, class_names, np.array(labels, np.int64), PHOTOS)


LABELLED = made([1, 1, 2, 0])
PARTLY = made([1, -1, 0, -1])
UNLABELLED = made([-1] * 4)


def test_the_most_probable_class_is_predicted_and_of_equal_ones_the_first():
    assert LABELLED.index.tolist() == [1, 0, 2, 0]
    assert LABELLED.label.tolist() == ["dog", "cat", "horse", "cat"]
    assert LABELLED.probability.tolist() == [0.5, 1, 0.625, 0.5]
    assert LABELLED.probability.dtype == np.float32
    assert (LABELLED.label == "cat").tolist() == [False, True, False, True]


def test_the_share_of_correct_predictions_is_their_mean():
    assert LABELLED.correct.tolist() == [True, False, True, True]
    assert LABELLED.correct.mean() == 0.75
    # Images without a label neither count as wrong nor leave their places to others.
    assert PARTLY.labelled.photos == ("a.jpg", "c.jpg")
    assert PARTLY.labelled.correct.tolist() == [True, False]
    with refused(
        (
            r"Expected a label for every image, received None for number 1; predict\(…\).labelled "
            r"leaves those out$"
        ),
    ):
        PARTLY.correct  # noqa: B018
    assert len(UNLABELLED.labelled) == 0


def test_the_most_probable_classes_are_listed_for_each_image():
    assert LABELLED.top(2) == (
        (("dog", 0.5), ("cat", 0.25)),
        (("cat", 1.0), ("dog", 0.0)),
        (("horse", 0.625), ("dog", 0.25)),
        (("cat", 0.5), ("dog", 0.5)),
    )
    assert [len(classes) for classes in LABELLED.top()] == [3] * 4
    # Two kinds of equal ones, more than a sort of few values keeps in order by chance.
    names = tuple(map(str, range(100)))
    pairs = np.tile(np.float32([0.005, 0.015]), (1, 50))
    ranked = Predictions(pairs, names, np.array([-1]), ("a.jpg",)).top(100)
    assert [name for name, _ in ranked[0]] == [*names[1::2], *names[::2]]


def test_entropy_is_nothing_for_a_sure_prediction_and_that_of_a_coin_for_an_even_one():
    # 0.25, 0.5, 0.25: one and a half bits.
    expected = np.log(2) * np.array([1.5, 0, 1])
    assert LABELLED.entropy[[0, 1, 3]] == pytest.approx(expected, abs=1e-6)


def test_images_are_chosen_by_number_slice_or_mask():
    for chosen in (2, slice(2, 3), [2], LABELLED.labels == 2):
        (photo,) = LABELLED[chosen].photos
        assert photo == "c.jpg"
        assert LABELLED[chosen].probabilities.tolist() == ROWS[[2]].tolist()
        assert LABELLED[chosen].labels.tolist() == [2]
    assert [len(prediction) for prediction in LABELLED] == [1] * 4


def test_to_numpy_they_are_their_rows():
    assert np.asarray(LABELLED).tolist() == ROWS.tolist()
    assert np.array(LABELLED, np.float64).dtype == np.float64
    assert np.array(LABELLED).flags.writeable


def test_a_changed_prediction_has_another_class_whatever_its_probability():
    other = made([-1] * 4, ROWS[[0, 2, 2, 1]])
    assert LABELLED.changed(other).tolist() == [False, True, False, False]
    assert not LABELLED.changed(UNLABELLED).any()
    for unlike in (other[:2], made([-1] * 4, class_names=("dog", "cat", "horse"))):
        with refused(
            r"Expected predictions for the same images and classes, received others; see kit.compare$",
        ):
            LABELLED.changed(unlike)


def test_one_image_takes_a_line_and_several_a_short_table():
    assert repr(LABELLED[0]) == "a.jpg: dog, 50%, ✓"
    assert repr(LABELLED[1]) == "b.jpg: cat, 100%, ✕ it is dog"
    assert repr(UNLABELLED[2]) == "c.jpg: horse, 62%"
    assert repr(PARTLY).splitlines() == [
        "image  predicted  probability  correct",
        "a.jpg  dog                50%  ✓",
        "b.jpg  cat               100%",
        "c.jpg  horse              62%  ✕ it is cat",
        "d.jpg  cat                50%",
    ]
    assert repr(UNLABELLED).splitlines()[0] == "image  predicted  probability"
    many = LABELLED[[0, 1, 2] * 4]
    lines = repr(many).splitlines()
    assert len(lines) == 1 + 10 + 1
    assert lines[-1] == "and 2 more, see predictions.table()"
    assert len(repr(many[:10]).splitlines()) == 1 + 10
    assert len(many.table().text().splitlines()) == 1 + 12
    assert repr(UNLABELLED[:0]) == "image  predicted  probability"


def test_pandas_gets_a_row_for_each_image_and_is_asked_for_where_it_is_missing(
    monkeypatch,
):
    # A DataFrame is made from a dictionary of columns.
    monkeypatch.setitem(
        sys.modules, "pandas", SimpleNamespace(DataFrame=dict, __spec__="")
    )
    columns = PARTLY.to_dataframe()
    assert {name: list(column) for name, column in columns.items()} == {
        "image": list(PHOTOS),
        "predicted": ["dog", "cat", "horse", "cat"],
        "probability": [0.5, 1, 0.625, 0.5],
        "true class": ["dog", None, "cat", None],
        "correct": [True, None, False, None],
    }
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="Expected pandas, received none"):
        PARTLY.to_dataframe()


def test_they_are_read_only_and_leave_what_they_are_made_from_as_it_was():
    rows = ROWS.copy()
    predictions = made([0] * 4, rows)
    for array in (predictions.probabilities, predictions.labels):
        with refused("read-only"):
            array[0] = 0
    assert rows.flags.writeable


def test_a_classifier_predicts_with_names_and_with_labels_by_name_or_index(fashion):
    photos = samples.photos("fashion_mnist")[:3]
    dark = Perturbation(brightness=0.3)
    wrong = fashion.preprocessing.replace(scaling="0..255")
    predictions = fashion.predict(
        photos, ["Bag", None, 9], perturbation=dark, preprocessing=wrong
    )
    expected = fashion.probabilities(photos, dark, wrong)
    assert predictions.probabilities.tolist() == expected.tolist()
    assert predictions.probabilities.dtype == np.float32
    assert predictions.labels.tolist() == [8, -1, 9]
    assert predictions.photos == ("test_0000", "test_0001", "test_0002")
    assert predictions.class_names == fashion.class_names
    assert fashion.predict(photos[0], "Bag").labels.tolist() == [8]
