"""A Keras model compiled to LiteRT, and whether both give the same probabilities."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np

from kit._arrays import Float32, Pixels
from kit._checking import first_line
from kit._interrupts import held
from kit._reporting import Result
from kit.classifier import store
from kit.classifier.engines import (
    HEADS,
    Engine,
    KerasEngine,
    LiteEngine,
    Shape,
    captured_errors,
    check_preprocessing,
    head_of,
    measured_head,
    only_warnings,
    probabilities,
    sides,
)
from kit.classifier.store import check_fields, refuse_code
from kit.images import Photo
from kit.preprocessing import Preprocessing


@dataclass(frozen=True, repr=False)
class Compiled:
    """A network's shapes and head, with its compiled form or the reason why it has none.

    Parameters
    ----------
    head
        One of `kit.classifier.engines.HEADS`.
    input_shape
        (H, W, C); ``None`` for a side that the network leaves open.
    output_count
        Numbers that the last layer puts out.
    data
        The compiled form, in the ``.tflite`` format.
    max_difference
        Largest difference in a probability, 0..1, that was found between the compiled form and Keras.
    reason
        Why ``data`` is missing.
    """

    head: str
    input_shape: Shape
    output_count: int
    data: bytes | None = None
    max_difference: float | None = None
    reason: str | None = None

    @property
    def class_count(self) -> int:
        """Columns of the probabilities; one sigmoid or one logit stands for two classes."""
        return 2 if self.output_count == 1 and self.head != "softmax" else self.output_count

    def differing(self, difference: float) -> Self:
        """Return the same without its compiled form, which was found to differ from Keras by so much."""
        reason = f"its compiled form differs by {difference:.1e} in a probability"
        if not isfinite(difference):
            reason = "some answers are no numbers"
        return replace(self, data=None, max_difference=difference, reason=reason)

    def to_contract(self) -> dict[str, Any]:
        """Return everything but the compiled form, as JSON takes it."""
        return {name: value for name, value in vars(self).items() if name != "data"}

    @classmethod
    def from_contract(cls, contract: Mapping[str, Any], data: bytes | None = None, file: str = "") -> Self:
        """Read what `to_contract` wrote; `file` is named in errors.

        Raises
        ------
        ValueError
            A value of another kind.
        """
        keys = ("head", "input_shape", "output_count", "max_difference", "reason")
        values: list[Any] = [contract.get(key) for key in keys]
        head, shape, count, difference, reason = values
        three = isinstance(shape, list | tuple) and len(shape) == 3
        sizes = three and all(side is None or (type(side) is int and side > 0) for side in shape)
        checks = {
            "head": (f"one of {', '.join(HEADS)}", head in HEADS),
            "input_shape": ("three sizes", sizes),
            "output_count": ("a whole number above 0", type(count) is int and count > 0),
            "max_difference": ("a number", isinstance(difference, int | float | None)),
            "reason": ("a text", isinstance(reason, str | None)),
        }
        check_fields(contract, checks, file)
        return cls(head, tuple(shape), count, data, difference, reason)

    def __repr__(self) -> str:
        shape = sides(self.input_shape)
        return f"Compiled({shape} -> {self.output_count} {self.head}, {self.reason or 'LiteRT'})"


TOLERANCE = 1e-5
"""Largest difference in a probability between the compiled form and Keras that is accepted."""

OPEN_SIDE = 96
"""Height and width on which a network is tried that leaves them open, in pixels."""


@dataclass(frozen=True, repr=False)
class Verification(Result):
    """Result of holding the compiled form of a network against Keras.

    Parameters
    ----------
    max_difference
        Largest difference in a probability, 0..1.
    photos
        Photographs that were compared, beside the inputs made by formulas.
    agrees
        Whether the difference is within 1e-5.
    """

    max_difference: float
    photos: int
    agrees: bool

    def __repr__(self) -> str:
        # Without the figure, which depends on the machine: notebooks that are compared strictly show this.
        verdict = "agrees with" if self.agrees else "differs from"
        return f"Verification({verdict} Keras to 1e-5 on {self.photos} photos and on inputs made by formulas)"


def largest_difference(reference: Engine, compiled: Engine, head: str, batches: Iterable[Float32]) -> float:
    """Return the largest difference between two engines' probabilities.

    Parameters
    ----------
    reference, compiled
        Engines of the same network.
    head
        One of `kit.classifier.engines.HEADS`.
    batches
        Float32, shape (N, H, W, C) each.

    Returns
    -------
    float
        Largest absolute difference, 0..1; infinite where a result is not a number.
    """
    both = [(reference.predict(batch), compiled.predict(batch)) for batch in batches]
    return difference_between([one for one, _ in both], [other for _, other in both], head)


def difference_between(outputs: Iterable[Float32], others: Iterable[Float32], head: str) -> float:
    """Return what `largest_difference` does, from outputs for the same inputs."""
    largest = 0.0
    for one, other in zip(outputs, others, strict=True):
        difference = np.abs(probabilities(one, head) - probabilities(other, head))
        largest = max(largest, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return largest


def trial_tensors(shape: Shape, preprocessing: Preprocessing | None = None) -> tuple[Float32, ...]:
    """Make inputs to compare engines on: pseudo-random values, and pictures drawn by a formula.

    Parameters
    ----------
    shape
        Input shape of the network without the batch; an open side gets `OPEN_SIDE`.
    preprocessing
        What the network expects; the pictures go through it, and the random values cover its range. Where
        unknown, the usual ranges 0..1, -1..1 and 0..255 are covered.

    Returns
    -------
    tuple of float32 arrays (N, H, W, C)
        The same values at every call.
    """
    height, width, channels = (side or OPEN_SIDE for side in shape)
    sized = (height, width, channels)
    random = np.random.default_rng(20_241)
    noise = random.random((2, *sized), dtype=np.float32)
    pictures = _scenes(random)
    if preprocessing is None:
        side = max(256, *sized)
        crops = np.stack([_fitted(picture, side, sized) for picture in pictures]) / np.float32(255)
        batch = np.concatenate([noise, crops])
        return batch, batch * np.float32(2) - np.float32(1), batch * np.float32(255)
    tensors = np.concatenate([preprocessing.apply(Photo.from_array(picture)) for picture in pictures])
    low, high = float(tensors.min()), float(tensors.max())
    return noise * np.float32(high - low) + np.float32(low), tensors


def _scenes(random: np.random.Generator) -> list[Pixels]:
    """Three pictures, uint8 (192, 256, 3), with the smooth areas, edges and grain of photographs."""
    down, across = np.mgrid[0 : 1 : 192 * 1j, 0 : 1 : 256 * 1j][..., None]
    scenes = []
    for turn in range(3):
        centre = random.random((2, 3))
        distance = np.hypot(down - centre[0], across - centre[1])
        light = 40 + 160 * (across if turn % 2 else down)
        disc = 60 * (distance < 0.3) - 40 * np.cos(8 * (turn + 1) * distance)
        grain = random.normal(0, 6, distance.shape)
        scenes.append(np.clip(light + disc + grain, 0, 255).astype(np.uint8))
    return scenes


def _fitted(picture: Pixels, side: int, shape: tuple[int, int, int]) -> Float32:
    """Repeat a picture to the side and cut it to the shape, channels last or first, without resampling."""
    repeats = (-(-side // picture.shape[0]), -(-side // picture.shape[1]), 1)
    large = np.tile(picture, repeats).astype(np.float32)
    if shape[2] in {1, 3}:
        return large[: shape[0], : shape[1], : shape[2]]
    return large[: shape[1], : shape[2], : shape[0]].transpose(2, 0, 1)


def import_keras() -> Any:
    """Import Keras, which takes seconds the first time; what TensorFlow's libraries write is kept out."""
    # Read once, when TensorFlow's libraries are loaded; a user's own setting stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with captured_errors():
        import keras  # noqa: PLC0415 (heavy)
    return keras


