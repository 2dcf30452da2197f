"""Remedies: batch normalization adapted to images of another kind, and training images changed beforehand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit._arrays import Float32, Pixels
from kit._checking import KERAS, number, require
from kit._reporting import hidden_errors
from kit.classifier.classifier import Classifier, check_first
from kit.classifier.engines import finite, uninterrupted
from kit.classifier.first_layers import Call, called_through, leaves
from kit.classifier.keras_models import copied_model, import_keras
from kit.images.photo import Pictures, as_photos
from kit.perturbation.physics import to_pixels

FEW = 16
"""Images, those of the prior included, that the statistics should stand on; or one a class if more."""

MOST_VALUES = 1 << 23
"""Pixels that go through the network at once, 160 images of 224 x 224: two gigabytes in a large network."""

ONE_CLASS = 0.8
"""Share of the images with one and the same answer from which on they may well show one class."""


def adapt(classifier: Classifier, photos: Pictures, *, prior: float = 0) -> Classifier:
    """Estimate the statistics of BatchNormalization again on images of the kind at hand (AdaBN).

    Li et al. 2016 (arXiv 1603.04779) take the mean and variance of the n new images. Schneider et al. 2020
    (arXiv 2006.16971) mix N / (N + n) of the old and n / (N + n) of the new. What was measured in training
    is left behind. The ``notes`` of the result say on how many images, and warn of few or mostly one answer.

    It helps where all images changed in one way and show the classes in about the proportions of training,
    and hurts where they are few, show one class, or changed otherwise, as by inversion.

    Parameters
    ----------
    classifier
        With the preprocessing to use. Not changed.
    photos
        Images of the new kind, without labels; several dozen of all classes are better than a few.
    prior
        N, in training images; 0 forgets the training, 16 suits few images.

    Raises
    ------
    TypeError, ValueError
        A network without BatchNormalization, no images or too many at once, few that are all predicted as one
        class, a negative prior, or no known preprocessing.
    ModuleNotFoundError
        Keras or TensorFlow is not installed.
    """
    check_first(classifier)
    require(*KERAS)
    images = as_photos(photos)
    prior = number("prior", prior, 0)
    model = classifier.model
    if not _normalizations(model):
        raise ValueError(
            f"Expected a network with BatchNormalization, received {classifier.name!r} without"
        )
    first = classifier.tensor(images[0])
    # Channels, first or last, are the shortest side: what is left are the pixels of an image.
    most_images = MOST_VALUES // (first.size // min(first.shape[1:]))
    if len(images) > most_images:
        raise ValueError(
            f"Expected at most {most_images} images of this size, received {len(images)}"
        )
    batch = np.concatenate([classifier.tensor(photo) for photo in images])
    before = finite(classifier.predict_tensors(batch), classifier.name)
    predicted = before.argmax(axis=1)
    if len(batch) + prior < FEW and np.ptp(predicted) == 0:
        raise ValueError(
            f"Expected {FEW} or more images, or several classes, received {len(batch)}, all predicted as"
            f" {classifier.class_names[predicted[0]]}; give images of all classes"
        )
    # `prior` counts as so many images of training, whose statistics keep that share.
    with hidden_errors():
        model = _adapted(model, batch, prior / (prior + len(batch)))
    adapted = Classifier(model, classifier.preprocessing, classifier.class_names)
    adapted = adapted.tempered(classifier.temperature)
    adapted.adaptation = tuple(adaptation_remarks(before, adapted.class_names, prior))
    return adapted


def adaptation_remarks(
    before: Float32, names: Sequence[str], prior: float
) -> list[str]:
    """Say on how many images the statistics rest, and what is unusual about these."""
    # `before` are the probabilities before the adaptation, a row for each image.
    count, classes = before.shape
    remarks = [f"statistics of BatchNormalization estimated on {count} images"]
    if prior:
        remarks[0] += f", mixed with a prior of {prior:g}"
    enough = max(FEW, classes)
    if count + prior < enough:
        remarks.append(
            f"warning: {count} images are few for {classes} classes; "
            f"prior={enough - count} adds training statistics as if there were {enough}"
        )
    ((commonest_class, its_images),) = Counter(
        before.argmax(axis=1).tolist()
    ).most_common(1)
    if its_images >= ONE_CLASS * count:
        remarks.append(
            f"warning: {its_images} of {count} images were predicted as {names[commonest_class]} before; "
            "if they really show one class, adapting to them does harm"
        )
    return remarks


@uninterrupted()
def _adapted(model: Any, batch: Any, old_share: float) -> Any:
    """Copy the model, with statistics that mix this share of the old ones with those of the batch."""
    keras = import_keras()
    adapted = copied_model(model)

    # Called in place of each layer, whose own statistics it sets from what comes in before it calls it.
    def estimating(layer: Any, call: Call, inputs: Any, **options: Any) -> Any:
        # All but that of the channels, which have a mean each.
        axes = list(range(len(inputs.shape)))
        del axes[layer.axis]
        mean, variance = keras.ops.moments(inputs, axes)
        layer.moving_mean.assign(old_share * layer.moving_mean + (1 - old_share) * mean)
        layer.moving_variance.assign(
            old_share * layer.moving_variance + (1 - old_share) * variance
        )
        return call(inputs, **options)

    # One pass: what a layer receives has gone through the layers before it with their new statistics.
    with called_through(_normalizations(adapted), estimating):
        adapted(batch, training=False)
    return adapted


def _normalizations(model: Any) -> list[Any]:
    # Layers of BatchNormalization, also those inside others: no other kind has a moving variance.
    return [layer for layer in leaves(model) if hasattr(layer, "moving_variance")]


@dataclass(frozen=True)
class Augmentation:
    """Random changes of images, drawn for each by itself; in the order of the parameters.

    Parameters
    ----------
    brightness
        Lowest and highest factor on every value, above 0; drawn evenly on a logarithmic scale.
    added
        Lowest and highest number of levels added to every value; drawn evenly.
    noise
        Highest standard deviation of Gaussian noise in levels; drawn evenly from 0.
    """

    brightness: tuple[float, float] = (1.0, 1.0)
    added: tuple[float, float] = (0.0, 0.0)
    noise: float = 0.0

    def __call__(self, pictures: Pixels, rng: np.random.Generator) -> Pixels:
        """Return changed copies of images, uint8 (N, H, W, C), rounded and clipped once, at the end."""
        # One draw for each image, which counts for all of its values.
        shape = len(pictures), 1, 1, 1
        low, high = np.log(self.brightness)
        factors = np.exp(rng.uniform(low, high, shape)).astype(np.float32)
        levels = rng.uniform(*self.added, shape).astype(np.float32)
        values = pictures.astype(np.float32) * factors + levels
        if self.noise:
            deviations = rng.uniform(0, self.noise, shape).astype(np.float32)
            values += rng.standard_normal(values.shape, np.float32) * deviations
        return to_pixels(values)  # rounded, and clipped to 0..255
