"""From a ``.keras`` file to a running engine."""

import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kit.classifier import store
from kit.classifier.child import answer, ask, at_most, waiting
from kit.classifier.contract import preprocessing_in
from kit.classifier.conversion import Compiled, describe, load_keras
from kit.classifier.engines import LiteEngine, Shape, picture_size
from kit.classifier.first_layers import FirstLayers, first_layers_of
from kit.classifier.inspection import snapshot
from kit.classifier.store import FORMAT, Archive, serialized, weights_in
from kit.preprocessing import Preprocessing

KEPT = 2000
"""Records that are kept; the oldest make room."""

# The files in data/models, and a test keeps it true.
_BUNDLED = frozenset(
    {
        "0d0e1d16b597774f3bcd4e7971d087405ea65937ff9bb062199e81978539b7ae",
        "0d87343d54cfdf5d25f0eb2929e0f86fa2576c43dab2acbe8c5fa348ad3ee5fe",
        "15cecfbeffed5acadb51d6efd8c28046ff0a7fee8da97f8a7d9b9f9f2a7e1c5c",
        "35c7bee19c8dce8729af6d0be1a44b3636f3004713bcf5b46006bdb1de9af49f",
        "9af51e909b3d9fb88c7c1e013a3ab21614fc685ad92b77f1f505586907fefa79",
        "c73c2792f3ae398435549866d73f2da59edc2fc68a009eff92bb0c46d201be16",
        "d0b519186f9e73157b54c3304a8412e62e724ab3a7a7483ff62f1f1eafe3d2e5",
    }
)
_KEY_BYTES = 32
# What an earlier one let pass is inspected again.
_INSPECTION = 2


def known(opened: Archive, folder: Path) -> bool:
    """Return whether the members of a file are the kit's own, or recorded in this cache folder."""
    if _identity(opened) in _BUNDLED:
        return True
    with suppress(OSError):
        record = _record(opened, private(folder))
        return record is not None and stat.S_ISREG(record.lstat().st_mode)
    return False


def remember(opened: Archive, folder: Path) -> None:
    """Record a file whose compiled forms this process made or inspected, if the folder can be written to."""
    with suppress(OSError):
        key = private(folder) / "key"
        if _key(folder) is None:
            key.unlink(missing_ok=True)
            with open(key, "xb", opener=_own) as stream:
                stream.write(secrets.token_bytes(_KEY_BYTES))
        if (record := _record(opened, folder)) is not None:
            os.close(_own(os.fspath(record), os.O_CREAT | os.O_WRONLY))
            prune(folder, "*.known", KEPT)


def private(folder: Path) -> Path:
    """Return the folder, made if need be, after others were shut out of it.

    Raises
    ------
    OSError
        It cannot be made, is a link or somebody else's.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != getattr(os, "getuid", lambda: found.st_uid)():
        raise NotADirectoryError(f"Expected a cache folder of one's own, received {folder.name!r}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def prune(folder: Path, pattern: str, count: int) -> None:
    """Remove the oldest files of a kind until so many are left; links are removed, not followed."""
    entries = sorted(folder.glob(pattern), key=lambda entry: entry.lstat().st_mtime)
    for entry in entries[:-count]:
        with suppress(OSError):
            entry.unlink()


def _identity(opened: Archive) -> str:
    stated = json.dumps([opened.digest, opened.contract], sort_keys=True)
    return hashlib.sha256(stated.encode()).hexdigest()


def _record(opened: Archive, folder: Path) -> Path | None:
    key = _key(folder)
    if key is None:
        return None
    identity = f"{_INSPECTION} {_identity(opened)}"
    return folder / f"{hmac.new(key, identity.encode(), hashlib.sha256).hexdigest()}.known"


def _key(folder: Path) -> bytes | None:
    """Return the user's key; None where there is none, or a link or another number of bytes in its place."""
    place = folder / "key"
    if not os.path.lexists(place) or not stat.S_ISREG(place.lstat().st_mode):
        return None
    key = place.read_bytes()
    return key if len(key) == _KEY_BYTES else None


def _own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


SECONDS = 1800.0
"""Longest time that TensorFlow may take, on a slow machine with a large network."""