def load_keras(path: str | PathLike[str]) -> Any:
    """Open a ``.keras`` file with Keras, safely.

    Only an existing local file is opened, always with ``safe_mode=True, compile=False``: code stored in the
    file is not run. Even so, open files only from sources that you trust; the Keras project advises the same.

    Parameters
    ----------
    path
        An existing local ``.keras`` file.

    Returns
    -------
    keras.Model
        A new model with the weights of the file; not compiled for training.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, another format, a damaged archive, or content that is not opened safely.
    """
    opened = store.read(path)
    refuse_code(opened.config(), opened.path.name)
    return opened_safely(opened.path, opened.path.name)


def opened_safely(file: Path, name: str) -> Any:
    """Open a file with Keras in its safe mode, or raise a ValueError that says in one line why not."""
    keras = import_keras()
    # Private, but without it `keras.config.enable_unsafe_deserialization()` overrules `safe_mode=True`.
    from keras.src.saving.serialization_lib import SafeModeScope  # noqa: PLC0415

    try:
        with SafeModeScope(safe_mode=True):
            return keras.models.load_model(file, safe_mode=True, compile=False)
    except Exception as error:  # Keras raises whatever a layer raises
        reason, advice = _refusal(error)
        raise ValueError(
            f"Expected a network that Keras opens in safe mode, received {name!r}: {reason}; {advice}"
        ) from error


