"""From a model file to a running network, known, or else compiled or tried once and kept; and back."""

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Thread
from typing import IO, Any

import numpy as np

from kit._arrays import JSONObject
from kit._bundled import DATA
from kit._checking import KERAS, require
from kit.classifier.child import Early, awaited, run_apart, work_apart
from kit.classifier.engines import (
    OnnxEngine,
    check_lite,
    checked_for_network,
    engine_of,
    is_lite,
    measured_head,
)
from kit.classifier.keras_models import load_keras, serialized_objects
from kit.classifier.metadata import lite_about, onnx_about
from kit.classifier.network import Compiled, Network, compile_model, trial_tensors
from kit.classifier.reference import Reference
from kit.classifier.store import (
    FIRST_LAYERS,
    Archive,
    as_stated,
    checked_unchanged,
    read_model,
    write_model,
)
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import simplest

SECONDS = 1800
"""Longest time that TensorFlow may take, on a slow machine with a large network."""
CACHED = 50
"""Networks that are kept in the cache folder; the oldest make room."""
FORMAT = 4
"""Of what is kept; a version that needs more of a network begins again."""
BUNDLED = DATA / "models" / "compiled"
"""Compiled forms of the bundled networks, by the digest of the weights like those in the cache folder."""

# In the folder that is shared with the process that compiles.
_COMPILED = "compiled.zip"
_STEPS = "preprocessing.json"


def restore(opened: Archive, steps: Preprocessing | None = None) -> Network:
    """Find what is known of a network, or find it out in a process of its own, and keep it.

    A Keras network is compiled there, and compared in the range of the preprocessing, by default that of the
    file; it is returned once Keras has opened it: see `Network`. Another is run there first, on sides of the
    preprocessing where it leaves them open, since a stranger's bytes may end a process or fill its memory.
    The source of what is returned is the file, with what its maker says.

    FileNotFoundError or ValueError where the network cannot be opened, is no classifier of images, or was
    replaced meanwhile; ModuleNotFoundError without ONNX Runtime for what it runs, or where nothing is known
    of a Keras network yet, without Keras and TensorFlow.
    """
    steps = opened.preprocessing if steps is None else steps
    # Which runs what is known, too.
    if opened.network and not is_lite(opened.network):
        require("onnxruntime")
    if network := _known(opened):
        return network
    if opened.network is None:
        require(*KERAS)
    if _has_registered_code(opened):
        # Their code is known in this process and nowhere else.
        return Network(compile_model(load_keras(opened.path), steps), source=opened)
    early: Early = Future()
    late: Future[Compiled] = Future()
    late.add_done_callback(_UNDER_WAY.pop)
    _UNDER_WAY[late] = opened, steps, early, late
    _begin(late)
    try:
        awaited([early, late], f"Opening {opened.path.name!r}")
    finally:
        early.cancel()
    if late.done():
        return _network_of(late.result(), opened)
    (head, shape, outputs), predict = early.result()
    compiled = Compiled(head, tuple(shape), outputs)
    return Network(compiled, source=opened, late=late, predict_early=predict)


_UNDER_WAY: dict[Future[Compiled], tuple[Any, ...]] = {}
_LOCKED: set[IO[bytes]] = set()


def _begin(late: Future[Compiled]) -> None:
    if not late.done():
        Thread(target=_compile, args=_UNDER_WAY[late], daemon=True).start()


def _begin_again() -> None:
    """Compile in a process that was forked meanwhile, which has no thread that it could wait for."""
    # Else it would hold the locks of its parent, also where that ends.
    while _LOCKED:
        _LOCKED.pop().close()
    for late in [*_UNDER_WAY]:
        _begin(late)


with suppress(AttributeError):  # on Windows
    os.register_at_fork(after_in_child=_begin_again)


def _compile(
    opened: Archive, steps: Preprocessing | None, early: Early, late: Future[Compiled]
) -> None:
    try:
        with _alone(opened):
            if network := _known(opened):
                compiled = network.compiled
            else:
                compiled = compile_apart(opened, steps, early)
                keep(opened, compiled)
        late.set_result(compiled)
    except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
        late.set_exception(error)


