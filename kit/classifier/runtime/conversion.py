"""Compile a Keras model for LiteRT, and prove the two equal."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from kit._checking import first_line
from kit._interrupts import held
from kit.classifier.runtime.compiled import Compiled
from kit.classifier.runtime.engine import LiteEngine
from kit.classifier.runtime.equivalence import TOLERANCE, largest_difference, trial_tensors
from kit.classifier.runtime.heads import head_of, measured_head
from kit.classifier.runtime.keras_engine import KerasEngine
from kit.classifier.runtime.keras_models import check_model, import_keras
from kit.classifier.runtime.quiet import captured_errors, only_warnings
from kit.classifier.runtime.shapes import Shape, check_preprocessing
from kit.preprocessing import Preprocessing


class ConversionError(RuntimeError):
    """A network that cannot be compiled; the Keras model itself works all the same."""


def compile_lite(model: Any, size: tuple[int, int] | None = None) -> bytes:
    """Compile a Keras model for LiteRT, with float32 weights and an open batch size.

    Parameters
    ----------
    model
        A Keras model with one image-shaped input. Not changed.
    size
        Height and width to fix where the model leaves them open.

    Returns
    -------
    bytes
        The network in the ``.tflite`` format.

    Raises
    ------
    ConversionError
        It uses operations that LiteRT does not have, or Keras runs on another backend than TensorFlow.
    """
    keras = import_keras()
    if keras.backend.backend() != "tensorflow":
        raise ConversionError(
            f"Keras runs on {keras.backend.backend()}, and only its TensorFlow backend compiles"
        )
    with captured_errors():
        import tensorflow as tf  # noqa: PLC0415 (heavy)
    signature = tf.TensorSpec((None, *_sized(model, size)), model.inputs[0].dtype)
    with tempfile.TemporaryDirectory() as folder, only_warnings("tensorflow"), captured_errors() as messages:
        target = Path(folder) / "model.tflite"
        try:
            model.export(
                target,
                format="litert",
                verbose=False,
                input_signature=[signature],
                # Operations outside LiteRT's own need TensorFlow at run time: better found here than live.
                target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
            )
        except Exception as error:  # the converter has no exception of its own for what it cannot do
            raise ConversionError(_unsupported(messages()) or first_line(error)) from error
        return target.read_bytes()


@held()
def describe(model: Any, preprocessing: Preprocessing | None = None, *, sized: bool = True) -> Compiled:
    """Compile a Keras model and hold the result against it.

    Parameters
    ----------
    model
        A Keras model. Not changed.
    preprocessing
        What it expects, if known: sets the range in which the two are compared.
    sized
        Whether it also sets an input size that the model leaves open.

    Returns
    -------
    Compiled
        With ``reason`` in place of ``data`` where compiling failed, or where the results differ by more than
        `kit.classifier.runtime.equivalence.TOLERANCE`.

    Raises
    ------
    TypeError, ValueError
        The model is no classifier of pictures, or takes other tensors than the preprocessing makes.
    """
    check_model(model)
    check_preprocessing(preprocessing, tuple(model.inputs[0].shape[1:]))
    size = preprocessing.size if preprocessing is not None and sized else None
    shape = _sized(model, size)
    batches = trial_tensors(shape, preprocessing)
    reference = KerasEngine(model)
    head = head_of(json.loads(model.to_json())) or measured_head(
        np.concatenate([reference.predict(batch) for batch in batches])
    )
    count = reference.output_count
    try:
        data = compile_lite(model, size)
        engine = LiteEngine(data, threads=1)
    except (ConversionError, ValueError) as error:
        return Compiled(head, shape, count, reason=first_line(error))
    difference = largest_difference(reference, engine, head, batches)
    compiled = Compiled(head, shape, count, data, difference)
    return compiled if difference <= TOLERANCE else compiled.differing(difference)


def _sized(model: Any, size: tuple[int, int] | None) -> Shape:
    """Input shape of the network, with open sides set by the size where channels come last."""
    height, width, channels = model.inputs[0].shape[1:]
    if channels not in {1, 3}:
        return (height, width, channels)
    return (height or (size[0] if size else None), width or (size[1] if size else None), channels)


def _unsupported(messages: str) -> str:
    """Name the operations that the converter complained about."""
    found = re.search("^(?:TF Select|Custom) ops:(.*)", messages, re.MULTILINE)
    return f"LiteRT has no operation {found[1].strip()}" if found else ""
