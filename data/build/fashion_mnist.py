"""Pack a part of Fashion-MNIST into ``data/fashion_mnist/`` and train two small networks on it.

Run it from the project's root, on Debian 13 (the pictures come from its package ``dataset-fashion-mnist``),
in an environment with the project; it takes a few minutes on two cores::

    python -m data.build.fashion_mnist

The pictures are the first 10,000 of the training set and the first 2,000 of the test set, in their original
order. Both networks are the same but for batch normalization. Training is seeded; another processor or
release may round otherwise and end a few pictures apart.
"""

import gzip
import json
from importlib import metadata

import keras
import numpy as np
import numpy.typing as npt
from keras import layers
from PIL import Image

import kit
from data.build.packing import pack
from data.build.sources import DATA, read

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
EPOCHS, BATCH, SEED = 20, 64, 7
PROFILED = 50

UInt8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]


def tiled(split: str) -> tuple[UInt8, UInt8]:
    """Write one part as a lossless picture of tiles and a line of digits; return pictures and labels."""
    stem = f"usr/share/datasets/fashion-mnist/{FILES[split]}"
    pictures = gzip.decompress(read("apt:dataset-fashion-mnist", f"{stem}-images-idx3-ubyte.gz"))
    labels = gzip.decompress(read("apt:dataset-fashion-mnist", f"{stem}-labels-idx1-ubyte.gz"))
    # An idx file begins with its magic number and sizes: 16 bytes for pictures, 8 for labels.
    x = np.frombuffer(pictures, np.uint8, offset=16).reshape(-1, 28, 28)[: COUNTS[split]]
    y = np.frombuffer(labels, np.uint8, offset=8)[: COUNTS[split]]
    tiles = x.reshape(-1, COLUMNS, 28, 28).swapaxes(1, 2).reshape(-1, COLUMNS * 28)
    Image.fromarray(tiles).save(FOLDER / f"{split}.webp", lossless=True, quality=80, method=6)
    (FOLDER / f"{split}_labels.txt").write_text("".join(map(str, y)) + "\n", encoding="ascii")
    return x, y


def network(*, batch_normalization: bool) -> keras.Model:
    """Three pairs of convolutions and an average: (28, 28, 1) to 10 softmax probabilities."""
    name = "fashion_mnist" if batch_normalization else "fashion_mnist_no_batchnorm"
    inputs = x = keras.Input((28, 28, 1), name="picture")
    for stage, filters in enumerate((16, 24, 40)):
        if stage:
            x = layers.MaxPooling2D(name=f"pool{stage}")(x)
        for step in "ab":
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=not batch_normalization,
                kernel_initializer="he_normal",
                name=f"conv{stage}{step}",
            )(x)
            if batch_normalization:
                x = layers.BatchNormalization(momentum=0.9, name=f"norm{stage}{step}")(x)
            x = layers.ReLU(name=f"relu{stage}{step}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    outputs = layers.Dense(10, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name=name)


def varied(x: Float32, rng: np.random.Generator) -> Float32:
    """Mirror half of the pictures and shift each by up to two pixels."""
    x = np.where(rng.random((len(x), 1, 1, 1)) < 0.5, x[:, :, ::-1], x)
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)))
    down, right = rng.integers(0, 5, (2, len(x)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (28, 28), axis=(1, 2))
    return windows[np.arange(len(x)), down, right].swapaxes(1, 2).swapaxes(2, 3)


def trained(x: Float32, y: UInt8, *, batch_normalization: bool) -> keras.Model:
    """Return the network after `EPOCHS` passes over the varied pictures."""
    keras.utils.set_random_seed(SEED)
    model = network(batch_normalization=batch_normalization)
    steps = EPOCHS * -(-len(x) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(3e-3 if batch_normalization else 2e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        model.fit(varied(x, rng), y, batch_size=BATCH, verbose=0)
    return model


def main() -> None:
    """Write the pictures, the two networks and the record of their accuracy."""
    FOLDER.mkdir(exist_ok=True)
    MODELS.mkdir(exist_ok=True)
    (x, y), (test_x, test_y) = tiled("train"), tiled("test")
    # What the preprocessing does to a grey picture of this size, for all of them at once.
    pictures = x
    x, test_x = (array[..., None].astype(np.float32) / 255 for array in (x, test_x))
    record = {
        "what": "share of the 2,000 held-back test pictures that Keras gets right after training",
        "versions": {name: metadata.version(name) for name in ("keras", "tensorflow-cpu", "numpy")},
        "networks": {},
    }
    for batch_normalization in (True, False):
        model = trained(x, y, batch_normalization=batch_normalization)
        right = int((model.predict(test_x, verbose=0).argmax(axis=1) == test_y).sum())
        # Saved without the optimizer's state, which would triple the file.
        plain = keras.models.clone_model(model)
        plain.set_weights(model.get_weights())
        target = MODELS / f"{model.name}.keras"
        ordinary = [kit.load_image(picture) for picture in pictures[:PROFILED]]
        kit.Classifier(plain, PREPROCESSING, CLASS_NAMES).save(target, training=ordinary)
        pack(target)
        record["networks"][model.name] = {"parameters": model.count_params(), "accuracy": right / len(test_y)}
        print(f"{model.name}: {model.count_params():,} parameters, {right / len(test_y):.2%} right")
    text = json.dumps(record, indent=2) + "\n"
    (MODELS / "fashion_mnist_check.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