_SECONDS_TO_READ = 60
_COMPILED, _FIRST_LAYERS, _PREPROCESSING = "model.tflite", "taps.npz", "preprocessing.json"


def convert(
    opened: Archive, preprocessing: Preprocessing | None = None, *, custom: Sequence[Mapping[str, Any]] = ()
) -> tuple[Compiled, bytes | None]:
    """Compile a ``.keras`` file.

    In this process only where there are custom layers, whose code is known here and nowhere else.

    Parameters
    ----------
    opened
        A checked file.
    preprocessing
        What its network expects, if known: the range in which it is compared with Keras.
    custom
        Those parts of its architecture that need code from outside Keras.

    Returns
    -------
    compiled
        What was found; an input size that the network leaves open stays open.
    first_layers
        As `FirstLayers.to_bytes` gives them; empty where there are none to read, None where it was not tried.

    Raises
    ------
    FileNotFoundError, ValueError
        The file cannot be opened, is no classifier of pictures, or was replaced meanwhile.
    """
    with tempfile.TemporaryDirectory() as name, waiting(f"Compiling {opened.path.name!r}"):
        folder = Path(name)
        copy = snapshot(opened, folder)
        if custom and all(map(_is_known_here, custom)):
            return describe(load_keras(copy), preprocessing, sized=False), None
        if preprocessing is not None:
            (folder / _PREPROCESSING).write_text(preprocessing.to_json(), encoding="utf-8")
        found = ask("kit.classifier.loading", copy, folder, seconds=SECONDS)
        if "error" in found:
            raise ValueError(_refusal(opened.path.name, found["error"]))
        data, layers = (
            path.read_bytes() if (path := folder / part).exists() else None
            for part in (_COMPILED, _FIRST_LAYERS)
        )
        return Compiled.from_contract(found, data), layers


def _refusal(name: str, error: str) -> str:
    if error.startswith("Expected"):
        return error
    return (
        f"Expected TensorFlow to compile {name!r} in limited memory and time, received: {error}; if you trust"
        " the file, give kit.Classifier the model that keras.models.load_model makes of it"
    )


def _is_known_here(part: Mapping[str, Any]) -> bool:
    """Whether the code of a part is a layer that the user registered or imported; saying so is not enough."""
    keras = sys.modules.get("keras")
    if keras is None:
        return False
    registered = keras.saving.get_custom_objects()
    found = getattr(sys.modules.get(str(part.get("module"))), str(part.get("class_name")), None)
    name = part.get("config" if part.get("class_name") == "function" else "registered_name")
    return str(name) in registered or (
        isinstance(found, type)
        and issubclass(found, keras.layers.Layer)
        # Keras's own need no code from elsewhere, whatever the file says of them.
        and found.__module__.partition(".")[0] != "keras"
    )


def compile_file(file: Path, folder: Path) -> Mapping[str, Any]:
    """Compile a file; in the process that `convert` starts."""
    stated = folder / _PREPROCESSING
    preprocessing = Preprocessing.from_json(stated.read_text(encoding="utf-8")) if stated.exists() else None
    # What checks read later in the kernel reaches HDF5 here first.
    with at_most(_SECONDS_TO_READ):
        weights_in(file)
    model = load_keras(file)
    compiled = describe(model, preprocessing, sized=False)
    if compiled.data is not None:
        (folder / _COMPILED).write_bytes(compiled.data)
    # While TensorFlow is there: a diagnosis would start it again.
    layers = first_layers_of(model)
    (folder / _FIRST_LAYERS).write_bytes(b"" if layers is None else layers.to_bytes())
    return compiled.to_contract()


if __name__ == "__main__":
    answer(compile_file)


CACHED = 50
"""Networks that are kept in the cache folder; the oldest make room."""

# Of this version: earlier ones did not find them in every layout and precision.
_NO_LAYERS = b"none 2"
"""Kept in the cache for a network whose first layers cannot be read."""


