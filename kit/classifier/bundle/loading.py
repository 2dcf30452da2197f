"""From a ``.keras`` file to a running engine and its first layers, by the shortest way that can be trusted.

What is compiled in the file comes first, then what is in the user's cache folder under the digest of the
weights, then TensorFlow. Nothing depends on that folder: an entry that is missing, damaged or for other
weights is made anew, and a folder that cannot be written to is left alone.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kit.classifier import archive
from kit.classifier.activations.first_layers import FirstLayers
from kit.classifier.archive import Archive
from kit.classifier.archive.layout import FORMAT
from kit.classifier.runtime.compiled import Compiled
from kit.classifier.runtime.engine import LiteEngine
from kit.classifier.runtime.shapes import Shape, picture_size

CACHED = 50
"""Networks that are kept in the cache folder; the oldest make room."""

# Of this version: earlier ones did not find them in every layout and precision.
_NO_LAYERS = b"none 2"
"""Kept in the cache for a network whose first layers cannot be read."""


def restore(opened: Archive) -> tuple[Compiled, LiteEngine | None, tuple[str, ...]]:
    """Find the compiled form of a network.

    Parameters
    ----------
    opened
        A checked ``.keras`` file.

    Returns
    -------
    compiled
        What is known of the network.
    engine
        Runs it, or ``None`` where Keras has to.
    notes
        In words, why what the file carries was not used.

    Raises
    ------
    ValueError
        A contract that is not understood, or a network that is no classifier of pictures.
    """
    notes: tuple[str, ...] = ()
    if opened.contract is not None:
        if opened.tied:
            data = opened.member(archive.COMPILED)
            stored = Compiled.from_contract(opened.contract, data, opened.path.name)
            if (running := _running(stored)) is not None:
                return stored, *running, ()
            flaw = "is damaged"
        else:
            flaw = "belongs to other weights"
        notes = (f"the compiled form in the file {flaw}, so the network was compiled anew",)
    shared = not _has_custom_layers(opened.config())
    kept = cached(opened.digest) if shared else None
    if kept is not None and (running := _running(kept)) is not None:
        return kept, *running, notes
    from kit.classifier.runtime import conversion  # noqa: PLC0415 (not needed to load what `Classifier.save` wrote)

    fresh = conversion.convert(opened.path)
    unchanged(opened)  # by a training that saves anew meanwhile, which would leave its form under this name
    if shared:
        cache(opened.digest, fresh)
    return fresh, *(_running(fresh) or (None,)), notes


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
    stored = None if opened is None else _readable(opened.member(archive.FIRST_LAYERS))
    if stored is not None and (None not in shape or picture_size(stored.input_shape) == size):
        return stored
    # The cache goes by the weights, and these first layers belong to a size as well.
    digest = None if opened is None or None in shape else opened.digest
    entry = None if digest is None else _entry(digest)
    kept = None if entry is None else entry.member(archive.FIRST_LAYERS)
    if kept == _NO_LAYERS:
        return None
    found = _readable(kept)
    if found is None:
        from kit.classifier.activations.from_keras import first_layers_of  # noqa: PLC0415 (heavy)

        found = first_layers_of(model(), size)
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
    if archive.read(opened.path).digest != opened.digest:
        raise ValueError(
            f"Expected the network in {opened.path.name!r} as it was loaded, received another; load it again"
        )
    return opened


def cache_folder() -> Path:
    """Return the cache folder, which need not exist."""
    from platformdirs import user_cache_path  # noqa: PLC0415 (only networks from elsewhere need it)

    return user_cache_path("classifier-investigation-kit", appauthor=False) / f"compiled-{FORMAT}"


def cached(digest: str) -> Compiled | None:
    """Return what `cache` kept for these weights, or ``None``."""
    entry = _entry(digest)
    if entry is None or entry.contract is None:
        return None
    try:
        found = Compiled.from_contract(entry.contract, entry.member(archive.COMPILED))
    except ValueError:
        return None
    return None if found.data is None and found.reason is None else found


def cache(digest: str, compiled: Compiled) -> None:
    """Keep what is known of a network, if the folder can be written to."""
    contract = {"name": "", "class_names": [], "preprocessing": None, **compiled.to_contract()}
    with suppress(OSError):
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        archive.write_members(_place(digest), digest, contract, {archive.COMPILED: compiled.data})
        oldest_first = sorted(folder.glob("*.zip"), key=lambda entry: entry.stat().st_mtime)
        for entry in oldest_first[:-CACHED]:
            entry.unlink()


def _place(digest: str) -> Path:
    return cache_folder() / f"{digest}.zip"


def _entry(digest: str) -> Archive | None:
    return archive.read_members(_place(digest), digest)


def _cache_first_layers(digest: str, data: bytes) -> None:
    """Add to what is kept for these weights, if anything is and the folder can be written to."""
    entry = _entry(digest)
    if entry is not None and entry.contract is not None:
        members = {archive.COMPILED: entry.member(archive.COMPILED), archive.FIRST_LAYERS: data}
        with suppress(OSError):
            archive.write_members(_place(digest), digest, entry.contract, members)


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
    except ImportError:
        return (None,)
    except ValueError:
        return None


def _has_custom_layers(config: Mapping[str, Any]) -> bool:
    """Whether code outside Keras takes part, which may change while the digest of the file does not."""
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            if "class_name" in value:
                home = str(value.get("module") or "").partition(".")[0]
                if home not in {"", "keras", "builtins"} or ">" in str(value.get("registered_name")):
                    return True
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False
