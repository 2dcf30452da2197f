"""Other forms of real networks: what is wrong with one is named, and a sound conversion is not accused.

All forms on all networks: ``tests/benchmarks/forms.py``.
"""

import numpy as np
import pytest

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
