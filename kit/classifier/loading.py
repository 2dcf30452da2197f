"""From a model file to a running network: known, or else compiled or tried once, and kept."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from kit.classifier.child import Early, answer, ask, awaited
from kit.classifier.engines import OPEN_SIDE, engine_of
from kit.classifier.keras_models import load_keras, serialized
from kit.classifier.network import Compiled, Network, as_it_is, describe
from kit.classifier.store import Archive, unchanged
from kit.preprocessing import Preprocessing

SECONDS = 1800
"""Longest time that TensorFlow may take, on a slow machine with a large network."""
CACHED = 50
"""Networks that are kept in the cache folder; the longest unused make room."""
FORMAT = 2
"""Of what is kept; a version that needs more of a network begins again."""
BUNDLED = Path(__file__).resolve().parents[2] / "data" / "models" / "compiled"
"""Compiled forms of the bundled networks, by the digest of the weights like those in the cache folder."""

_HERE, _COMPILED, _STEPS = (
    "kit.classifier.loading",
    "compiled.zip",
    "preprocessing.json",
)


def restore(opened: Archive, steps: Preprocessing | None = None) -> Network:
    """Find the compiled form of a network, or make and keep it.

    Where it has to be compiled, it is compared in the range of the preprocessing, if one is known, and
    returned once Keras has opened it: see `Network`.

    Raises
    ------
    FileNotFoundError, ValueError
        The network cannot be opened, is no classifier of images, or was replaced meanwhile.
    """
    if opened.network is not None:
        return _tried(opened, steps)
    if found := _known(opened):
        return found
    if _custom(opened):
        # Their code is known in this process and nowhere else.
        return Network(describe(load_keras(opened.path), steps), source=opened)
    early: Early = Future()
    rest: Future[Compiled] = Future()
    Thread(target=_compile, args=(opened, steps, early, rest), daemon=True).start()
    try:
        awaited([early, rest], f"Opening {opened.path.name!r}")
    finally:
        early.cancel()
    if rest.done():
        return Network(rest.result(), source=opened)
    (head, shape, outputs), predict = early.result()
    return Network(
        Compiled(head, tuple(shape), outputs), source=opened, late=(rest, predict)
    )


def _compile(
    opened: Archive, steps: Preprocessing | None, early: Early, rest: Future[Compiled]
) -> None:
    try:
        with _alone(opened):
            found = _known(opened)
            compiled = found.compiled if found else convert(opened, steps, early)
            keep(opened, compiled)
        rest.set_result(compiled)
    except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
        rest.set_exception(error)


def _tried(opened: Archive, steps: Preprocessing | None) -> Network:
    """Run a network in a process of its own first, once, since a stranger's bytes may end it."""
    layers = opened.statistics.get("first_layers/compiled")
    parts = [opened.network or b"", b"" if layers is None else layers.tobytes()]
    tried = cache_folder() / f"{hashlib.sha256(b''.join(parts)).hexdigest()}.tried"
    if not tried.exists():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            for place, part in enumerate(filter(None, parts)):
                (folder / f"{place}.network").write_bytes(part)
            ask(
                _HERE,
                opened.path,
                folder,
                f"Trying {opened.path.name!r}, once",
                seconds=SECONDS,
            )
        with suppress(OSError):
            _made()
            tried.touch()
    return Network(as_it_is(parts[0], steps), source=opened)


def convert(opened: Archive, steps: Preprocessing | None, early: Early) -> Compiled:
    """Compile a ``.keras`` file in a process of its own; raises as `restore` does."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if steps is not None:
            (folder / _STEPS).write_text(steps.to_json(), encoding="utf-8")
        ask(_HERE, opened.path, folder, "", seconds=SECONDS, early=early)
        unchanged(opened)
        return Compiled.read(folder / _COMPILED)


def _work(file: Path, folder: Path) -> Mapping[str, Any]:
    """Compile a ``.keras`` file, or run the networks of another; in the process that was started for it."""
    if file.suffix == ".keras":
        stated = folder / _STEPS
        steps = (
            Preprocessing.from_json(stated.read_text(encoding="utf-8"))
            if stated.exists()
            else None
        )
        describe(load_keras(file), steps, serving=True).write(folder / _COMPILED)
    for path in sorted(folder.glob("*.network")):
        engine = engine_of(path.read_bytes(), threads=1)
        engine.predict(
            np.zeros(
                (1, *(side or OPEN_SIDE for side in engine.input_shape)), np.float32
            )
        )
    return {}


def keep(opened: Archive, compiled: Compiled) -> None:
    """Keep what is known of a network, if the cache folder can be written to and the file says it all."""
    with suppress(OSError):
        if not _custom(opened):
            folder = _made()
            compiled.write(folder / f"{opened.digest}.zip")
            entries = sorted(
                folder.glob("*.zip"), key=lambda each: each.stat().st_mtime
            )
            for entry in entries[:-CACHED]:
                entry.unlink()
                entry.with_suffix(".lock").unlink(missing_ok=True)


def _known(opened: Archive) -> Network | None:
    for folder in (BUNDLED, cache_folder()):
        # Missing, damaged, or made by another version of LiteRT: made again.
        with suppress(Exception):
            entry = folder / f"{opened.digest}.zip"
            found = Network(Compiled.read(entry), source=opened)
            if folder != BUNDLED:
                os.utime(entry)  # the longest unused make room
            return found
    return None


def cache_folder() -> Path:
    """Return the cache folder, which need not exist."""
    from platformdirs import user_cache_path

    try:
        parent = user_cache_path("classifier-investigation-kit", appauthor=False)
    except RuntimeError:  # a user without a home, for whom nothing is kept
        parent = Path(os.devnull)
    return parent / f"compiled-{FORMAT}"


def _made() -> Path:
    folder = cache_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(opened: Archive) -> Iterator[None]:
    """Wait while another process or thread compiles this network.

    With a lock of SQLite, since it is the same on every system, and ends with the process that holds it.
    """
    import sqlite3

    with ExitStack() as stack:
        # Without a lock where nothing is kept or none is to be had, as in some network folders.
        with suppress(OSError, sqlite3.Error):
            lock = sqlite3.connect(_made() / f"{opened.digest}.lock", timeout=SECONDS)
            stack.enter_context(closing(lock))
            lock.execute("BEGIN EXCLUSIVE")
        yield


def _custom(opened: Archive) -> bool:
    """Whether the network needs code that is registered here, and may change while the file does not.

    What nobody has registered is refused in the process that compiles, whatever the file says.
    """
    if "keras" not in sys.modules:
        return False
    import keras  # all of it, where another thread is at it: a part of it alone could wait for ever

    registered = keras.saving.get_registered_object
    keys = ("registered_name", "class_name", "config")
    names = (part.get(key) for part in serialized(opened.config()) for key in keys)
    return any(isinstance(name, str) and registered(name) is not None for name in names)


if __name__ == "__main__":
    answer(_work)
