"""Networks of many kinds, trained here in a minute each: ``zoo.py --to FOLDER [--only NAME …]``.

A limit that is chosen on some of them is reported on a kind that was left out. A kind is what the pictures
show, or how the network came about where that matters more. Each file carries the compiled form and no
statistics beside those of its BatchNorm layers; `Subject` gives it a profile of 40 training pictures.
"""

import argparse
from collections import namedtuple
from functools import cache
from pathlib import Path

import numpy as np

import kit
from kit.images.photo import Photo
from kit.preprocessing.scaling import Scaling
from tests import networks
from tests.benchmarks.zoo_pictures import NEEDED, shuffled

HELD_BACK, PROFILED = 0.3, 40
"""Share of the pictures that no network is trained on, and training pictures in a profile."""

SCALINGS = {
    "cifar": Scaling(255.0, (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "mnist": Scaling(255.0, 0.1307, 0.3081),
    "half": Scaling(255.0, 0.5, 0.25),
    "wide": Scaling(64.0, 2.0),
    "hundreds": Scaling(100.0, 0.5, 1.5),
    "own": Scaling(255.0, 0.32, 0.41),
}
"""Those that are no preset; the first two as many tutorials have them for CIFAR-10 and MNIST."""


class Subject:
    """A network with pictures that it was not trained on.

    Attributes
    ----------
    name, kind
        Of the network.
    classifier
        With the right preprocessing; `profiled` has a profile of training pictures besides.
    photos, labels
        Held-back pictures and their classes.
    profiled
        The same with a profile, or None.
    """

    def __init__(self, name, kind, classifier, pairs, training):
        self.name = name
        self.kind = kind
        self.classifier = classifier
        self.photos, self.labels = zip(*pairs, strict=True)
        self.profiled = None
        if training:
            some = [photo for photo, _ in training[:PROFILED]]
            known = classifier.reference.with_pictures(some, classifier.tensor)
            self.profiled = classifier.with_reference(known)

    @cache  # noqa: B019 (all are kept while it runs)
    def accuracy(self, preprocessing):
        """Return the share of the first 100 images that this preprocessing lets it predict correctly."""
        some = self.photos[:100]
        found = self.classifier.probabilities(some, preprocessing=preprocessing)
        return float(np.mean(found.argmax(axis=1) == self.labels[:100]))


def there(only):
    """Yield the rows of these names, or all, whose pictures are there."""
    for row in ROWS:
        path, package = NEEDED.get(row.pictures, (Path(), ""))
        if only and row.name not in only:
            continue
        if path.exists():
            yield row
        else:
            print(f"{row.name} left out: install {package}")


def opened(folder, only):
    """Yield the networks of these names, or all, that are in a folder."""
    for row in there(only):
        if (file := folder / f"{row.name}.keras").exists():
            held_back, training = split(row)
            classifier = kit.Classifier.load(file)
            yield Subject(row.name, row.kind, classifier, held_back, training)


def make(row, folder):
    """Train a network and save it; return its accuracy on held-back pictures, 0..1."""
    import keras

    keras.utils.set_random_seed(len(row.name) + row.side)
    held_back, training = split(row)
    trained = training[: row.most]
    steps = kit.Preprocessing(
        size=(row.side, row.side), channels=row.channels, scaling=row.scaling
    )
    tensors = np.concatenate([steps.apply(photo) for photo, _ in trained])
    truth = np.array([label for _, label in trained])
    count = int(truth.max()) + 1
    model = row.build(tensors.shape[1:], count)
    if row.build is head:
        train_head(model, tensors, truth, row.epochs)
    else:
        rate = 5e-4 if row.build is vit else 2e-3
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        if row.name in VARIED:
            batches, steps_of = varied(tensors, truth), len(tensors) // 32
            model.fit(batches, epochs=row.epochs, steps_per_epoch=steps_of, verbose=0)
        else:
            model.fit(tensors, truth, epochs=row.epochs, batch_size=32, verbose=0)
    # A copy leaves the optimizer and what else the training has left behind.
    names = [f"class {place}" for place in range(count)]
    finish = FINISHED.get(row.kind, networks.copied)
    classifier = kit.Classifier(finish(model), steps, names)
    classifier.save(folder / f"{row.name}.keras")
    return Subject(row.name, row.kind, classifier, held_back, ()).accuracy(steps)


def folded(model):
    """Put the batch normalization of `norm` into its convolutions, as an export for phones does."""
    weights = []
    for layer in model.layers:
        values = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = values
            factor = gamma / np.sqrt(variance + layer.epsilon)
            weights[-1:] = [weights[-1] * factor, beta - mean * factor]
        else:
            weights += values
    copy = plain(model.input_shape[1:], model.output_shape[-1])
    copy.set_weights(weights)
    return copy


def quantised(model):
    """Round each array of weights, the moving statistics among them, to 255 even levels around 0."""
    copy = networks.copied(model)
    weights = []
    for values in model.get_weights():
        step = max(float(np.abs(values).max()) / 127, 1e-12)
        weights.append(np.round(values / step) * step)
    copy.set_weights(weights)
    return copy


def split(row):
    """Return held-back pictures with their classes, and those of the training."""
    pairs = [
        (Photo.from_array(pixels, f"{row.pictures}_{place}"), label)
        for place, (pixels, label) in enumerate(
            shuffled(row.pictures, min(row.side, 128))
        )
    ]
    # Copies of one picture stay on one side.
    cut = int(len(pairs) * HELD_BACK) // 4 * 4
    return pairs[:cut], pairs[cut:]


def varied(tensors, truth):
    """Yield batches of 32, half of the pictures mirrored and all of them in other light."""
    random = np.random.default_rng(1)
    low, high = float(tensors.min()), float(tensors.max())
    while True:
        chosen = random.integers(len(tensors), size=32)
        batch = tensors[chosen]
        batch[::2] = batch[::2, :, ::-1]
        light = random.uniform(0.8, 1.2, (32, 1, 1, 1)).astype(np.float32)
        yield np.clip((batch - low) * light + low, low, high), truth[chosen]


def _stack(shape, count, block, widths):
    import keras

    entry = keras.Input(shape)
    x = block(entry, widths[0])
    for width in widths[1:]:
        x = block(keras.layers.MaxPooling2D()(x), width)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(entry, keras.layers.Dense(count, activation="softmax")(x))


def norm(shape, count):
    """Convolutions with batch normalization."""
    from keras import layers

    return _normalized(shape, count, lambda: layers.BatchNormalization(momentum=0.9))


def groupnorm(shape, count):
    """Convolutions with group normalization."""
    from keras import layers

    return _normalized(shape, count, lambda: layers.GroupNormalization(8))


def _normalized(shape, count, normalization):
    from keras import layers

    def block(x, width):
        x = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(normalization()(x))

    return _stack(shape, count, block, (16, 32, 64, 64))


def plain(shape, count):
    """Convolutions with biases and nothing else."""
    from keras import layers

    def block(x, width):
        return layers.Conv2D(
            width, 3, padding="same", activation="relu", kernel_initializer="he_normal"
        )(x)

    return _stack(shape, count, block, (16, 32, 64, 64))


def layernorm(shape, count):
    """Patches of 2 x 2, then depthwise convolutions with layer normalization, as in ConvNeXt."""
    from keras import layers

    def block(x, width):
        x = layers.Conv2D(width, 2, strides=1, padding="same")(x)
        y = layers.LayerNormalization()(layers.DepthwiseConv2D(5, padding="same")(x))
        return layers.Add()(
            [x, layers.Dense(width)(layers.Dense(2 * width, activation="gelu")(y))]
        )

    return _stack(shape, count, block, (16, 32, 48))


def residual(shape, count):
    """A stem with a stride, then residual blocks with batch normalization."""
    from keras import layers

    def block(x, width):
        strides = 2 if width == 24 else 1
        x = layers.Conv2D(width, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        y = layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        return layers.ReLU()(
            layers.Add()([x, layers.BatchNormalization(momentum=0.9)(y)])
        )

    return _stack(shape, count, block, (24, 48, 64))


def vit(shape, count):
    """Patches, positions and two blocks of attention."""
    import keras
    from keras import layers

    side = shape[0] // 8
    entry = keras.Input(shape)
    x = layers.Conv2D(48, 8, strides=8)(entry)
    x = layers.Reshape((side * side, 48))(x)
    x = layers.Add()(
        [x, layers.Embedding(side * side, 48)(np.arange(side * side)[None])]
    )
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(3, 16)(y, y)])
        y = layers.Dense(96, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(48)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(entry, layers.Dense(count, activation="softmax")(x))


def mobilenet_inside(shape, count):
    """MobileNetV3Small of keras.applications with its scaling inside, from scratch."""
    import keras

    model = keras.applications.MobileNetV3Small(shape, weights=None, classes=count)
    for layer in networks.norms(model):
        layer.momentum = 0.9  # 0.999 is for millions of pictures
    return model


def head(shape, count):
    """A new head on EfficientNet-Lite0, which stays as it is."""
    import keras

    whole = kit.samples.classifier("efficientnet_lite0").model
    pooled = next(
        layer for layer in reversed(whole.layers) if "Pooling" in type(layer).__name__
    )
    outputs = keras.layers.Dense(count, activation="softmax")(pooled.output)
    return keras.Model(whole.inputs, outputs)


def train_head(model, tensors, truth, epochs):
    """Train the last layer on what the layers before make of the pictures."""
    import keras

    body = keras.Model(model.inputs, model.layers[-1].input)
    features = body.predict(tensors, batch_size=32, verbose=0)
    last = keras.layers.Dense(model.output_shape[-1], "softmax")
    small = keras.Sequential([keras.Input(features.shape[1:]), last])
    small.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
    small.fit(features, truth, epochs=epochs, verbose=0)
    model.layers[-1].set_weights(small.layers[-1].get_weights())


Row = namedtuple(  # noqa: PYI024 (benchmarks have no types)
    "Row", "name pictures side channels scaling build epochs most kind"
)
TABLE = """\
digits_bn          digits             28 gray 0..1     norm             10 2000 digits
digits_plain       digits             28 gray mnist    plain            10 2000 digits
digits_layernorm   digits             32 rgb  0..255   layernorm        10 2000 digits
letters_bn         letters            32 rgb  imagenet norm             10 2000 letters
letters_plain      letters            64 rgb  cifar    plain            10 2000 letters
letters_vit        letters            32 rgb  0..1     vit              40 2000 letters
clothes_bn         clothes            28 gray -1..1    norm              8 2000 clothes
clothes_weak       clothes            28 gray 0..1     norm             12  200 clothes
tinted_mobilenet   tinted_clothes     64 rgb  0..255   mobilenet_inside  8 1000 clothes
tinted_plain       tinted_clothes     48 rgb  half     plain             8 2000 clothes
shapes_bn          shapes             64 rgb  -1..1    norm             10 2000 shapes
shapes_plain       shapes             64 rgb  0..255   plain            12 2000 shapes
shapes_vit         shapes             48 rgb  half     vit              40 2000 shapes
textures_bn        textures           64 gray 0..1     norm             10 2000 textures
textures_plain     textures           64 rgb  half     plain            10 2000 textures
faces_bn           faces              64 gray 0..1     norm             15 2000 faces
faces_rgb          faces              64 rgb  imagenet norm             15 2000 faces
faces_plain        faces              64 gray -1..1    plain            20 2000 faces
crops_bn           crops              64 rgb  imagenet norm             12 2000 crops
crops_caffe        crops              80 rgb  caffe    residual         12 2000 crops
crops_plain        crops              64 rgb  0..1     plain            14 2000 crops
crops_layernorm    crops              64 rgb  cifar    layernorm        14 2000 crops
white_bn           products_on_white  64 rgb  0..1     norm             14 2000 products on white
white_residual     products_on_white  96 rgb  -1..1    residual         14 2000 products on white
white_plain        products_on_white  64 rgb  imagenet plain            16 2000 products on white
dark_bn            products_on_dark   64 rgb  wide     norm             14 2000 products on dark
dark_plain         products_on_dark   64 rgb  0..1     plain            16 2000 products on dark
emoji_bn           emoji              64 rgb  0..255   residual         12 2000 drawings
emoji_plain        emoji              64 rgb  -1..1    plain            14 2000 drawings
icons_bn           icons              48 rgb  0..1     norm             12 2000 icons
icons_vit          icons              48 rgb  imagenet vit              40 2000 icons
head_products      products_on_white 224 rgb  lite     head             30  400 new head
head_crops         crops             224 rgb  lite     head             30  400 new head
head_digits        digits            224 rgb  lite     head             30  300 new head, unlike images
clothes_layernorm  clothes            28 gray -1..1    layernorm         8 2000 layer normalization
shapes_layernorm   shapes             48 rgb  imagenet layernorm        10 2000 layer normalization
textures_groupnorm textures           64 rgb  0..1     groupnorm        10 2000 group normalization
clothes_groupnorm  clothes            28 gray mnist    groupnorm         8 2000 group normalization
shapes_odd         shapes             48 rgb  hundreds plain            12 2000 odd scalings
clothes_odd        clothes            28 gray own      plain            10 2000 odd scalings
crops_odd          crops              64 rgb  wide     plain            14 2000 odd scalings
crops_folded       crops              64 rgb  -1..1    norm             12 2000 folded
digits_folded      digits             28 gray 0..1     norm             10 2000 folded
crops_quantised    crops              64 rgb  0..1     norm             12 2000 quantised
clothes_quantised  clothes            28 gray mnist    norm              8 2000 quantised
"""
"""A network in each line, by the fields of `Row`; ``most`` pictures are those that it is trained on."""
VARIED = {"faces_rgb", "crops_caffe", "white_residual"}
"""Those that are trained on altered pictures."""
FINISHED = {"folded": folded, "quantised": quantised}
"""What is done to a trained network of a kind."""


def read(line):
    """Return a line of the table as what its texts name."""
    row = Row(*line.split(maxsplit=8))
    return row._replace(
        side=int(row.side),
        scaling=SCALINGS.get(row.scaling, row.scaling),
        build=globals()[row.build],
        epochs=int(row.epochs),
        most=int(row.most),
    )


ROWS = [read(line) for line in TABLE.splitlines()]


def main():
    """Train what was asked for, and print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True, help="folder for the files")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    for row in there(given.only):
        if not (given.to / f"{row.name}.keras").exists():
            print(f"{row.name:20s} {make(row, given.to):.2f}", flush=True)


if __name__ == "__main__":
    main()