class Restored(NamedTuple):
    """A network as it was found.

    Attributes
    ----------
    source
        The file, without members that are not to be used.
    compiled
        What is known of the network.
    engine
        Runs it, or ``None`` where Keras has to.
    notes
        In words, why what the file carries was not used.
    compared
        The preprocessing in whose range the compiled form was compared; None if in no such range.
    """

    source: Archive
    compiled: Compiled
    engine: LiteEngine | None
    notes: tuple[str, ...]
    compared: Preprocessing | None


def restore(opened: Archive, preprocessing: Preprocessing | None = None) -> Restored:
    """Find the compiled form of a network.

    Parameters
    ----------
    opened
        A checked ``.keras`` file.
    preprocessing
        The one in use, if known. Where the network has to be compiled, it is compared in this range.

    Raises
    ------
    ValueError
        A contract that is not understood, or a network that is no classifier of pictures.
    """
    notes: tuple[str, ...] = ()
    if opened.contract is not None:
        stated = Compiled.from_contract(opened.contract, None, opened.path.name)
        opened = _vouched(opened)
        stored = replace(stated, data=opened.member(store.COMPILED))
        # Of somebody else's file, not even the reason for having no compiled form is believed.
        believed = stored.data is not None or known(opened, cache_folder())
        if believed and (running := _running(stored)) is not None:
            if store.FIRST_LAYERS in opened.refused:
                flaw = opened.refused[store.FIRST_LAYERS]
                notes = (f"the statistics of first layers in the file {flaw}, so they are made anew",)
            compared = preprocessing if preprocessing == _preprocessing_of(opened) else None
            return Restored(opened, stored, *running, notes, compared)
        if stored.reason is None:
            flaw = opened.refused.get(store.COMPILED, "is damaged")
            notes = (f"the compiled form in the file {flaw}, so the network was compiled anew",)
    custom = _custom_parts(opened.config())
    kept = None if custom else cached(opened.digest, preprocessing)
    if kept is not None and (running := _running(kept[0])) is not None:
        return Restored(opened, kept[0], *running, notes, kept[1])

    fresh, layers = convert(opened, preprocessing, custom=custom)
    if not custom:
        cache(opened.digest, fresh, preprocessing, _NO_LAYERS if layers == b"" else layers)
    return Restored(opened, fresh, *(_running(fresh) or (None,)), notes, preprocessing)


def _vouched(opened: Archive) -> Archive:
    """Return a file without those compiled forms in it that are not to be run; its own are known."""
    if not opened.tied:
        return replace(opened, refused={store.COMPILED: "belongs to other weights"})
    folder = cache_folder()
    compiled_forms = (store.COMPILED, store.FIRST_LAYERS)
    if known(opened, folder) or all(opened.member(name) is None for name in compiled_forms):
        return opened
    from kit.classifier.inspection import inspect  # noqa: PLC0415 (not needed for files of one's own)

    refused = inspect(opened)
    if not refused:
        remember(opened, folder)
    return replace(opened, refused=refused)


def restore_first_layers(
    opened: Archive | None, model: Callable[[], Any], shape: Shape, size: tuple[int, int] | None
) -> FirstLayers | None:
    """Find the statistics of a network's first layers.

    Parameters
    ----------
    opened
        The file that the network came from; None for one that was made in memory.
    model
        Gives the Keras model; called only if they have to be made, which imports TensorFlow.
    shape
        (H, W, C) of the network's input; ``None`` for a side that it leaves open.
    size
        Height and width to make them for, where the network leaves these open.

    Returns
    -------
    FirstLayers
        None where the network has none to read.
    """
    stored = None if opened is None else _readable(opened.member(store.FIRST_LAYERS))
    if stored is not None and (None not in shape or picture_size(stored.input_shape) in {size, (None, None)}):
        return stored
    digest = None if opened is None else opened.digest
    entry = None if digest is None else _entry(digest)
    kept = None if entry is None else entry.member(store.FIRST_LAYERS)
    if kept == _NO_LAYERS:
        return None
    found = _readable(kept)
    if found is None:
        from kit.classifier.first_layers import first_layers_of  # noqa: PLC0415 (heavy)

        found = first_layers_of(model())
        if digest is not None:
            _cache_first_layers(digest, _NO_LAYERS if found is None else found.to_bytes())
    return found


