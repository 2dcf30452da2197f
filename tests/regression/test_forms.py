"""Other forms of real networks: what is wrong with one is named, and a sound conversion is not accused.

All forms on all networks: ``tests/benchmarks/forms.py``.
"""

import numpy as np
import pytest

import kit
from kit.regression.forms import compare_forms
from tests import forms

FAULTS = (
    ("efficientnet_lite0", "expects imagenet"),
    ("efficientnet_lite0", "classes permuted"),
    ("fashion_mnist", "expects -1..1"),
    ("fashion_mnist", "height and width"),
    ("fashion_mnist", "rounded too far"),
    ("fashion_mnist_500", "in training mode"),
    ("fashion_mnist_500", "classes reversed"),
    ("fashion_mnist_2000", "classes rotated"),
    ("fashion_mnist_2000", "logits"),
    ("fashion_mnist_5000", "classes sorted"),
    ("scenes", "expects 0..255"),
    ("scenes", "expects caffe"),
    ("scenes", "red and blue"),
)
SOUND = (
    ("efficientnet_lite0", "one thread"),
    ("efficientnet_lite0", "renormalised"),
    ("fashion_mnist", "Keras"),
    ("fashion_mnist", "float16 weights"),
    ("fashion_mnist_500", "8 bits a channel"),
    ("fashion_mnist_500", "one by one"),
    ("fashion_mnist_2000", "tf.function"),
    ("fashion_mnist_5000", "saved anew"),
    ("fashion_mnist_5000", "noise of 1e-5"),
    ("scenes", "8 bits a channel"),
    ("scenes", "float16 answers"),
)


def compared(network, function):
    one = forms.subject(network)
    return compare_forms(one.classifier.predict_tensors, function, one.tensors, one.classifier.preprocessing)


@pytest.mark.parametrize(("network", "kind"), FAULTS)
def test_what_is_wrong_with_a_form_is_named(network, kind):
    form = next(each for each in forms.faults(network) if each.kind == kind)
    found = compared(network, form.make())
    assert found.cause == form.cause, found.text()
    assert not found.sound


@pytest.mark.parametrize(("network", "kind"), SOUND)
def test_a_sound_conversion_is_not_accused(network, kind):
    form = next(each for each in forms.sound(network) if each.kind == kind)
    found = compared(network, form.make())
    assert found.sound, found.text()


def test_a_range_is_told_with_what_undoes_it_and_what_is_left():
    classifier = forms.subject("fashion_mnist").classifier
    found = compared("fashion_mnist", forms.expecting(classifier, "-1..1"))
    assert found.undone == "scaling as '-1..1'"
    assert found.left < 1e-4
    assert found.difference > 0.1
    assert "expects another range of values" in found.text()
    assert "undone by scaling as '-1..1', 0.000 is left" in found.text()


def test_an_order_of_classes_is_told_by_index():
    one = forms.subject("fashion_mnist")
    order = [3, 0, 1, 2, 5, 4, 6, 9, 8, 7]
    predict = one.classifier.predict_tensors
    found = compare_forms(predict, lambda tensors: predict(tensors)[:, order], one.tensors)
    assert found.cause == "class_order"
    # Of the classes that the pictures show; the others are all as improbable.
    seen = set(predict(one.tensors).argmax(axis=1).tolist())
    assert all(found.order[order.index(place)] == place for place in seen)


def test_another_network_is_none_of_these():
    first, second = (forms.subject(name).classifier for name in ("fashion_mnist", "fashion_mnist_5000"))
    unrelated = np.random.default_rng(3).dirichlet(np.ones(10), forms.PHOTOS).astype(np.float32)

    def drawn(tensors):
        # The same for a picture, wherever it stands in a batch.
        places = (1000 * tensors.mean(axis=(1, 2, 3))).astype(int) % len(unrelated)
        return unrelated[places]

    assert compared("fashion_mnist", drawn).cause == "other_network"
    tensors = forms.subject("fashion_mnist").tensors
    assert not compare_forms(first.predict_tensors, second.predict_tensors, tensors).sound


def test_a_picture_that_is_answered_alike_does_not_tell_an_order():
    one = forms.subject("fashion_mnist")
    predict = one.classifier.predict_tensors
    found = compare_forms(predict, lambda tensors: predict(tensors)[:, ::-1].copy(), one.tensors[:1])
    assert found.cause == "cannot_tell"


@pytest.mark.parametrize("wrong", ["nan", "fewer"])
def test_answers_that_are_no_probabilities_of_these_classes_are_not_sound(wrong):
    one = forms.subject("fashion_mnist")
    predict = one.classifier.predict_tensors

    def form(tensors):
        rows = predict(tensors)
        if wrong == "nan":
            return np.full_like(rows, np.nan)
        fewer = rows[:, :5] + rows[:, 5:]
        return fewer / fewer.sum(axis=1, keepdims=True)

    found = compared("fashion_mnist", form)
    assert found.cause == {"nan": "softmax_head", "fewer": "other_network"}[wrong]


# By hand, on answers that are given in full


def toy(tensors):
    """Four classes: the colours of the upper left pixel, and red of its neighbour, each speak for one."""
    logits = np.stack([*tensors[:, 0, 0].T, tensors[:, 0, 1, 0]], axis=1) * 5
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(count, seed=0, side=2):
    return np.random.default_rng(seed).random((count, side, side, 3)).astype(np.float32)


