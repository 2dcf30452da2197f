"""AdaBN, beside a literal version in numpy and on the bundled networks."""

import numpy as np
import pytest

from kit import adapt, samples
from kit.classifier.classifier import Classifier
from kit.classifier.keras_models import copied_model
from kit.robustness.adaptation import adaptation_remarks
from tests import networks
from tests.networks import GREY, imported_keras

TRUTH = np.array(samples.labels("fashion_mnist"))


@pytest.fixture(scope="module")
def few(clothes):
    return clothes[:16]


def of_first_axis(shape, **changes):
    """A network whose BatchNormalization is one for each row, or channel if they are first."""
    layers = imported_keras().layers
    body = layers.BatchNormalization(axis=1), layers.Flatten(), layers.Dense(3)
    return Classifier(networks.stacked(shape, *body), GREY.replace(**changes))


def test_statistics_become_those_of_the_pictures_beside_a_prior_of_as_many(few):
    # Of each row; those of a new layer are 0 and 1.
    rows = of_first_axis((28, 28, 1))
    tensors = np.concatenate([rows.tensor(photo) for photo in few])
    measured = tensors.mean(axis=(0, 2, 3)), tensors.var(axis=(0, 2, 3))
    # 48 of the prior beside 16 pictures: three quarters of the old, a quarter of the new.
    for prior, old in ((0, 0), (48, 0.75)):
        _, _, *found = adapt(rows, few, prior=prior).model.layers[0].get_weights()
        for after, before, new in zip(found, (0, 1), measured, strict=True):
            expected = old * before + (1 - old) * new
            assert np.allclose(after, expected, rtol=1e-4, atol=1e-6)


def test_a_deep_network_uses_the_new_statistics_on_the_way(fashion, few):
    # With its own batch statistics in every layer, which is what Keras does in training mode.
    reference = networks.copied(fashion.model)
    for norm in networks.norms(reference):
        norm.momentum = 0.0
    reference(np.concatenate([fashion.tensor(photo) for photo in few]), training=True)
    pairs = zip(
        adapt(fashion, few).model.get_weights(), reference.get_weights(), strict=True
    )
    for adapted, expected in pairs:
        assert np.allclose(adapted, expected, rtol=1e-3, atol=1e-4)


def test_the_given_classifier_stays_as_it_is(small, few):
    weights = small.model.get_weights()
    adapted = adapt(small.tempered(2), few)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(weights, small.model.get_weights(), strict=True)
    )
    assert (adapted.temperature, adapted.preprocessing, adapted.class_names) == (
        2,
        GREY,
        small.class_names,
    )


def test_it_warns_of_one_class_by_what_was_predicted_before(fashion, clothes):
    boots = [clothes[place] for place in np.flatnonzero(TRUTH == 9)[:32]]
    _, warning = adapt(fashion, boots).notes
    assert warning.startswith(
        "warning: 29 of 32 images were predicted as Ankle boot before"
    )


def test_remarks_count_pictures_classes_and_answers():
    def printable(counts, classes, prior=0):
        rows = np.eye(classes, dtype=np.float32)[
            np.repeat(np.arange(len(counts)), counts)
        ]
        return adaptation_remarks(
            rows, [f"class {place}" for place in range(classes)], prior
        )

    first = "statistics of BatchNormalization estimated on 16 images"
    assert printable([12, 4], 3) == [first]  # three quarters of one answer
    one = (
        "warning: 16 of 20 images were predicted as class 0 before; "
        "if they really show one class, adapting to them does harm"
    )
    assert printable([16, 4], 3)[1:] == [one]  # four fifths
    few = "warning: 16 images are few for 20 classes; prior=4 adds training statistics as if there"
    assert printable([8, 8], 20) == [first, f"{few} were 20"]
    assert printable([8, 8], 20, prior=4) == [f"{first}, mixed with a prior of 4"]


def test_normalization_inside_an_inner_model_is_found(few):
    keras = imported_keras()
    inner = networks.small()
    outside = keras.Input((28, 28, 1))
    model = keras.Model(outside, inner(outside), name="nested")
    nested = Classifier(model, GREY, [*"aab"])
    flat = adapt(Classifier(inner, GREY), few).probabilities(few)
    adapted = adapt(nested, few)
    assert np.allclose(adapted.probabilities(few), flat, atol=1e-5)
    assert adapted.notes[: len(nested.notes)] == nested.notes != ()
    assert adapted.renamed([*"abc"]).notes == adapted.notes[1:]


def test_a_copy_of_a_model_scales_as_the_model_does():
    keras = imported_keras()
    # Of a mean of 90 and a variance of 1600, in a model within the model.
    scale = keras.layers.Normalization()
    scale.adapt(np.array([[[[50.0]]], [[[130.0]]]]))
    inner = networks.stacked((8, 8, 1), scale, keras.layers.Flatten())
    model = networks.stacked((8, 8, 1), inner, keras.layers.Dense(2))
    levels = np.full((1, 8, 8, 1), 200, np.float32)
    expected = model.predict(levels, verbose=0)
    assert np.array_equal(copied_model(model).predict(levels, verbose=0), expected)


def test_what_cannot_be_adapted_is_refused(
    small, fashion, no_batchnorm, few, monkeypatch
):
    message = r"Expected a network with BatchNormalization, received 'fashion_mnist_no_batchnorm' without$"
    with pytest.raises(ValueError, match=message):
        adapt(no_batchnorm, few)
    with pytest.raises(ValueError, match=r"Expected prior within 0\.\.inf"):
        adapt(small, few, prior=-1)
    boots = [few[place] for place in np.flatnonzero(TRUTH[:16] == 9)]
    message = f"received {len(boots)}, all predicted as Ankle boot; give images of all"
    with pytest.raises(ValueError, match=message):
        adapt(fashion, boots)
    assert adapt(fashion, boots, prior=16).notes
    monkeypatch.setattr("kit.robustness.adaptation.MOST_VALUES", 20 * 28**2)
    colours = of_first_axis((3, 28, 28), channels="rgb", layout="channels_first")
    for classifier in (small, colours):
        with pytest.raises(
            ValueError,
            match="Expected at most 20 images of this size, received 21",
        ):
            adapt(classifier, [few[0]] * 21)
