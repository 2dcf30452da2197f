"""The forward pass in Keras itself, for the few networks that cannot be compiled."""

import threading
import warnings
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit._checking import first_line
from kit._interrupts import held
from kit.classifier.runtime.engine import part_size
from kit.classifier.runtime.shapes import Shape, check_shape, sides


class KerasEngine:
    """A Keras model, called through one compiled function; starts later than `LiteEngine`, often runs slower.

    May be called from several threads; calls are served one after another.

    Parameters
    ----------
    model
        A Keras model with one image-shaped input and one output of shape (N, outputs). It is used, not
        copied.
    """

    def __init__(self, model: Any) -> None:
        self._lock = threading.Lock()
        self._model = model  # the graph does not keep its weights alive
        with held():
            self._call = _compiled_call(model)
        self.input_shape: Shape = tuple(model.inputs[0].shape[1:])
        self.output_count = int(model.outputs[0].shape[-1])

    @property
    def description(self) -> str:
        """What runs the network, in words."""
        return "Keras, compiled"

    def predict(self, tensors: Float32) -> Float32:
        """Run the network; see `LiteEngine.predict`."""
        check_shape(tensors.shape, self.input_shape)
        part = part_size(tensors.shape)
        rows = []
        for start in range(0, len(tensors), part):
            with self._lock, held():
                try:
                    rows.append(np.asarray(self._call(tensors[start : start + part]), np.float32))
                except Exception as error:  # TensorFlow has exceptions of its own, for memory too
                    raise ValueError(
                        f"Expected tensors that Keras runs the network on, received {tensors.shape}: it says"
                        f" {first_line(error)[:200]!r}; give smaller pictures, or fewer"
                    ) from error
        return np.concatenate(rows) if rows else np.empty((0, self.output_count), np.float32)

    def __repr__(self) -> str:
        return f"KerasEngine({sides(self.input_shape)} -> {self.output_count})"


def _compiled_call(model: Any) -> Any:
    import keras  # noqa: PLC0415 (heavy, and loaded already where a model exists)

    dtype = model.inputs[0].dtype
    if keras.backend.backend() != "tensorflow":
        return lambda tensors: model.predict_on_batch(tensors.astype(dtype))
    import tensorflow as tf  # noqa: PLC0415

    signature = tf.TensorSpec((None, *model.inputs[0].shape[1:]), dtype)
    # One graph for every batch size, traced here: tracing at the first call would be felt in a live session.
    call = tf.function(lambda tensors: model(tensors, training=False), input_signature=[signature])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what TensorFlow asks of Python
            graph = call.get_concrete_function()
    except (TypeError, ValueError, tf.errors.OpError):
        # A layer that has to know the sizes, where the network leaves them open: traced for each.
        graph = tf.function(lambda tensors: model(tensors, training=False))
    return lambda tensors: graph(tf.constant(tensors.astype(dtype)))
