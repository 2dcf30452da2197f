"""Train one network on 500, 2,000, 5,000 and 10,000 pictures of Fashion-MNIST, all alike.

Run it from the project's root after ``python -m data.build.fashion_mnist``; it takes some minutes on two
cores::

    python -m data.build.fashion_mnist_checkpoints

Every network gets the same number of steps, so that nothing but the number of pictures differs: a small set
is seen many times over and learned by heart. None sees a varied picture, unlike ``fashion_mnist.keras``.
Weights are rounded to 16 bits, which halves the files; what is recorded is measured afterwards.
"""

import json
from importlib import metadata

import keras
import numpy as np

import kit
from data.build.fashion_mnist import CLASS_NAMES, MODELS, PREPROCESSING
from data.build.packing import pack
from kit.samples import CHECKPOINTS
from kit.validation.training import BATCH, small_network, train

STEPS, SEED = 1_250, 7


def rounded(model: keras.Model) -> keras.Model:
    """Return the network with weights that fit into 16 bits, still stored in 32."""
    copy = keras.models.clone_model(model)
    copy.set_weights(
        [weight.astype(np.float16).astype(np.float32) for weight in model.get_weights()]
    )
    return copy


def main() -> None:
    """Write the four networks and the record of their accuracy."""
    pictures, labels = kit.samples.fashion_mnist_arrays("train")
    held_back = kit.samples.photos("fashion_mnist")
    truth = np.array(kit.samples.labels("fashion_mnist"))
    record = {
        "what": "share of the 2,000 held-back pictures that each network gets right, by training pictures",
        "steps": STEPS,
        "versions": {
            name: metadata.version(name)
            for name in ("keras", "tensorflow-cpu", "numpy")
        },
        "accuracy": {},
    }
    for count, name in CHECKPOINTS.items():
        trained = train(
            pictures[:count],
            labels[:count],
            PREPROCESSING,
            CLASS_NAMES,
            epochs=round(STEPS / (count // BATCH)),
            seed=SEED,
            model=small_network(name, (28, 28, 1), 10, seed=SEED),
        )
        target = MODELS / f"{name}.keras"
        kit.Classifier(rounded(trained.model), PREPROCESSING, CLASS_NAMES).save(target)
        pack(target)
        probabilities = kit.Classifier.load(target).probabilities(held_back)
        accuracy = float((probabilities.argmax(axis=1) == truth).mean())
        record["accuracy"][str(count)] = accuracy
        print(f"{name}: {accuracy:.2%} right, {target.stat().st_size:,} bytes")
    text = json.dumps(record, indent=2) + "\n"
    (MODELS / "fashion_mnist_checkpoints.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
