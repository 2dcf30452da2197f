"""Training loops: the same call gives the same network, and its steps are those of Adam."""

from types import SimpleNamespace

import numpy as np
import pytest

from kit import Decoding, samples
from kit.preprocessing import Preprocessing
from kit.validation.training import (
    _learner_sharing_layers,
    _tensors_of_epochs,
    small_network,
    train,
)
from tests.networks import imported_keras, small, stacked

GREY = Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
NAMES = samples.classifier("fashion_mnist").class_names


def trained(count=60, epochs=1, **settings):
    pictures, labels = samples.fashion_mnist_arrays("train")
    return train(
        pictures[:count],
        labels[:count],
        GREY,
        NAMES,
        epochs=epochs,
        **settings,
    )


def weights(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def test_the_network_is_that_of_the_bundled_classifiers():
    made, bundled = (
        small_network("made", (28, 28, 1), 10),
        samples.classifier("fashion_mnist").model,
    )
    one, other = (
        [
            [
                layer.name,
                *map(np.shape, layer.get_weights()),
                *(getattr(layer, name, 0) for name in ("momentum", "rate")),
            ]
            for layer in model.layers
        ]
        for model in (made, bundled)
    )
    assert one == other


def test_a_seed_decides_everything_whatever_the_global_state():
    seeds = ({}, {"seed": 0}, {"seed": 1})
    made = [small_network("one", (28, 28, 1), 10, **seed) for seed in seeds]
    assert np.array_equal(weights(made[0]), weights(made[1]))
    assert not np.array_equal(weights(made[0]), weights(made[2]))
    one, same, other = (network.get_layer("dropout").seed for network in made)
    assert one == same != other
    layers = imported_keras().layers
    start = stacked(
        (28, 28, 1),
        layers.Flatten(),
        layers.Dropout(0.5, seed=1),
        layers.Dense(10, "softmax"),
    )
    before = weights(start)
    once = trained(model=start)
    imported_keras().utils.set_random_seed(99)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global state is what is looked at)
    assert np.array_equal(weights(trained(model=start).model), weights(once.model))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    reordered = trained(model=start, seed=1)
    assert not np.array_equal(weights(reordered.model), weights(once.model))
    assert np.array_equal(weights(start), before), "a copy is trained"


def test_without_a_network_a_small_one_takes_the_tensors_of_the_preprocessing(
    monkeypatch,
):
    learner = SimpleNamespace(train_on_batch=lambda *_: None)
    monkeypatch.setattr(
        "kit.validation.training._learner_sharing_layers", lambda *_, **__: learner
    )
    pictures, labels = samples.fashion_mnist_arrays("train")
    tall = GREY.replace(size=(28, 20))
    made = train(pictures[:9], labels[:9], tall, NAMES, epochs=1, seed=1)
    start = small_network("trained", (28, 20, 1), 10, seed=1)
    assert (made.input_shape, made.name) == ((28, 20, 1), "trained")
    assert (made.preprocessing, made.notes) == (tall, ())
    np.testing.assert_array_equal(made.model.get_weights()[0], start.get_weights()[0])


@pytest.mark.parametrize(
    ("last", "units"),
    [("softmax", 3), ("sigmoid", 1), ("linear", 1), ("cast", 3)],
)
def test_the_output_of_the_class_rises_whatever_the_last_layer_puts_out(last, units):
    # Adam's first step moves every bias by the learning rate against its gradient.
    if last == "cast":
        # As networks of mixed precision end: a dense layer, and one that makes its logits float32.
        dense = small("linear", units=units)
        layers = imported_keras().layers
        start = stacked(
            (28, 28, 1), dense, layers.Activation("linear", dtype="float32")
        )
    else:
        start = small(last, units=units)
    pictures, _ = samples.fashion_mnist_arrays("train")
    made = train(
        pictures[:60],
        np.ones(60, int),
        GREY,
        NAMES[: max(units, 2)],
        epochs=1,
        model=start,
        learning_rate=1e-3,
    )
    before, after = (model.get_weights()[-1] for model in (start, made.model))
    rises = [True] if units == 1 else [False, True, False]
    expected = np.where(rises, 1e-3, -1e-3)
    np.testing.assert_allclose(after - before, expected, rtol=1e-3)


def test_the_learning_rate_falls_to_zero_as_half_a_cosine():
    optimizer = _learner_sharing_layers(
        small(), learning_rate=1e-3, total_steps=4, head="softmax"
    ).optimizer
    for step, rate in ((0, 1e-3), (2, 5e-4), (4, 0)):
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(rate, abs=1e-9)


def test_augmented_pictures_are_drawn_anew_and_then_prepared(monkeypatch):
    seen, steps, told, batches = [], [], [], []

    def even(pictures, rng):
        seen.append((pictures.shape, pictures.dtype, rng.random()))
        return pictures * 0 + np.uint8(labels % 6 * 51)[:, None, None, None]

    def compiled(model, learning_rate, total_steps, head):
        steps.append(total_steps)
        return SimpleNamespace(train_on_batch=lambda *batch: batches.append(batch))

    monkeypatch.setattr("kit.validation.training._learner_sharing_layers", compiled)
    labels = samples.fashion_mnist_arrays("train")[1][:130]
    model = small(units=10)
    trained(count=130, model=model, epochs=2, augment=even, progress=told.append)
    assert [entry[:2] for entry in seen] == [((130, 28, 28, 3), np.uint8)] * 2
    assert seen[0][2] != seen[1][2]
    # In whole steps, and in another order each time.
    assert (steps, told[1:]) == ([2 * 2], ["Training: 2 of 2"])
    for tensors, classes in batches:
        np.testing.assert_allclose(tensors.max(axis=(1, 2, 3)), classes % 6 / 5)
    assert len({(*classes,) for _, classes in batches}) == 4


def test_augmented_pictures_are_decoded_as_the_preprocessing_says_and_whole_in_each_epoch():
    photo = samples.photo("exif.jpg")
    unturned = GREY.replace(decoding=Decoding(exif=False))
    shapes = []

    def inverted_in_place(pictures, _):
        shapes.append(pictures.shape[1:3])
        np.subtract(255, pictures, out=pictures)
        return pictures

    rng = np.random.default_rng(0)
    epochs = _tensors_of_epochs([photo], unturned, inverted_in_place, rng)
    np.testing.assert_array_equal(next(epochs), next(epochs))
    assert shapes == [photo.size[::-1]] * 2
    assert photo.size[0] != photo.size[1]


UNFIT = [
    ({"labels": [0, 1, None]}, "Expected a label for every image, received None"),
    ({"epochs": 0}, "Expected epochs as a whole number not below 1"),
]


@pytest.mark.parametrize(("change", "message"), UNFIT)
def test_what_does_not_fit_is_refused_before_training(change, message):
    settings = {
        "labels": [0, 1, 2],
        "epochs": 1,
        "preprocessing": GREY,
        "class_names": NAMES,
    } | change
    with pytest.raises(ValueError, match=message):
        train(np.zeros((3, 28, 28), np.uint8), **settings)


def test_names_that_do_not_fit_the_model_are_refused_before_training():
    told = []
    with pytest.raises(ValueError, match="Expected 9 class names"):
        trained(model=small(units=9), progress=told.append)
    with pytest.raises(TypeError, match="Expected a list of class names"):
        train(
            [samples.photo("cat.jpg")], [0], GREY, "ab", epochs=1, progress=told.append
        )
    assert told == []
