"""Cross-validation, held to scikit-learn on the bundled images."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import kit
from kit.validation.accuracy import CrossValidation, cross_validate

PICTURES, LABELS = (
    values[:600] for values in kit.samples.fashion_mnist_arrays("train")
)


def rows(photos):
    return np.stack([photo.pixels[..., 0].ravel() for photo in photos]).astype(float)


@dataclass
class Nearest:
    """A training loop and classifier of one's own."""

    model: KNeighborsClassifier

    def probabilities(self, photos):
        return self.model.predict_proba(rows(photos))


def train(photos, labels, *, seed):
    return Nearest(KNeighborsClassifier(seed).fit(rows(photos), labels))


@pytest.fixture(scope="module")
def validation():
    return cross_validate(train, PICTURES, LABELS, folds=4, seed=3)


def test_folds_are_scikit_learns_and_so_are_their_accuracies(validation):
    splitter = StratifiedKFold(4, shuffle=True, random_state=3)
    expected = cross_val_score(
        KNeighborsClassifier(3),
        PICTURES.reshape(600, -1).astype(float),
        LABELS,
        cv=splitter,
    )
    assert validation.accuracies == pytest.approx(expected)


def test_the_interval_is_nadeau_and_bengios():
    three = tuple(kit.accuracy_interval(right, 2500) for right in (2000, 2100, 2200))
    result = CrossValidation((*three, kit.accuracy_interval(4600, 5000)))
    # Mean .86, standard deviation .0516398, t(3) = 3.182446, and 1/4 + the mean of 25/100 and 50/75.
    half = 3.182446 * 0.0516398 * np.sqrt(1 / 4 + (3 / 4 + 2 / 3) / 4)
    assert result.interval() == pytest.approx((0.86 - half, 0.86 + half), abs=1e-5)
    assert repr(result) == (
        "Accuracy over 4 folds: 86.0% (folds 80.0% to 92.0%, 95% interval 73.2% to 98.8%)."
    )
    assert result.table().text().splitlines()[4:] == [
        "   4     7,500       5,000     92.0%",
        "mean                           86.0%",
    ]
    apart = kit.accuracy_interval(0, 9), three[0]
    assert CrossValidation(apart).interval() == (0, 1)


def test_equal_folds_give_no_interval():
    assert repr(CrossValidation((kit.accuracy_interval(25, 25),) * 4)) == (
        "Accuracy over 4 folds: 100.0% (all folds are equal, which gives no interval)."
    )


def test_copies_in_other_folds_flatter_and_groups_undo_it():
    # Three pictures of each scene; a nearest neighbour knows its scene again, with labels that mean nothing.
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(60), 3)
    pictures = PICTURES[scenes]
    settings, told = {"labels": rng.integers(0, 2, 60)[scenes], "seed": 1}, []
    flattered = cross_validate(train, pictures, **settings, progress=told.append)
    assert told[4:] == ["Training on folds: 5 of 5"]
    found = kit.find_duplicates(pictures).groups
    np.testing.assert_array_equal(found, scenes)
    honest = cross_validate(train, pictures, **settings, groups=found)
    assert flattered.accuracy > 0.95
    assert honest.accuracy == pytest.approx(0.5, abs=0.15)


def test_one_fold_is_refused_and_so_are_names_which_equal_no_index():
    message = "n_splits=2 or more, got n_splits=1"
    with pytest.raises(ValueError, match=message):
        cross_validate(train, PICTURES, LABELS, folds=1)
    message = (
        "^Expected labels as whole numbers from 0 up, .*, received .*; give class_names"
    )
    for labels in (LABELS.astype(str), LABELS - 1):
        with pytest.raises(ValueError, match=message):
            cross_validate(train, PICTURES, labels)
