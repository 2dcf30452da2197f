"""Splits, cross-validation and learning curves, held to scikit-learn on the bundled pictures."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestCentroid

import kit
from kit.validation import CrossValidation, Fold, cross_validate, joined, learning_curve, split_folds, subset
from tests.networks import imported_keras

PICTURES, LABELS = (values[:600] for values in kit.samples.fashion_mnist_arrays("train"))
HELD_BACK = tuple(values[:200] for values in kit.samples.fashion_mnist_arrays("test"))


def rows(photos):
    return np.stack([photo.pixels[..., 0].ravel() for photo in photos]).astype(float)


@dataclass
class Nearest:
    """A training loop and classifier of one's own."""

    model: NearestCentroid

    def probabilities(self, photos):
        return (self.model.predict(rows(photos))[:, None] == np.arange(10)).astype(float)


def train(photos, labels, *, seed):
    return Nearest(NearestCentroid().fit(rows(photos), labels))


def interrupted(after):
    """A training loop that a person stops in its n-th call."""
    calls = iter(range(after))

    def loop(photos, labels, *, seed):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return train(photos, labels, seed=seed)

    return loop


@pytest.fixture(scope="module")
def validation():
    return cross_validate(train, PICTURES, LABELS, folds=4, seed=3, progress=False)


def test_folds_are_scikit_learns_and_so_are_their_accuracies(validation):
    splitter = StratifiedKFold(4, shuffle=True, random_state=3)
    expected = cross_val_score(
        NearestCentroid(), PICTURES.reshape(600, -1).astype(float), LABELS, cv=splitter
    )
    assert validation.accuracies == pytest.approx(expected)
    assert validation.accuracy == pytest.approx(expected.mean())
    assert validation.spread == pytest.approx(expected.std(ddof=1))


def test_every_picture_is_answered_once_while_it_is_held_back(validation):
    assert set(validation.number) == {0, 1, 2, 3}
    right = [(validation.predicted == LABELS)[validation.number == fold].sum() for fold in range(4)]
    assert right == [fold.right for fold in validation.folds]
    assert not validation.predicted.flags.writeable


def test_the_interval_is_nadeau_and_bengios():
    four = tuple(Fold(75, 25, right, right / 25) for right in (20, 21, 22, 23))
    result = CrossValidation(four, 4, np.zeros(100, int), np.zeros(100, int))
    # Mean .86, standard deviation .0516398, t(3) = 3.182446, and 1/4 + 25/75.
    half = 3.182446 * 0.0516398 * np.sqrt(1 / 4 + 1 / 3)
    assert result.interval() == pytest.approx((0.86 - half, 0.86 + half), abs=1e-5)
    assert repr(result) == (
        "CrossValidation(4 folds, accuracy 86.0%; 80.0% to 92.0% over the folds; "
        "95% confidence 73.4% to 98.6% (Nadeau-Bengio))"
    )
    assert result.table().text().splitlines()[0::5] == [
        "fold  training  validation  accuracy  balanced",
        "mean                           86.0%     86.0%",
    ]


def test_the_corrected_interval_is_wider_than_the_one_that_takes_folds_for_independent(validation):
    low, high = validation.interval()
    naive = 3.182446 * validation.spread / 2
    assert (high - low) / 2 == pytest.approx(naive * np.sqrt(1 + 4 / 3), rel=1e-3)


def test_an_interruption_keeps_the_finished_folds():
    result = cross_validate(interrupted(2), PICTURES, LABELS, folds=4, progress=False)
    assert (len(result.folds), result.planned, result.complete) == (2, 4, False)
    assert (result.predicted == -1).sum() == 300
    assert repr(result).endswith("; interrupted)")


def test_an_interruption_before_anything_is_finished_stops():
    with pytest.raises(KeyboardInterrupt):
        cross_validate(interrupted(0), PICTURES, LABELS, folds=4, progress=False)
    with pytest.raises(KeyboardInterrupt):
        learning_curve(interrupted(0), PICTURES, LABELS, *HELD_BACK, sizes=(100,), progress=False)


def test_groups_lie_on_one_side_and_the_classes_on_both():
    groups = np.arange(600) // 4
    seen = []
    for training, held_back in split_folds(LABELS, 5, groups=groups):
        assert not set(groups[training]) & set(groups[held_back])
        assert set(LABELS[held_back]) == set(range(10))
        seen.extend(held_back)
    assert sorted(seen) == list(range(600))


