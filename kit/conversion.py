"""Everything that needs TensorFlow and Keras: open a ``.keras`` file safely, compile it, hold the two against each other.

``python -m kit.conversion FILE FOLDER`` does so in a process of its own, so that the memory that TensorFlow takes
(about half a gigabyte) is given back, and its messages do not reach the notebook.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kit import archive
from kit.engine import Engine, KerasEngine, LiteEngine
from kit.heads import head_of, measured_head, probabilities
from kit.quiet import captured_errors

if TYPE_CHECKING:
    from kit.preprocessing import Preprocessing

TOLERANCE = 1e-5
"""Largest difference in a probability between the compiled form and Keras that is accepted."""


class ConversionError(RuntimeError):
    """A network that cannot be compiled; the Keras model itself works all the same."""


def load_keras(path: str | PathLike[str]) -> Any:
    """Open a ``.keras`` file with Keras, safely.

    Only an existing local file is opened, always with ``safe_mode=True, compile=False``: code stored in the file is not
    run. Even so, open files only from sources that you trust; the Keras project gives the same advice.

    Parameters
    ----------
    path
        An existing local ``.keras`` file.

    Returns
    -------
    keras.Model
        With new weights from the file; not compiled for training.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, another format, a damaged archive, or content that is not opened safely.
    """
    file = archive.read(path).path
    keras = _import_keras()
    try:
        return keras.models.load_model(file, safe_mode=True, compile=False)
    except Exception as error:  # Keras raises whatever a layer's constructor raises
        raise ValueError(
            f"Expected a network that Keras opens in safe mode, received {file.name!r}: {_first_line(error)};"
            " register custom layers before loading, and replace Lambda layers by registered ones"
        ) from error


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
    keras = _import_keras()
    if keras.backend.backend() != "tensorflow":
        raise ConversionError(f"Keras runs on {keras.backend.backend()}, and compiling needs its TensorFlow backend")
    import tensorflow as tf  # noqa: PLC0415 (heavy)

    entry = model.inputs[0]
    height, width, channels = entry.shape[1:]
    signature = tf.TensorSpec(
        (None, height or (size and size[0]), width or (size and size[1]), channels), entry.dtype
    )
    with tempfile.TemporaryDirectory() as folder, captured_errors() as messages:
        target = Path(folder) / "model.tflite"
        try:
            model.export(
                target,
                format="litert",
                verbose=False,
                input_signature=[signature],
                # Operations outside LiteRT's own need TensorFlow at run time: better found here than in a live session.
                target_spec={"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]},
            )
        except Exception as error:  # the converter has no exception of its own for what it cannot do
            raise ConversionError(_unsupported(messages()) or _first_line(error)) from error
        return target.read_bytes()


def check_equal(
    reference: Engine, compiled: Engine, head: str, tensors: Sequence[npt.NDArray[np.float32]]
) -> float:
    """Return the largest difference between two engines' probabilities.

    Parameters
    ----------
    reference, compiled
        Engines of the same network.
    head
        One of `kit.heads.HEADS`.
    tensors
        Float32 batches of shape (N, H, W, C).

    Returns
    -------
    float
        Largest absolute difference, 0..1; infinite where a result is not a number.
    """
    largest = 0.0
    for batch in tensors:
        difference = np.abs(
            probabilities(reference.predict(batch), head) - probabilities(compiled.predict(batch), head)
        )
        largest = max(largest, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return largest


def trial_tensors(
    shape: tuple[int, int, int], preprocessing: "Preprocessing | None" = None
) -> tuple[npt.NDArray[np.float32], ...]:
    """Inputs to compare engines on: always the same pseudo-random values, and pictures made by a formula.

    Parameters
    ----------
    shape
        Input shape of the network without the batch.
    preprocessing
        What the network expects; the pictures go through it, and the random values cover its range. Where unknown, the
        usual ranges 0..1, -1..1 and 0..255 are covered.

    Returns
    -------
    tuple of float32 arrays (N, H, W, C)
    """
    random = np.random.default_rng(20_241)
    noise = random.random((2, *shape), dtype=np.float32)
    scene = _scenes(shape, random)
    if preprocessing is None:
        batch = np.concatenate([noise[:1], scene / np.float32(255)])
        return batch, batch * np.float32(2) - np.float32(1), batch * np.float32(255)
    from kit.images import Photo  # noqa: PLC0415 (not needed to load a classifier)

    pictures = np.concatenate(
        [
            preprocessing.apply(Photo.from_array(np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture))
            for picture in scene.astype(np.uint8)
        ]
    )
    if pictures.shape[1:] != shape:
        raise ValueError(f"Expected a preprocessing that gives {shape}, received one that gives {pictures.shape[1:]}")
    low, high = float(pictures.min()), float(pictures.max())
    return noise * np.float32(high - low) + np.float32(low), pictures


def check_model(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Check the shapes of a network, given its inputs and outputs (anything with ``shape``).

    Raises
    ------
    ValueError
        Not one image-shaped input and one output of shape (N, outputs).
    """
    shapes = [tuple(entry.shape) for entry in inputs]
    if len(shapes) != 1:
        raise ValueError(
            f"Expected a network with one image input, received {len(shapes)} inputs {shapes};"
            " make a keras.Model that takes the picture alone"
        )
    (shape,) = shapes
    if len(shape) != 4 or (shape[3] not in {1, 3} and shape[1] not in {1, 3}):
        raise ValueError(
            f"Expected a network with an input (N, H, W, 1) or (N, H, W, 3), received {shape};"
            " the kit investigates classifiers of pictures"
        )
    results = [tuple(entry.shape) for entry in outputs]
    if len(results) != 1 or len(results[0]) != 2 or results[0][1] is None:
        raise ValueError(
            f"Expected a network with one output (N, classes), received {results};"
            " make a keras.Model that ends in the class scores"
        )