@contextmanager
def _alone(opened: Archive) -> Iterator[None]:
    """Wait until no other process or thread compiles this network; where there are no locks, without."""
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            path = _made_cache_folder() / f"{opened.digest}.lock"
            file = stack.enter_context(path.open("ab"))
            _LOCKED.add(file)
            stack.callback(_LOCKED.discard, file)
            # Who waits for it then finds what is kept.
            stack.callback(path.unlink, missing_ok=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_apart(
    opened: Archive, steps: Preprocessing | None, early: Early
) -> Compiled:
    """Compile a ``.keras`` file, or try another, in a process of its own; raises as `restore` does."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if steps is not None:
            (folder / _STEPS).write_text(steps.to_json(), encoding="utf-8")
        run_apart(
            "kit.classifier.loading",
            opened.path,
            folder,
            seconds=SECONDS,
            early=early,
        )
        checked_unchanged(opened)
        return Compiled.read(folder / _COMPILED)


def _compile_or_try(file: Path, folder: Path) -> JSONObject:
    """Compile a ``.keras`` file, or try another; in the process that was started for it."""
    steps = None
    with suppress(FileNotFoundError):
        steps = Preprocessing.from_json((folder / _STEPS).read_text(encoding="utf-8"))
    if file.suffix == ".keras":
        compiled = compile_model(load_keras(file), steps, serving=True)
    else:
        compiled = _tried(read_model(file), steps)
    compiled.write(folder / _COMPILED)
    return {}


def _tried(opened: Archive, steps: Preprocessing | None) -> Compiled:
    """Run all that the user's process will run of a file, and read what its maker says."""
    data = opened.network or b""
    engine = engine_of(data, threads=1)
    if isinstance(engine, OnnxEngine):
        class_names, scaling = onnx_about(engine.properties)
    else:
        class_names, scaling = lite_about(data, opened.path)
    # Of whole numbers, a note in the file may say what they were in training; what is fed follows from these.
    scaling = engine.scaling or scaling
    stated = None
    if scaling is not None:
        with suppress(ValueError):
            stated = Preprocessing(scaling=simplest((scaling,)))
    # What is kept depends on the file alone, but where it leaves its sides open.
    _, shape = checked_for_network(steps, engine.input_shape)
    batches = trial_tensors(shape, opened.preprocessing or stated)
    outputs = np.concatenate([engine.predict(batch) for batch in batches])
    # In a range that is not its own, half precision may overflow.
    finite_outputs = outputs[np.isfinite(outputs).all(axis=1)]
    said = {"class_names": class_names, "preprocessing": stated and stated.to_dict()}
    compiled = Compiled(
        measured_head(finite_outputs if len(finite_outputs) else outputs, engine.step),
        engine.input_shape,
        engine.output_count,
        said=said,
    )
    network = _network_of(compiled, opened)
    network.engine_and_dense_layers[0].inside(batches[0][:1])
    if layers := Reference(network, shape, opened.statistics).first_layers:
        layers.measure(batches[0][:1])
    return compiled


def _network_of(compiled: Compiled, opened: Archive) -> Network:
    """Return the network of a file; what is known of another than Keras's is run as the file has it."""
    if opened.network is not None:
        compiled = replace(compiled, data=opened.network)
        if not opened.contract:
            opened = as_stated(opened, compiled.said)
    elif compiled.data is not None:
        check_lite(compiled.data)
    return Network(compiled, source=opened)


def keep(opened: Archive, compiled: Compiled) -> None:
    """Keep what is known of a network, if the cache folder can be written to and the file says it all."""
    with suppress(OSError):
        if not _has_registered_code(opened):
            folder = _made_cache_folder()
            compiled.write(folder / f"{opened.digest}.zip")
            # By names that nobody else gives, should the folder be a link to another.
            entries = folder.glob("[0-9a-f]" * 64 + ".zip")
            oldest_first = sorted(entries, key=os.path.getmtime)
            for entry in oldest_first[:-CACHED]:
                entry.unlink()


def _made_cache_folder() -> Path:
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def check_saved_as(target: Path, network: Network) -> None:
    """Raise a ValueError for a file name that ends in none of the formats of a network."""
    origin = network.source
    formats = [] if origin and origin.network else [".keras"]
    if network.compiled.runner == "LiteRT":
        formats.append(".tflite")
    if not formats:
        raise ValueError(
            "Expected a network of Keras or LiteRT, received an .onnx file; copy the file itself"
        )
    if target.suffix not in formats:
        ends = " or ".join(formats)
        reason = network.compiled.reason
        because = f"; Keras alone runs it, because {reason}" if reason else ""
        raise ValueError(
            f"Expected a file name that ends in {ends}, received {target.name!r}{because}"
        )


def save_network(
    network: Network, reference: Reference, contract: JSONObject, target: Path
) -> None:
    """Write a network with what belongs to it: see `Classifier.save`."""
    origin = network.source
    compiled = network.compiled
    write = partial(write_model, target=target, contract=contract)
    if target.suffix != ".keras":
        # Which TensorFlow alone could make again.
        if layers := compiled.first_layers:
            reference = reference.with_arrays(FIRST_LAYERS, layers.arrays())
        file = origin.path if origin and origin.network else None
        write(file, statistics=reference.contents, network=compiled.data)
    elif origin is not None:
        write(checked_unchanged(origin).path, statistics=reference.contents)
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "network.keras"
            network.model.save(file)
            keep(write(file, statistics=reference.contents), compiled)


def _known(opened: Archive) -> Network | None:
    for folder in (BUNDLED, cache_folder()):
        # Missing, damaged, or made by another version of LiteRT: made again.
        with suppress(Exception):
            return _network_of(Compiled.read(folder / f"{opened.digest}.zip"), opened)
    return None


def cache_folder() -> Path:
    """Return the cache folder, which need not exist; where nothing can be kept, one that never does."""
    from platformdirs import user_cache_path

    nowhere = Path(os.devnull)
    try:
        parent = user_cache_path("classifier-investigation-kit", appauthor=False)
    except RuntimeError:  # a user without a home
        return nowhere
    folder = parent / f"compiled-{FORMAT}"
    with suppress(AttributeError, OSError):  # Windows keeps the folders of users apart
        status = folder.stat()
        # What others put there would be run. Modes mean nothing where there are no users' numbers.
        if status.st_uid not in {0, os.getuid()} or status.st_mode & 0o022:
            return nowhere
    return folder


def _has_registered_code(opened: Archive) -> bool:
    """Whether the network needs code that is registered here, and may change while the file does not.

    What nobody has registered is refused in the process that compiles, whatever the file says.
    """
    if "keras" not in sys.modules:
        return False
    import keras  # all of it, where another thread is at it: a part of it alone could wait for ever

    registered = keras.saving.get_registered_object
    keys = ("registered_name", "class_name", "config")
    names = (
        part.get(key) for part in serialized_objects(opened.config()) for key in keys
    )
    return any(isinstance(name, str) and registered(name) is not None for name in names)


if __name__ == "__main__":
    work_apart(_compile_or_try)
