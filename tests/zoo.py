"""Small models in the formats that are met: the same network as Keras, LiteRT and ONNX have it."""

import io
import zipfile

import numpy as np

from kit.classifier import loading
from tests import networks

SIDE, NAMES = 12, ("cat", "dog", "horse")
FLOAT, FLOAT16, BYTE = 1, 10, 2
SAMPLE = np.random.default_rng(5).random((6, SIDE, SIDE, 3), dtype=np.float32)


def tried_here(_module, file, folder, **_options):
    """What a process of its own makes of a file, without the process."""
    return loading._compile_or_try(file, folder)


def network(last="softmax", units=3, seed=3):
    """Convolution, ReLU, pooling and a dense layer, as arrays: OIHW, then (inputs, outputs)."""
    random = np.random.default_rng(seed)
    shapes = {
        "kernel": (4, 3, 3, 3),
        "bias": (4,),
        "dense": (4, units),
        "offset": (units,),
    }
    return last, {
        key: random.normal(0, 0.5, shape).astype(np.float32)
        for key, shape in shapes.items()
    }


def field(number, content):
    """A field of a protocol buffer: a number, or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    if value > 127:
        return bytes([value & 127 | 128]) + varint(value >> 7)
    return bytes([value])


def fields(*pairs):
    return b"".join(field(number, content) for number, content in pairs)


def end(number, name, shape, kind=FLOAT):
    """An input (11) or output (12) of a graph in the ``.onnx`` format."""
    sides = [
        (1, field(2, side) if isinstance(side, str) else field(1, side))
        for side in shape
    ]
    tensor = fields((1, kind), (2, fields(*sides)))
    return field(number, fields((1, name), (2, field(1, tensor))))


def node(kind, given, made, *attributes):
    """A node of a graph in the ``.onnx`` format."""
    names = [(1, name) for name in given.split()]
    numbers = [(5, each) for each in attributes]
    return field(1, fields(*names, (2, made), (4, kind), *numbers))


def integer(name, value):
    return fields((1, name), (3, value), (20, 2))


def integers(name, *values):
    return fields((1, name), *((8, value) for value in values), (20, 7))


def onnx(first=True, batch="batch", kind=FLOAT, properties=(), outputs=("y",), seed=3):
    """The network in the ``.onnx`` format, channels first or last, without the package that writes it."""
    _, weights = network(seed=seed)
    graph, x = b"", "x"
    if kind == BYTE:
        graph += node("Cast", x, "float", integer("to", FLOAT))
        x = "float"
    sides = (batch, 3, SIDE, SIDE)
    if not first:
        sides = (batch, SIDE, SIDE, 3)
        graph += node("Transpose", x, "turned", integers("perm", 0, 3, 1, 2))
        x = "turned"
    shape = integers("kernel_shape", 3, 3)
    graph += node("Conv", f"{x} kernel bias", "conv", shape)
    graph += node("Relu", "conv", "relu")
    graph += node("GlobalAveragePool", "relu", "pooled")
    graph += node("Flatten", "pooled", "flat", integer("axis", 1))
    graph += node("Gemm", "flat dense offset", "logits")
    graph += node("Softmax", "logits", "y", integer("axis", 1))
    graph += field(2, "small")
    held = FLOAT if kind == BYTE else kind
    for name, values in weights.items():
        data = values.astype(np.float16 if held == FLOAT16 else np.float32).tobytes()
        shape = [(1, side) for side in values.shape]
        graph += field(5, fields(*shape, (2, held), (8, name), (9, data)))
    graph += end(11, "x", sides, kind)
    for name in outputs:
        shape = (4, SIDE - 2, SIDE - 2) if name == "conv" else (3,)
        graph += end(12, name, (batch, *shape), held)
    said = [(14, fields((1, key), (2, text))) for key, text in properties]
    return fields((1, 8), (7, graph), (8, field(2, 17)), *said)


ELSEWHERE = field(13, fields((1, "location"), (2, "weights.bin")))
"""That the data of a tensor lie in another file."""
PLACES = "initializer", "function"


def apart(place):
    """A network in the ``.onnx`` format whose one tensor, 3 x 3, lies in another file."""
    tensor = fields((1, 3), (1, 3), (2, FLOAT), (8, "w")) + ELSEWHERE + field(14, 1)
    value = fields((1, "value"), (5, tensor), (20, 4))
    constant = fields((2, "w"), (4, "Constant"), (5, value))
    graph = own = b""
    if place == "initializer":
        graph += field(5, tensor)
    if place == "function":
        graph += field(1, fields((2, "w"), (4, "Made"), (7, "own")))
        opset = field(2, 17)
        made = fields((1, "Made"), (5, "w"), (7, constant), (9, opset), (10, "own"))
        own = fields((8, fields((1, "own"), (2, 1))), (25, made))
    graph += node("GlobalAveragePool", "x", "pooled")
    graph += node("Flatten", "pooled", "flat")
    graph += node("MatMul", "flat w", "y")
    graph += field(2, "apart")
    graph += end(11, "x", (1, 3, SIDE, SIDE)) + end(12, "y", (1, 3))
    return fields((1, 8), (7, graph), (8, field(2, 17))) + own


def quickstart():
    """A network for (N, height, width), like that of TensorFlow's quickstart."""
    keras = networks.imported_keras()
    keras.utils.set_random_seed(4)
    layers = keras.layers
    return networks.stacked((SIDE, SIDE), layers.Flatten(), layers.Dense(3))


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
    return compiled_lite(keras_model(made, side), kind, batch, sample)


def compiled_lite(model, kind="float32", batch=1, sample=()):
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