def unchanged(opened: Archive) -> Archive:
    """Return a file that was opened before, if its network is still the same.

    Raises
    ------
    FileNotFoundError, ValueError
        The file is gone, or was replaced by another network.
    """
    if store.read(opened.path).digest != opened.digest:
        raise ValueError(
            f"Expected the network in {opened.path.name!r} as it was loaded, received another; load it again"
        )
    return opened


def cache_folder() -> Path:
    """Return the cache folder, which need not exist."""
    from platformdirs import user_cache_path  # noqa: PLC0415 (only networks from elsewhere need it)

    try:
        parent = user_cache_path("classifier-investigation-kit", appauthor=False)
    except RuntimeError:  # a user without a home, as in some containers; `private` shuts others out
        parent = Path(tempfile.gettempdir(), "classifier-investigation-kit")
    return parent / f"compiled-{FORMAT}"


def vouch(written: Archive) -> None:
    """Record a file that this process wrote, if the folder can be written to: it is not inspected again."""
    remember(written, cache_folder())


def cached(
    digest: str, preprocessing: Preprocessing | None = None
) -> tuple[Compiled, Preprocessing | None] | None:
    """Return what `cache` kept for these weights, and in which range it was compared; or ``None``.

    What was found to differ from Keras in another range than that of the preprocessing in use is left out.
    """
    entry = _entry(digest)
    if entry is None or entry.contract is None:
        return None
    try:
        found = Compiled.from_contract(entry.contract, entry.member(store.COMPILED))
        compared = preprocessing_in(entry)
    except ValueError:
        return None
    differs = found.data is None and found.max_difference is not None
    missing = found.data is None and found.reason is None
    return None if missing or (differs and compared != preprocessing) else (found, compared)


def cache(
    digest: str,
    compiled: Compiled,
    preprocessing: Preprocessing | None = None,
    first_layers: bytes | None = None,
) -> None:
    """Keep what is known of a network, if the folder can be written to."""
    stated = None if preprocessing is None else preprocessing.to_dict()
    contract = {"name": "", "class_names": [], "preprocessing": stated, **compiled.to_contract()}
    _keep(digest, contract, {store.COMPILED: compiled.data, store.FIRST_LAYERS: first_layers})


def _keep(digest: str, contract: Mapping[str, Any], members: store.Members) -> None:
    with suppress(OSError):
        folder = private(cache_folder())
        remember(store.write_members(_place(digest), digest, contract, members), folder)
        prune(folder, "*.zip", CACHED)


def _place(digest: str) -> Path:
    return cache_folder() / f"{digest}.zip"


def _entry(digest: str) -> Archive | None:
    entry = store.read_members(_place(digest), digest)
    return entry if entry is not None and known(entry, cache_folder()) else None


def _cache_first_layers(digest: str, data: bytes) -> None:
    """Add to what is kept for these weights, if anything is and the folder can be written to."""
    entry = _entry(digest)
    if entry is not None and entry.contract is not None:
        members = {store.COMPILED: entry.member(store.COMPILED), store.FIRST_LAYERS: data}
        _keep(digest, entry.contract, members)


def _readable(data: bytes | None) -> FirstLayers | None:
    try:
        return None if data is None else FirstLayers.from_bytes(data)
    except ValueError:
        return None


def _running(compiled: Compiled) -> tuple[LiteEngine | None] | None:
    """Engine in a tuple, ``None`` in it where Keras has to run the network; no tuple if the data are bad."""
    if compiled.data is None:
        return None if compiled.reason is None else (None,)
    try:
        return (LiteEngine(compiled.data),)
    except ValueError:
        return None


def _preprocessing_of(opened: Archive) -> Preprocessing | None:
    try:
        return preprocessing_in(opened)
    except ValueError:
        return None


def _custom_parts(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Parts that need code from outside Keras, which may change while the digest of the file does not."""
    homes = ((part, str(part.get("module") or "").partition(".")[0]) for part in serialized(config))
    return [
        part
        for part, home in homes
        if home not in {"", "keras", "builtins"}
        or ">" in str(part.get("registered_name"))
        or (part["class_name"] == "function" and home != "keras")
    ]