def test_copies_in_other_folds_flatter_and_groups_undo_it():
    # Three pictures of each scene; a nearest neighbour knows its scene again, with labels that mean nothing.
    rng = np.random.default_rng(0)
    scenes = np.repeat(np.arange(60), 3)
    pictures, meaningless = PICTURES[scenes], rng.integers(0, 2, 60)[scenes]

    def neighbour(photos, labels, *, seed):
        known = rows(photos)

        class One:
            def probabilities(self, others):
                near = np.argmin(((rows(others)[:, None] - known) ** 2).sum(axis=2), axis=1)
                return np.eye(2)[labels[near]]

        return One()

    flattered = cross_validate(neighbour, pictures, meaningless, progress=False)
    found = kit.find_duplicates(pictures, progress=False).groups
    np.testing.assert_array_equal(found, scenes)
    honest = cross_validate(neighbour, pictures, meaningless, groups=found, progress=False)
    assert flattered.accuracy > 0.95
    assert honest.accuracy == pytest.approx(0.5, abs=0.15)


def test_groupings_are_joined_through_chains():
    by_place = ["a", "a", "b", "c", "c", "d"]
    by_camera = [1, 2, 2, 3, 4, 5]
    np.testing.assert_array_equal(joined(by_place, by_camera), [0, 0, 0, 1, 1, 2])


def test_a_subset_has_the_classes_in_the_proportions_of_all():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    assert np.bincount(labels[subset(labels, 20)]).tolist() == [12, 6, 2]
    assert subset(labels, 100).tolist() == list(range(100))
    with pytest.raises(ValueError, match="Expected 3 to 100 pictures, received 101"):
        subset(labels, 101)


def test_the_learning_curve_trains_on_parts_contained_in_each_other():
    seen = []

    def watched(photos, labels, *, seed):
        seen.append({photo.pixels.tobytes() for photo in photos})
        return train(photos, labels, seed=seed)

    curve = learning_curve(watched, PICTURES, LABELS, *HELD_BACK, sizes=(300, 50, 600), progress=False)
    assert [len(each) for each in seen] == [50, 300, 600]
    assert seen[0] < seen[1] < seen[2]
    full = train([kit.Photo.from_array(picture) for picture in PICTURES], LABELS, seed=0)
    photos = [kit.Photo.from_array(picture) for picture in HELD_BACK[0]]
    right = full.probabilities(photos).argmax(axis=1) == HELD_BACK[1]
    assert curve.points[-1].validation == kit.accuracy_interval(right)
    assert curve.last_gain == curve.points[2].validation.accuracy - curve.points[1].validation.accuracy
    assert curve.table().text().splitlines()[0] == "pictures  training  validation  95% confidence"


def test_an_interrupted_learning_curve_keeps_its_points():
    curve = learning_curve(
        interrupted(1), PICTURES, LABELS, *HELD_BACK, sizes=(100, 200, 300), progress=False
    )
    assert [point.size for point in curve.points] == [100]
    assert repr(curve).endswith("; interrupted after 1 of 3)")


def test_the_kits_own_training_loop_fits():
    from kit.classifier.training import train as training_loop  # noqa: PLC0415 (imports Keras when it is called)

    keras = imported_keras()
    dense = keras.layers.Dense(10, activation="softmax")
    linear = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), dense])
    loop = partial(
        training_loop,
        preprocessing=kit.samples.classifier("fashion_mnist").preprocessing,
        class_names=kit.samples.classifier("fashion_mnist").class_names,
        model=linear,
        epochs=2,
        progress=False,
        keep_interrupted=False,
    )
    result = cross_validate(loop, PICTURES[:200], LABELS[:200], folds=2, progress=False)
    assert [(fold.training, fold.validation) for fold in result.folds] == [(100, 100), (100, 100)]
    assert set(result.predicted) <= set(range(10))
    assert result.accuracy == pytest.approx(np.mean(result.predicted == LABELS[:200]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folds": 1}, "Expected 2 to 45 folds"),
        ({"groups": np.zeros(600)}, "Expected at least 5 groups for 5 folds, received 1"),
        ({"groups": np.zeros(3)}, "Expected a group for each of 600 pictures"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(arguments, message):
    rarest = np.bincount(LABELS).min()
    with pytest.raises(ValueError, match=message.replace("45", str(rarest))):
        cross_validate(train, PICTURES, LABELS, progress=False, **arguments)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Expected a whole number for each of 600 pictures"):
        cross_validate(train, PICTURES, LABELS[:5], progress=False)