def given(rows):
    """A form that answers each of `drawn(len(rows))` with its row, and refuses all else."""
    known = {each.tobytes(): row for each, row in zip(drawn(len(rows)), rows, strict=True)}

    def answer(tensors):
        if any(each.tobytes() not in known for each in tensors):
            raise ValueError("Expected others")
        return np.stack([known[each.tobytes()] for each in tensors])

    return answer


def shifted(rows, amounts):
    """Rows in which so much is taken from the most probable class and given to the least probable."""
    changed, every = rows.copy(), np.arange(len(rows))
    changed[every, rows.argmax(axis=1)] -= amounts
    changed[every, rows.argmin(axis=1)] += amounts
    return changed


def cause(rows, others, preprocessing=None):
    return compare_forms(given(rows), given(others), drawn(len(rows)), preprocessing).cause


# Of twenty pictures: each is answered by 0.5, 0.3, 0.15 and 0.05, in an order of its own.
SPREAD = np.float32([0.5, 0.3, 0.15, 0.05])
ROWS = np.stack([np.roll(SPREAD, place) for place in range(20)])


@pytest.mark.parametrize(
    ("amounts", "found"),
    [
        ([0.0009] * 20, "same"),
        ([0.0011] * 20, "rounding"),
        ([0.09] * 20, "rounding"),
        ([0.11] * 20, "quantisation"),
        ([0.21] + [0.05] * 19, "rounding"),  # one answer of twenty changes
        ([0.21] * 2 + [0.05] * 18, "quantisation"),
    ],
)
def test_rounded_weights_move_a_probability_by_a_tenth_and_one_answer_of_twenty_at_most(amounts, found):
    assert cause(ROWS, shifted(ROWS, np.float32(amounts))) == found


def test_the_difference_is_the_mean_over_pictures_of_the_largest_of_a_class():
    amounts = np.float32([0.02, 0.04] * 10)
    found = compare_forms(given(ROWS), given(shifted(ROWS, amounts)), drawn(20))
    assert found.difference == pytest.approx(0.03, abs=1e-6)
    assert (found.left, found.undone, found.order) == (None, "", ())
    assert found.text().endswith("(a probability differs by 0.030 on average)")


@pytest.mark.parametrize(("count", "found"), [(3, "cannot_tell"), (4, "other_network")])
def test_from_fewer_than_four_pictures_another_network_is_not_told(count, found):
    flat = np.full((count, 4), 0.25, np.float32)
    assert cause(ROWS[:count], flat) == found
    # Nor where all pictures are answered alike.
    alike = np.repeat(ROWS[:1], 8, axis=0)
    assert cause(alike, np.full((8, 4), 0.25, np.float32)) == "cannot_tell"


@pytest.mark.parametrize(
    ("low", "high", "found"), [(0, 1.02, "softmax_head"), (0, 1.005, "same"), (-0.002, 1, "softmax_head")]
)
def test_probabilities_lie_within_0_and_1_and_are_1_together(low, high, found):
    rows = np.float32([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    others = rows * (high - low) + low if found == "softmax_head" else rows * np.float32(1.0005)
    assert cause(rows, others.astype(np.float32)) == found


def test_a_form_that_answers_otherwise_again_or_alone_is_as_in_training():
    tensors, calls = drawn(8), []

    def again(batch):
        calls.append(len(batch))
        rows = toy(batch)
        return rows if len(calls) == 1 else rows[:, ::-1].copy()

    assert compare_forms(toy, again, tensors).cause == "inference_mode"

    def beside(batch):
        return toy(batch) if len(batch) > 1 else toy(batch)[:, ::-1].copy()

    assert compare_forms(toy, beside, tensors).cause == "inference_mode"


def test_what_is_undone_is_told_with_what_is_left():
    tensors = drawn(16)
    swapped = compare_forms(toy, lambda batch: toy(batch[..., ::-1]), tensors)
    assert (swapped.cause, swapped.undone, swapped.left) == ("channel_order", "exchanging red and blue", 0)
    turned = compare_forms(toy, lambda batch: toy(batch.transpose(0, 2, 1, 3)), tensors)
    assert (turned.cause, turned.left) == ("layout", 0)
    preprocessing = kit.Preprocessing(size=(2, 2), scaling="0..1")
    both = compare_forms(toy, lambda batch: toy(batch[..., ::-1] / 255), tensors, preprocessing)
    assert (both.cause, both.undone) == ("range", "scaling as '0..255', and exchanging red and blue")
    assert both.left < 1e-5
    # A form of which a quarter of the difference is left does something else as well.
    apart = np.abs(toy(tensors) - toy(tensors[..., ::-1])).max(axis=1).mean()
    for part, cause_told in ((0.2, True), (0.3, False)):
        mixed = np.float32(part * apart)

        def form(batch, amount=mixed):
            return shifted(toy(batch[..., ::-1]), amount)

        assert (compare_forms(toy, form, tensors).cause == "channel_order") == cause_told


def test_another_layout_of_the_tensors_is_looked_for_in_no_range():
    first = kit.Preprocessing(size=(2, 2), scaling="0..1", layout="transposed")
    found = compare_forms(toy, lambda batch: toy(batch / 255), drawn(16), first)
    assert found.cause != "range"


def test_an_order_of_classes_has_to_fit_to_the_last_and_needs_four_pictures():
    order = [2, 0, 3, 1]
    for count, found in ((3, "cannot_tell"), (4, "class_order"), (20, "class_order")):
        told = compare_forms(given(ROWS[:count]), given(ROWS[:count, order]), drawn(count))
        assert told.cause == found
        assert told.order == (tuple(order) if found == "class_order" else ())
    near = shifted(ROWS[:, order], np.float32([0.02] * 20))
    assert cause(ROWS, near) != "class_order"
