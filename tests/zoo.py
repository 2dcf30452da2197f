"""Small models in the formats that are met: the same network as Keras, LiteRT and ONNX have it."""

import io
import zipfile

import numpy as np

from tests import networks

SIDE, NAMES = 12, ("cat", "dog", "horse")
FLOAT, FLOAT16, BYTE = 1, 10, 2
SAMPLE = np.random.default_rng(5).random((6, SIDE, SIDE, 3), dtype=np.float32)


def network(last="softmax", units=3, seed=3, weight=0.5):
    """Convolution, ReLU, pooling and a dense layer, as arrays: OIHW, then (inputs, outputs)."""
    random = np.random.default_rng(seed)
    shapes = {
        "kernel": (4, 3, 3, 3),
        "bias": (4,),
        "dense": (4, units),
        "offset": (units,),
    }
    return last, {
        key: random.normal(0, weight, shape).astype(np.float32)
        for key, shape in shapes.items()
    }


def field(number, content):
    """A field of a protocol buffer: a number, or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    return (
        (bytes([value & 127 | 128]) + varint(value >> 7))
        if value > 127
        else bytes([value])
    )


def fields(*pairs):
    return b"".join(field(number, content) for number, content in pairs)


def end(number, name, shape, kind=FLOAT):
    """An input (11) or output (12) of a graph in the ``.onnx`` format."""
    sides = (
        fields((2, side) if isinstance(side, str) else (1, side)) for side in shape
    )
    sides = b"".join(field(1, side) for side in sides)
    return field(
        number, fields((1, name), (2, field(1, fields((1, kind), (2, sides)))))
    )


def onnx(
    first=True,
    batch="batch",
    kind=FLOAT,
    properties=(),
    outputs=1,
    made=None,
):
    """The network in the ``.onnx`` format, without the package that writes it.

    Channels first or last, or, for None, its dense layer alone, on (N, height, width).
    """
    last, weights = made or network()
    if first is None:
        dense = np.random.default_rng(6).normal(0, 0.1, (SIDE * SIDE, 3))
        weights = weights | {"dense": dense}

    def tensor(name, array):
        array = np.ascontiguousarray(
            array, np.float16 if kind == FLOAT16 else np.float32
        )
        data = field(9, array.tobytes())
        sizes = b"".join(field(1, side) for side in array.shape)
        return field(
            5,
            sizes
            + fields((2, FLOAT16 if kind == FLOAT16 else FLOAT), (8, name))
            + data,
        )

    def node(kind, given, made, **numbers):
        content = [(1, each) for each in given.split()] + [(2, made), (4, kind)]
        for name, value in numbers.items():
            if isinstance(value, int):
                content.append((5, fields((1, name), (3, value), (20, 2))))
            else:
                content.append(
                    (
                        5,
                        field(1, name)
                        + b"".join(field(8, v) for v in value)
                        + field(20, 7),
                    )
                )
        return field(1, fields(*content))

    sides = (batch, 3, SIDE, SIDE) if first else (batch, SIDE, SIDE, 3)
    sides = (batch, SIDE, SIDE) if first is None else sides
    x, nodes = "x", b""
    if kind == BYTE:
        nodes, x = node("Cast", x, "float", to=FLOAT), "float"
    if first is False:
        nodes, x = nodes + node("Transpose", x, "turned", perm=(0, 3, 1, 2)), "turned"
    if first is not None:
        convolved = node("Conv", f"{x} kernel bias", "conv", kernel_shape=(3, 3))
        nodes += convolved + node("Relu", "conv", "relu")
        nodes, x = nodes + node("GlobalAveragePool", "relu", "pooled"), "pooled"
    nodes += node("Flatten", x, "flat", axis=1)
    nodes += node("Gemm", "flat dense offset", "y" if last is None else "logits")
    if last is not None:
        nodes += node(
            last.capitalize(),
            "logits",
            "y",
            **({"axis": 1} if last == "softmax" else {}),
        )
    graph = (
        nodes
        + field(2, "small")
        + b"".join(tensor(*pair) for pair in weights.items())
        + end(11, "x", sides, kind)
    )
    out = FLOAT if kind == BYTE else kind
    graph += b"".join(
        end(12, name, (batch, weights["offset"].size), out)
        for name in ("y", "flat")[:outputs]
    )
    model = fields((1, 8), (7, graph), (8, field(2, 17)))
    return model + b"".join(
        field(14, fields((1, key), (2, text))) for key, text in properties
    )


ELSEWHERE = field(13, fields((1, "location"), (2, "weights.bin")))
"""That the data of a tensor lie in another file."""
PLACES = "initializer", "constant", "branch", "function"


def apart(place):
    """A network in the ``.onnx`` format whose one tensor, 3 x 3, lies in another file."""
    sizes = field(1, 3) + field(1, 3)
    tensor = sizes + fields((2, FLOAT), (8, "w")) + ELSEWHERE + field(14, 1)
    value = fields((1, "value"), (5, tensor), (20, 4))
    constant = fields((2, "w"), (4, "Constant"), (5, value))
    branch = field(1, fields((1, "v"), (2, "u"), (4, "Identity"))) + field(2, "branch")
    branch += field(5, tensor.replace(field(8, "w"), field(8, "v"))) + end(
        12, "u", (3, 3)
    )
    sides = (
        fields((1, f"{side}_branch"), (6, branch), (20, 5)) for side in ("then", "else")
    )
    choice = fields((1, "yes"), (2, "w"), (4, "If"), *((5, side) for side in sides))
    called = fields((2, "w"), (4, "Made"), (7, "own"))
    nodes = {"constant": constant, "branch": choice, "function": called}
    graph = field(1, nodes[place]) if place in nodes else b""
    for kind, given, made in (
        ("GlobalAveragePool", ["x"], "pooled"),
        ("Flatten", ["pooled"], "flat"),
        ("MatMul", ["flat", "w"], "y"),
    ):
        graph += field(1, fields(*((1, name) for name in given), (2, made), (4, kind)))
    graph += field(2, "apart") + end(11, "x", (1, 3, SIDE, SIDE)) + end(12, "y", (1, 3))
    graph += {
        "initializer": field(5, tensor),
        "branch": field(5, fields((2, 9), (8, "yes"), (9, b"\x01"))),
    }.get(place, b"")
    model = fields((1, 8), (7, graph), (8, field(2, 17)))
    if place == "function":
        own = fields(
            (1, "Made"), (5, "w"), (7, constant), (9, field(2, 17)), (10, "own")
        )
        model += field(8, fields((1, "own"), (2, 1))) + field(25, own)
    return model


def quickstart():
    """The network of TensorFlow's quickstart, for (N, height, width)."""
    keras = networks.imported_keras()
    keras.utils.set_random_seed(4)
    layers = keras.layers
    dense = layers.Dense(8, activation="relu"), layers.Dropout(0.2), layers.Dense(3)
    return networks.stacked((SIDE, SIDE), layers.Flatten(), *dense)