def check_model(model: Any) -> None:
    """Check that a Keras model is a classifier of pictures.

    Raises
    ------
    TypeError
        No Keras model.
    ValueError
        Not one image-shaped input and one output of shape (N, classes).
    """
    if not hasattr(model, "export"):
        raise TypeError(
            f"Expected a Keras model, received {type(model).__name__}; see Classifier.load for files"
        )
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise ValueError(
            f"Expected a Keras model with known shapes, received {type(model).__name__} without inputs and"
            " outputs; wrap it: x = keras.Input((height, width, 3)); keras.Model(x, model(x))"
        )
    inputs = [tuple(entry.shape) for entry in model.inputs]
    if len(inputs) != 1:
        raise ValueError(
            f"Expected a network with one image input, received {len(inputs)} inputs: {inputs};"
            " make a keras.Model that takes the picture alone"
        )
    if len(inputs[0]) != 4 or not {inputs[0][1], inputs[0][3]} & {1, 3}:
        raise ValueError(
            f"Expected a network with an input (N, H, W, 1) or (N, H, W, 3), received {inputs[0]};"
            " the kit works on classifiers of pictures"
        )
    outputs = [tuple(entry.shape) for entry in model.outputs]
    if len(outputs) != 1 or len(outputs[0]) != 2 or outputs[0][1] is None:
        raise ValueError(
            f"Expected a network with one output (N, classes), received {outputs};"
            " make a keras.Model that ends in the class scores"
        )
    named = getattr(model, "output", None)
    if isinstance(named, dict):
        raise ValueError(  # noqa: TRY004 (as for the other shapes that a network may have)
            f"Expected a network that returns one array, received one that returns {list(named)} by name;"
            " use keras.Model(model.inputs, model.outputs[0])"
        )


def _refusal(error: BaseException) -> tuple[str, str]:
    """Say why Keras did not open a file, and what to do about it."""
    if isinstance(error, OSError):
        return first_line(error), "its weights are cut off or damaged, so copy the file anew"
    # A class that is missing within a network hides behind the network that is not built without it.
    chain = [error]
    while chain[-1].__context__ is not None:
        chain.append(chain[-1].__context__)
    missing = [each for each in chain if str(each).startswith("Could not locate")]
    # What follows the first sentence is advice for those who call Keras themselves, such as safe_mode=False.
    reason = first_line(missing[0] if missing else error).partition(". ")[0]
    if "TFSMLayer" in reason:
        return reason, (
            "a SavedModel's graph is in another folder: build the network in Keras, copy its weights and"
            " save that"
        )
    if "Lambda" in reason:
        return reason, "replace Lambda layers by registered custom ones and save the network anew"
    if missing or reason.startswith(("Could not deserialize", "Unknown layer")):
        return reason, (
            "register custom layers before loading: import the module that defines them (--import MODULE"
            " on the command line)"
        )
    # Of several layers whose weights do not fit, Keras shows one; reasons stand behind long introductions.
    behind = re.findall(
        r"(?:Exception encountered:|Example error message for object .*?:)\s+(.+)", str(error)
    )
    told = re.sub(r"\{\{.*?\}\} ?", "", behind[-1] if behind else reason).strip()
    return told.rstrip(".")[:300], "copy the file anew, or save the network anew where it was made"


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
    return lite_of(KerasEngine(model, _sized(model, size)).graph)


def lite_of(graph: Any) -> bytes:
    """Compile what `traced` gives, in less than half the time of Keras's own export and to the same network.

    Raises
    ------
    ConversionError
        LiteRT lacks an operation, or there is no graph.
    """
    if graph is None:
        raise ConversionError("TensorFlow cannot draw one graph of it, which is what is compiled")
    import tensorflow as tf  # noqa: PLC0415 (heavy)

    with only_warnings("tensorflow"), captured_errors() as messages:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([graph])
        # Operations outside LiteRT's own need TensorFlow at run time: better found here than live.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            compiled: bytes = converter.convert()
        except Exception as error:  # the converter has no exception of its own for what it cannot do
            raise ConversionError(_unsupported(messages()) or first_line(error)) from error
    return compiled


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
        `kit.classifier.conversion.TOLERANCE`.

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
    reference = KerasEngine(model, shape)
    head = head_of(json.loads(model.to_json())) or measured_head(
        np.concatenate([reference.predict(batch) for batch in batches])
    )
    count = reference.output_count
    try:
        data = lite_of(reference.graph)
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