def convert(path: str | PathLike[str]) -> dict[str, Any]:
    """Compile a ``.keras`` file in a process of its own.

    Returns
    -------
    dict
        ``head``, ``input_shape``, ``output_count``, ``max_difference``, and ``compiled`` (bytes), or ``reason`` in
        place of ``compiled`` for a network that cannot be compiled.

    Raises
    ------
    ValueError
        The file cannot be opened, or is no classifier of pictures.
    """
    if "keras" in sys.modules:
        # Already paid for, and custom layers that the user registered are known only here.
        return describe(load_keras(path))
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ, KERAS_BACKEND="tensorflow", PYTHONPATH=os.pathsep.join(_search_path()))
        result = subprocess.run(  # noqa: S603 (this very interpreter with the kit's own module)
            [sys.executable, "-m", "kit.conversion", os.fspath(Path(path).resolve()), folder],
            capture_output=True,
            check=False,
            env=environment,
        )
        answer = Path(folder) / "answer.json"
        if not answer.exists():
            last = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise ValueError(f"Expected TensorFlow to convert {Path(path).name!r}, received: {' '.join(last)[:300]}")
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        if "error" in found:
            raise ValueError(found["error"])
        compiled = Path(folder) / "model.tflite"
        if compiled.exists():
            found["compiled"] = compiled.read_bytes()
        return found


def describe(model: Any, preprocessing: "Preprocessing | None" = None) -> dict[str, Any]:
    """Compile a Keras model and hold the result against it; see `convert` for what is returned.

    Raises
    ------
    ValueError
        The network is no classifier of pictures, or the compiled form differs by more than `TOLERANCE`.
    """
    check_model(model.inputs, model.outputs)
    reference = KerasEngine(model)
    size = preprocessing.size if preprocessing is not None else None
    height, width, channels = model.inputs[0].shape[1:]
    shape = (height or (size and size[0]), width or (size and size[1]), channels)
    # A network that takes any size is tried at a usual one.
    tried = (shape[0] or 96, shape[1] or 96, shape[2])
    tensors = trial_tensors(tried, preprocessing)
    head = head_of(json.loads(model.to_json())) or measured_head(
        np.concatenate([reference.predict(batch) for batch in tensors])
    )
    found: dict[str, Any] = {"head": head, "input_shape": list(shape), "output_count": reference.output_count}
    try:
        compiled = compile_lite(model, size)
        engine = LiteEngine(compiled, threads=1)
    except ConversionError as error:
        return {**found, "reason": str(error)}
    except (ValueError, ImportError) as error:
        return {**found, "reason": _first_line(error)}
    difference = check_equal(reference, engine, head, tensors)
    if not difference <= TOLERANCE:
        return {
            **found,
            "max_difference": difference,
            "reason": f"its compiled form differs by {difference:.1e} in a probability",
        }
    return {**found, "max_difference": difference, "compiled": compiled}


def _import_keras() -> Any:
    # Read once, when TensorFlow's libraries are loaded; a user's own setting stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with captured_errors():
        import keras  # noqa: PLC0415 (heavy)
    return keras


def _unsupported(messages: str) -> str:
    """Name the operations that the converter complained about."""
    for line in messages.splitlines():
        for start in ("TF Select ops:", "Custom ops:"):
            if line.startswith(start):
                return f"LiteRT has no operation {line.removeprefix(start).strip()}"
    return ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).strip()[:300].rstrip(".;")


def _scenes(shape: tuple[int, int, int], random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Three pictures with the smooth areas, edges and grain of photographs, 0..255."""
    channels_first = shape[2] not in {1, 3}
    height, width, channels = (shape[1], shape[2], shape[0]) if channels_first else shape
    down, across = np.mgrid[0:1:height * 1j, 0:1:width * 1j].astype(np.float32)
    layers = []
    for turn in range(3):
        centre = random.random((2, channels), dtype=np.float32)
        distance = np.hypot(down[..., None] - centre[0], across[..., None] - centre[1])
        light = 40 + 160 * (across if turn % 2 else down)[..., None]
        disc = 60 * (distance < 0.3) - 40 * np.cos(8 * (turn + 1) * distance)
        layers.append(light + disc + random.normal(0, 6, (height, width, channels)))
    scene = np.clip(np.stack(layers), 0, 255).round().astype(np.float32)
    return scene.transpose(0, 3, 1, 2) if channels_first else scene


def _search_path() -> list[str]:
    own = os.fspath(Path(__file__).resolve().parent.parent)
    return [own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]


def _main(path: str, folder: str) -> None:
    try:
        found = describe(load_keras(path))
    except (ValueError, OSError) as error:
        found = {"error": str(error)}
    compiled = found.pop("compiled", None)
    if compiled is not None:
        (Path(folder) / "model.tflite").write_bytes(compiled)
    (Path(folder) / "answer.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _main(*sys.argv[1:])