def keras_model(made=None, side=SIDE):
    """The same network in Keras."""
    last, weights = made or network()
    keras = networks.imported_keras()
    layers = [
        keras.Input((side, side, 3)),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(weights["offset"].size, activation=last),
    ]
    model = keras.Sequential(layers, name="small")
    kernel = weights["kernel"].transpose(2, 3, 1, 0)
    model.set_weights([kernel, weights["bias"], weights["dense"], weights["offset"]])
    return model


def lite(kind="float32", batch=1, made=None, side=SIDE, ends=(0, 1)):
    """The network in the ``.tflite`` format; kinds as in the converter's guide, images within two ends."""
    low, high = ends
    sample = np.float32(low) + np.float32(high - low) * SAMPLE
    return lite_of(keras_model(made, side), kind, batch, sample)


def lite_of(model, kind="float32", batch=1, sample=()):
    """A Keras model in the ``.tflite`` format."""
    import tensorflow as tf

    _, *sides = model.inputs[0].shape
    given = tf.TensorSpec((batch, *sides), tf.float32)
    call = tf.function(lambda x: model(x, training=False), input_signature=[given])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [call.get_concrete_function()]
    )
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if kind in {"int8", "uint8"}:
        converter.representative_dataset = lambda: ([each[None]] for each in sample)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(
            tf, kind
        )
    return converter.convert()


def with_metadata(network, levels=(127.5,)):
    """A ``.tflite`` file with TFLite Metadata: mean and std in a buffer, labels in a zip behind."""
    from ai_edge_litert import schema_py_generated as litert

    builder = litert.flatbuffers.Builder(0)

    def table(*slots):
        # Made before the table that has them.
        builder.StartObject(8)
        for number, value in slots:
            if number == "type":
                builder.PrependUint8Slot(*value, 0)
            else:
                builder.PrependUOffsetTRelativeSlot(number, value, 0)
        return builder.EndObject()

    def vector(items, write="UOffsetTRelative"):
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            getattr(builder, f"Prepend{write}")(item)
        return builder.EndVector()

    stds = [2 * level for level in levels]
    options = table((0, vector(levels, "Float32")), (1, vector(stds, "Float32")))
    units = [table(("type", (0, 2))), table(("type", (0, 1)), (1, options))]
    given = table((4, vector(units * bool(levels))))
    graph = table((2, vector([given])))
    builder.Finish(table((3, vector([graph]))), b"M001")
    model = litert.ModelT.InitFromPackedBuf(network, 0)
    entry, buffer = litert.MetadataT(), litert.BufferT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    buffer.data = np.frombuffer(bytes(builder.Output()), np.uint8)
    model.buffers.append(buffer)
    model.metadata = [entry]
    packed = litert.flatbuffers.Builder(0)
    packed.Finish(model.Pack(packed), b"TFL3")
    behind = io.BytesIO(bytes(packed.Output()))
    with zipfile.ZipFile(behind, "a") as zipped:
        zipped.writestr("classes.txt", "\n".join(NAMES))
    return behind.getvalue()
