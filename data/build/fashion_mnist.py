"""Pack a part of Fashion-MNIST into ``data/fashion_mnist/`` and train two small networks on it.

Run it from the project's root, on Debian 13 (the pictures come from its package ``dataset-fashion-mnist``),
in an environment with the project; it takes a few minutes on two cores::

    python -m data.build.fashion_mnist

The pictures are the first 10,000 of the training set and the first 2,000 of the test set, in their original
order. Both networks are the same but for batch normalization. Training is seeded (`training`); another
processor or release may round otherwise and end a few pictures apart.
"""

import gzip
import json
from importlib import metadata

import keras
import numpy as np
import numpy.typing as npt
from PIL import Image

import kit
from data.build.packing import pack
from data.build.sources import DATA, read
from kit.validation.training import FILTERS, small_network, train

FOLDER = DATA / "fashion_mnist"
MODELS = DATA / "models"
COUNTS = {"train": 10_000, "test": 2_000}
FILES = {"train": "train", "test": "t10k"}
COLUMNS = 100
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
PREPROCESSING = kit.Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
EPOCHS, SEED = 20, 7
PROFILED = 50

UInt8 = npt.NDArray[np.uint8]


def tiled(split: str) -> tuple[UInt8, UInt8]:
    """Write one part as a lossless picture of tiles and a line of digits; return pictures and labels."""
    stem = f"usr/share/datasets/fashion-mnist/{FILES[split]}"
    pictures = gzip.decompress(
        read("apt:dataset-fashion-mnist", f"{stem}-images-idx3-ubyte.gz")
    )
    labels = gzip.decompress(
        read("apt:dataset-fashion-mnist", f"{stem}-labels-idx1-ubyte.gz")
    )
    # An idx file begins with its magic number and sizes: 16 bytes for pictures, 8 for labels.
    x = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 28, 28)[
        : COUNTS[split]
    ]
    y = np.frombuffer(labels, np.uint8, offset=8)[: COUNTS[split]]
    tiles = x.reshape(-1, COLUMNS, 28, 28).swapaxes(1, 2).reshape(-1, COLUMNS * 28)
    Image.fromarray(tiles).save(
        FOLDER / f"{split}.webp", lossless=True, quality=80, method=6
    )
    (FOLDER / f"{split}_labels.txt").write_text(
        "".join(map(str, y)) + "\n", encoding="ascii"
    )
    return x, y


def mirrored_and_moved(pictures: UInt8, rng: np.random.Generator) -> UInt8:
    """Mirror half of the pictures, and move each by up to two pixels along either side."""
    count = len(pictures)
    mirror = (rng.random(count) < 0.5)[:, None, None, None]
    padded = np.pad(
        np.where(mirror, pictures[:, :, ::-1], pictures),
        ((0, 0), (2, 2), (2, 2), (0, 0)),
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))
    down, right = rng.integers(0, 5, (2, count))
    return np.moveaxis(windows[np.arange(count), down, right], 1, -1)


def network_with_biases(name: str) -> keras.Model:
    """Return `small_network` with a bias in place of each batch normalization."""
    layers = keras.layers
    seeds = iter(
        np.random.SeedSequence(SEED).generate_state(2 * len(FILTERS) + 2).tolist()
    )
    inputs = x = keras.Input((28, 28, 1), name="picture")
    for stage, filters in enumerate(FILTERS):
        if stage:
            x = layers.MaxPooling2D(name=f"pool{stage}")(x)
        for step in "ab":
            initial = keras.initializers.HeNormal(next(seeds))
            convolution = layers.Conv2D(
                filters,
                3,
                padding="same",
                kernel_initializer=initial,
                name=f"conv{stage}{step}",
            )
            x = layers.ReLU(name=f"relu{stage}{step}")(convolution(x))
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.2, seed=next(seeds), name="dropout")(x)
    initial = keras.initializers.GlorotUniform(next(seeds))
    outputs = layers.Dense(
        10, activation="softmax", kernel_initializer=initial, name="classes"
    )(x)
    return keras.Model(inputs, outputs, name=name)


def trained(x: UInt8, y: UInt8, *, batch_normalization: bool) -> kit.Classifier:
    """Return the network after `EPOCHS` passes over mirrored and shifted pictures."""
    if batch_normalization:
        model, learning_rate = (
            small_network("fashion_mnist", (28, 28, 1), 10, seed=SEED),
            3e-3,
        )
    else:
        model, learning_rate = network_with_biases("fashion_mnist_no_batchnorm"), 2e-3
    return train(
        x,
        y,
        PREPROCESSING,
        CLASS_NAMES,
        epochs=EPOCHS,
        seed=SEED,
        model=model,
        learning_rate=learning_rate,
        augment=mirrored_and_moved,
    )


def main() -> None:
    """Write the pictures, the two networks and the record of their accuracy."""
    FOLDER.mkdir(exist_ok=True)
    MODELS.mkdir(exist_ok=True)
    (x, y), (test_x, test_y) = tiled("train"), tiled("test")
    record = {
        "what": "share of the 2,000 held-back test pictures that Keras gets right after training",
        "versions": {
            name: metadata.version(name)
            for name in ("keras", "tensorflow-cpu", "numpy")
        },
        "networks": {},
    }
    for batch_normalization in (True, False):
        classifier = trained(x, y, batch_normalization=batch_normalization)
        model = classifier.model
        tensors = np.concatenate([classifier.tensor(picture) for picture in test_x])
        right = int((model.predict(tensors, verbose=0).argmax(axis=1) == test_y).sum())
        target = MODELS / f"{model.name}.keras"
        classifier.save(
            target, training=[kit.load_image(picture) for picture in x[:PROFILED]]
        )
        pack(target)
        record["networks"][model.name] = {
            "parameters": model.count_params(),
            "accuracy": right / len(test_y),
        }
        print(
            f"{model.name}: {model.count_params():,} parameters, {right / len(test_y):.2%} right"
        )
    text = json.dumps(record, indent=2) + "\n"
    (MODELS / "fashion_mnist_check.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
