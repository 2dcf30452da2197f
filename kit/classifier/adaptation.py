"""AdaBN: batch normalization told anew what the pictures at hand look like, without a label.

A network with BatchNormalization keeps the mean and variance that its training pictures had in front of each
such layer. Where the pictures have changed, these no longer hold, and they can be measured again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit._checking import number
from kit._interrupts import held
from kit.classifier import Classifier, check_first
from kit.classifier.activations.from_keras import leaves
from kit.classifier.runtime.keras_models import import_keras
from kit.classifier.runtime.quiet import captured_errors
from kit.classifier.runtime.shapes import check_shape
from kit.images import Photo, Pictures, as_photos

FEW = 16
"""Pictures, those of the prior included, that the statistics should stand on; or one a class if more."""

MOST_VALUES = 1 << 23
"""Pixels that go through the network at once, 160 pictures of 224 x 224: two gigabytes in a large network."""

ONE_CLASS = 0.8
"""Share of the pictures with one and the same answer from which on they may well show one class."""


def adapt(classifier: Classifier, photos: Pictures, *, prior: float = 0) -> Classifier:
    """Estimate the statistics of BatchNormalization again on pictures of the kind at hand (AdaBN).

    Li et al. 2016 (arXiv 1603.04779) take the mean and variance of the new pictures, n of them. Schneider et
    al. 2020 (arXiv 2006.16971) mix both with those of the training pictures: N / (N + n) of the old and
    n / (N + n) of the new, as if N training pictures were among them. Weights, preprocessing, temperature and
    class names stay. What was measured in training, as the profile for `kit.diagnose`, is left behind.

    It helps where all pictures changed in one way and show the classes in about the proportions of training.
    It hurts where they are few, show one class, or changed in a way that mean and variance do not hold, as
    inversion.

    Parameters
    ----------
    classifier
        With the preprocessing to use. Not changed.
    photos
        Pictures of the new kind, without labels; several dozen of all classes are better than a few. All go
        through the network at once.
    prior
        N, in training pictures; 0 forgets the training, 16 suits few pictures.

    Returns
    -------
    Classifier
        A new one. Its ``notes`` say on how many pictures, and warn of few, and of pictures that mostly got
        one answer: a shift may be the reason, or that they show one class, which the answers cannot tell.

    Raises
    ------
    TypeError, ValueError
        A network without BatchNormalization, no pictures or too many at once, a negative prior, or no known
        preprocessing.
    """
    check_first(classifier, "kit.adapt(classifier, photos)")
    chosen = as_photos(photos, allow_empty=False)
    kept = number("prior", prior)
    if kept < 0:
        raise ValueError(f"Expected a prior of 0 or more training pictures, received {prior!r}")
    model = classifier.model
    if not any(_is_batch_normalization(layer) for layer in leaves(model)):
        raise ValueError(
            f"Expected a network with BatchNormalization, received {classifier.name!r} without;"
            " correct the pictures, or train with such ones"
        )
    batch = _batch(classifier, chosen)
    with captured_errors():
        adapted = _adapted(model, batch, kept / (kept + len(batch)))
    result = Classifier(adapted, classifier.preprocessing, classifier.class_names)
    result = result.tempered(classifier.temperature)
    result.notes = (*result.notes, *remarks(classifier.predict_tensors(batch), result.class_names, kept))
    return result


def _batch(classifier: Classifier, photos: Sequence[Photo]) -> Float32:
    tensors = []
    for photo in photos:
        tensors.append(classifier.tensor(photo))
        check_shape(tensors[-1].shape, classifier.input_shape)
        most = MOST_VALUES // tensors[0][..., 0].size
        if len(photos) > most:
            raise ValueError(
                f"Expected at most {most} pictures of this size, received {len(photos)};"
                " take some of them at random"
            )
    return np.concatenate(tensors)


def remarks(before: Float32, names: Sequence[str], prior: float) -> list[str]:
    """Say on how many pictures the statistics rest, and what is unusual about these."""
    count, classes = before.shape
    mixed = f", mixed with a prior of {prior:g}" if prior else ""
    remarks = [f"statistics of BatchNormalization estimated on {count} pictures{mixed}"]
    enough = max(FEW, classes)
    if count + prior < enough:
        remarks.append(
            f"warning: {count} pictures are few for {classes} classes; "
            f"prior={enough - count} leans on the training statistics as if they were {enough}"
        )
    counts = np.bincount(before.argmax(axis=1), minlength=classes)
    if counts.max() >= ONE_CLASS * count:
        remarks.append(
            f"warning: {counts.max()} of {count} pictures were answered {names[int(counts.argmax())]} before;"
            " if they do show one class, adapting to them does harm"
        )
    return remarks


@held()
def _adapted(model: Any, batch: Any, old: float) -> Any:
    """Clone the model with statistics that mix this share of the old ones with those of the batch."""
    keras = import_keras()
    normalization = _measuring(old)

    def cloned(layer: Any) -> Any:
        kind = normalization if _is_batch_normalization(layer) else type(layer)
        return kind.from_config(layer.get_config())

    measuring = keras.models.clone_model(model, clone_function=cloned, recursive=True)
    measuring.set_weights(model.get_weights())
    # One pass: what a layer receives has gone through the layers before it with their new statistics.
    measuring(batch, training=False)
    adapted = keras.models.clone_model(model)
    adapted.set_weights(measuring.get_weights())
    return adapted


def _measuring(old: float) -> Any:
    """BatchNormalization that sets its statistics by what it receives, then uses them."""
    keras = import_keras()

    class Measuring(keras.layers.BatchNormalization):  # type: ignore[name-defined,misc]
        def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002
            axes = [axis for axis in range(len(inputs.shape)) if axis != self.axis % len(inputs.shape)]
            for kept, measured in zip(
                (self.moving_mean, self.moving_variance), keras.ops.moments(inputs, axes), strict=True
            ):
                kept.assign(old * kept + (1 - old) * measured)
            return super().call(inputs, training=False)

    return Measuring


def _is_batch_normalization(layer: Any) -> bool:
    return isinstance(layer, import_keras().layers.BatchNormalization)
