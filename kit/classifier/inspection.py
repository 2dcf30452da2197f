"""Inspection of a file that somebody else made, in a process of its own, without TensorFlow."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copyfile

import numpy as np

from kit._arrays import Array, Float32, Float64
from kit._checking import first_line
from kit.classifier import store
from kit.classifier.child import answer, ask
from kit.classifier.contract import preprocessing_in
from kit.classifier.conversion import TOLERANCE, Compiled, difference_between, trial_tensors
from kit.classifier.engines import LiteEngine, head_of, measured_head, part_size
from kit.classifier.first_layers import FirstLayers
from kit.classifier.numpy_engine import NumpyEngine, UnknownNetworkError, foreign_operations
from kit.classifier.store import Archive, weights_in

SECONDS = 60.0
"""Longest time that an inspection may take."""

# Input values up to which all inputs are compared; larger ones go by one of each kind.
_WHOLE = 1 << 16
# Layers whose statistics are kept, of which the first layers that a file carries are some.
_MEASURED = 64
_CLOSE = 1e-3


def inspect(opened: Archive) -> Mapping[str, str]:
    """Return what is wrong with each compiled form that a file has, by its name.

    Parameters
    ----------
    opened
        A checked file; a copy is inspected, so that nobody can exchange it meanwhile.

    Returns
    -------
    mapping
        Name of the part to a few words; empty for a sound file.

    Raises
    ------
    ValueError
        The file was replaced since it was opened.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = snapshot(opened, Path(folder))
        found = ask("kit.classifier.inspection", copy, Path(folder), seconds=SECONDS)
    if "error" not in found:
        return found
    flaw = f"could not be inspected ({found['error']})"
    return dict.fromkeys((store.COMPILED, store.FIRST_LAYERS), flaw)


def snapshot(opened: Archive, folder: Path) -> Path:
    """Copy a file that may be replaced at any time, and make sure that the copy is what was opened.

    Raises
    ------
    FileNotFoundError, ValueError
        It is gone, or another one.
    """
    copy = folder / opened.path.name
    copyfile(opened.path, copy)
    found = store.read(copy)
    if (found.digest, found.contract) != (opened.digest, opened.contract):
        raise ValueError(
            f"Expected the network in {opened.path.name!r} as it was loaded, received another; load it again"
        )
    return copy


def _flaws(file: Path, _: Path) -> Mapping[str, str]:
    """Inspect a file; in the process that `inspect` starts."""
    opened = store.read(file)
    stated = opened.contract or {}
    moments: dict[str, list[Float32]] = {}

    def watch(name: str, received: Float32, returned: Float32) -> None:
        for each in (received, returned) if name in moments or len(moments) < _MEASURED else ():
            axes = tuple(range(1, each.ndim - 1))
            squares = np.square(each)
            mean, power = (each.mean(axes), squares.mean(axes)) if axes else (each, squares)
            moments.setdefault(name, []).append(np.concatenate([mean, power], axis=-1))

    weights = weights_in(file)
    engine = NumpyEngine(opened.config(), weights, watch)
    shape = Compiled.from_contract(stated).input_shape if stated else engine.input_shape
    batches = trial_tensors(shape, preprocessing_in(opened))
    if np.prod(batches[0].shape[1:]) > _WHOLE:
        batches = tuple(batch[:1] for batch in batches)
    try:
        outputs = [engine.predict(batch) for batch in batches]
    except UnknownNetworkError as error:
        flaw = f"cannot be checked without TensorFlow ({error})"
        return dict.fromkeys((store.COMPILED, store.FIRST_LAYERS), flaw)
    found = {store.COMPILED: _flaw_of_compiled(opened, batches, outputs)}
    data = opened.member(store.FIRST_LAYERS)
    if data is not None:
        rows = [row for each in moments.values() for row in each]
        found[store.FIRST_LAYERS] = _flaw_of_first_layers(data, batches[-1], rows, list(weights.values()))
    return {name: flaw for name, flaw in found.items() if flaw}


def _flaw_of_compiled(opened: Archive, batches: Sequence[Float32], outputs: Sequence[Float32]) -> str:
    data = opened.member(store.COMPILED)
    if data is None:
        return ""  # nothing there to run
    stored = Compiled.from_contract(opened.contract or {}, data)
    head = head_of(opened.config()) or measured_head(np.concatenate(outputs))
    try:
        if others := foreign_operations(data):
            return f"has operations of other kinds than are known to be safe ({', '.join(others)[:100]})"
        lite = LiteEngine(data, threads=1)
        shape, count = lite.input_shape, lite.output_count
        if (stored.head, stored.input_shape, stored.output_count) != (head, shape, count):
            return "is of another shape than the file says"
        results = [lite.predict(batch) for batch in batches]
        for each in _of_all_sizes(batches[-1]):
            lite.predict(each)
    except (ValueError, RuntimeError) as error:
        return f"does not run ({first_line(error)[:100]})"
    difference = difference_between(outputs, results, head)
    return "" if difference <= TOLERANCE else f"differs from its weights by {difference:.1e} in a probability"


def _of_all_sizes(batch: Float32) -> Iterator[Float32]:
    """Yield as many tensors as an engine ever takes at a time: memory and time can go with their number."""
    return (np.resize(batch, (size, *batch.shape[1:])) for size in {1, part_size(batch.shape)})


def _flaw_of_first_layers(
    data: bytes, batch: Float32, rows: Sequence[Float32], weights: Sequence[tuple[Array, ...]]
) -> str:
    """Compare each part of what is measured with what some layer receives or returns, and has as averages."""
    try:
        layers = FirstLayers.from_bytes(data)
        if others := foreign_operations(layers.compiled):
            return f"have operations of other kinds ({', '.join(others)[:100]})"
        measured = layers.measure(batch)
        for each in _of_all_sizes(batch):
            layers.measure(each)
    except (ValueError, RuntimeError) as error:
        return f"do not run ({first_line(error)[:100]})"
    parts = np.split(measured, np.cumsum(2 * np.array(layers.widths))[:-1], axis=1)
    near = [any(_near(part, row) for row in rows) for part in parts]
    if layers.means is not None and layers.variances is not None:
        places = np.cumsum(layers.widths)[:-1]
        pairs = zip(np.split(layers.means, places), np.split(layers.variances, places), strict=True)
        near += [any(_averages(own, pair) for own in weights) for pair in pairs]
    whole = len(parts) == len(layers.widths) and (layers.means is None) == (layers.variances is None)
    return "" if whole and all(near) else "differ from its weights"


def _averages(own: tuple[Array, ...], pair: tuple[Array, Array]) -> bool:
    """Whether the last two weights of a layer, as those of a BatchNorm are, are these averages."""
    return len(own) >= 2 and all(
        kept.shape == stated.shape and np.allclose(kept, stated, rtol=1e-6, atol=0)
        for kept, stated in zip(own[-2:], pair, strict=True)
    )


def _near(part: Float64, row: Float32) -> bool:
    scale = float(np.abs(row).max())
    return part.shape == row.shape and np.allclose(part, row, rtol=_CLOSE, atol=_CLOSE * scale)


if __name__ == "__main__":
    answer(_flaws)
