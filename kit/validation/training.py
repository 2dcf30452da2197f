"""Training a small network."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from kit._arrays import Float32, Pixels
from kit._checking import KERAS, require, whole
from kit._reporting import Progress, Steps
from kit.classifier.classifier import Classifier
from kit.classifier.engines import head_of, measured_head, uninterrupted
from kit.classifier.keras_models import copied_model, import_keras
from kit.classifier.labels import Labels, checked_class_names, known_classes
from kit.images.photo import Photo, Pictures, as_photos
from kit.preprocessing import Preprocessing

Augment = Callable[[Pixels, np.random.Generator], Pixels]
"""As `kit.robustness.Augmentation`: changes uint8 images (N, H, W, 3), keeps the shape."""

BATCH = 64
"""Images in a step, or all of them where there are fewer."""

FILTERS = (16, 24, 40)
"""Filters of the three stages of `small_network`."""


def small_network(
    name: str, input_shape: tuple[int, ...], class_count: int, *, seed: int = 0
) -> Any:
    """Make the small convolutional network of the bundled Fashion-MNIST classifiers, not yet trained.

    Three pairs of 3 x 3 convolutions with BatchNormalization (momentum 0.9) and ReLU, maximum pooling between
    them, then global average pooling, dropout of 0.2 and a softmax; 27,000 weights for (28, 28, 1) and 10
    classes.

    Parameters
    ----------
    name, class_count
        Name of the network, and number of its classes.
    input_shape
        Height and width of its input in pixels, at least 4, and channels.
    seed
        Of the initial weights (He et al. 2015, arXiv 1502.01852) and of dropout; not negative.
    """
    keras = import_keras()
    layers = keras.layers
    # Two layers of one shape and one seed would be equal.
    seeds = iter(
        np.random.SeedSequence(seed).generate_state(2 * len(FILTERS) + 2).tolist()
    )
    convolution = partial(layers.Conv2D, kernel_size=3, padding="same", use_bias=False)
    inputs = x = keras.Input(input_shape, name="picture")
    for stage, filters in enumerate(FILTERS):
        if stage:
            x = layers.MaxPooling2D(name=f"pool{stage}")(x)
        for letter in "ab":
            initializer = keras.initializers.HeNormal(next(seeds))
            x = convolution(
                filters, kernel_initializer=initializer, name=f"conv{stage}{letter}"
            )(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"norm{stage}{letter}")(x)
            x = layers.ReLU(name=f"relu{stage}{letter}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.2, seed=next(seeds), name="dropout")(x)
    initializer = keras.initializers.GlorotUniform(next(seeds))
    outputs = layers.Dense(
        class_count,
        activation="softmax",
        kernel_initializer=initializer,
        name="classes",
    )(x)
    return keras.Model(inputs, outputs, name=name)


def train(
    pictures: Pictures,
    labels: Labels,
    preprocessing: Preprocessing,
    class_names: Sequence[str],
    *,
    epochs: int,
    seed: int = 0,
    model: Any = None,
    learning_rate: float = 3e-3,
    augment: Augment
    | None = None,  # takes all pixels and a generator, before they are prepared
    progress: Progress = True,
) -> Classifier:
    """Train a small network on images; on two cores 10,000 of 28 x 28 take six seconds an epoch.

    Adam (Kingma and Ba 2015, arXiv 1412.6980) with a learning rate that falls to zero along a cosine
    (Loshchilov and Hutter 2017, arXiv 1608.03983), on the cross-entropy, in whole steps of `BATCH` images.

    Parameters
    ----------
    pictures, labels
        See `kit.images.photo`, not changed; index or name of the class of each.
    preprocessing, class_names
        How they are prepared, which becomes part of the classifier; one name for each class.
    epochs
        Passes over the images, at least 1.
    seed
        Of initial weights, dropout, order and augmentation; not negative.
    model
        A Keras model to go on from in place of a new `small_network`, with a softmax, logits, or one output
        for two classes. Not changed: a copy is trained, whose dropout has the seeds that it has there.
    learning_rate
        At the start; 2e-3 suits a network without BatchNormalization.
    augment
        Changes the images again in each epoch, as `Augmentation` does; all must have one size.
    progress
        True for a bar; or a function that gets each epoch as a line of text.

    Raises
    ------
    TypeError, ValueError
        Labels that do not fit the images or the class names, names that do not fit the model, no epochs,
        tensors of several sizes, or images of several sizes with ``augment``.
    ModuleNotFoundError
        Keras or TensorFlow is not installed.
    """
    require(*KERAS)
    photos = as_photos(pictures)
    classes = known_classes(labels, class_names, photos)
    epoch_indices = range(whole("epochs", epochs, low=1, high=None))
    rng = np.random.default_rng(seed)
    tensors = _tensors_of_epochs(photos, preprocessing, augment, rng)
    batch_size = min(BATCH, len(photos))
    # Whole batches only: each epoch has an order of its own, so no image is left out for long.
    batch_starts = range(0, len(photos) - batch_size + 1, batch_size)
    # TensorFlow is not to be used any more in a process in which it was interrupted.
    with uninterrupted():
        tensor = preprocessing.apply(photos[0].decoded(preprocessing.decoding))
        if model is None:
            shape = tensor.shape[1:]
            model = small_network("trained", shape, len(class_names), seed=seed)
        else:
            # A person's own model, which is not to change.
            model = copied_model(model)
        # The classifier would refuse names that do not fit only after the training.
        outputs = model.output_shape[-1]
        class_count = 2 if outputs == 1 else outputs
        checked_class_names(class_names, class_count, model.name)
        # Layers may stand between the last dense one and the outputs, which then tell what they are.
        head = head_of(model) or measured_head(np.asarray(model(tensor)))
        # It has the layers of `model`, so both are trained; the optimizer stays with it.
        learner = _learner_sharing_layers(
            model, learning_rate, total_steps=epochs * len(batch_starts), head=head
        )
    for _ in Steps(epoch_indices, "Training", progress):
        epoch_tensor = next(tensors)
        order = rng.permutation(len(classes))
        for start in batch_starts:
            batch = order[start : start + batch_size]
            with uninterrupted():
                learner.train_on_batch(epoch_tensor[batch], classes[batch])
    return Classifier(model, preprocessing, class_names)


def _learner_sharing_layers(
    model: Any, learning_rate: float, total_steps: int, head: str
) -> Any:
    """Return a second model around the same layers, so that no optimizer clings to the first."""
    keras = import_keras()
    # Of the same layers, so that training it trains `model`, which itself stays without an optimizer.
    learner = keras.Model(model.inputs, model.outputs)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, total_steps)
    is_binary = model.output_shape[-1] == 1
    loss_class = (
        keras.losses.BinaryCrossentropy
        if is_binary
        else keras.losses.SparseCategoricalCrossentropy
    )
    # XLA takes longer to compile such small networks than it saves.
    learner.compile(
        keras.optimizers.Adam(rate),
        loss_class(from_logits=head in {"logits", "binary_logit"}),
        jit_compile=False,
    )
    return learner


def _tensors_of_epochs(
    photos: Iterable[Photo],
    preprocessing: Preprocessing,
    augment: Augment | None,
    rng: np.random.Generator,
) -> Iterator[Float32]:
    """Yield the tensors of all photos, for one epoch after another."""
    decoded_photos = [photo.decoded(preprocessing.decoding) for photo in photos]
    if augment is None:
        unchanged_tensor = np.concatenate(
            [preprocessing.apply(photo) for photo in decoded_photos]
        )
        # Without end; the caller takes one for each epoch.
        yield from repeat(unchanged_tensor)
    else:
        # Stacked into one array, so all must have one size.
        while True:
            augmented_pixels = augment(
                np.stack([photo.pixels for photo in decoded_photos]), rng
            )
            yield np.concatenate(
                [preprocessing.apply(Photo(pixels)) for pixels in augmented_pixels]
            )
