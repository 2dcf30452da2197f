"""From a ``.keras`` file to a running engine and its first layers, by the shortest way that can be trusted.

What is compiled in the file comes first, if `kit.classifier.bundle.trust` knows the file or an inspection
finds nothing wrong; then what is in the user's cache folder under the digest of the weights, then TensorFlow.
Nothing depends on that folder: an entry that is missing, damaged, not recorded or for other weights is made
anew, and a folder that cannot be written to, or is somebody else's, is left alone.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kit.classifier import archive
from kit.classifier.activations.first_layers import FirstLayers
from kit.classifier.archive import Archive
from kit.classifier.archive.layout import FORMAT
from kit.classifier.archive.safety import serialized
from kit.classifier.bundle import trust
from kit.classifier.bundle.contract import preprocessing_in
from kit.classifier.runtime.compiled import Compiled
from kit.classifier.runtime.engine import LiteEngine
from kit.classifier.runtime.shapes import Shape, picture_size
from kit.preprocessing import Preprocessing

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
        stored = replace(stated, data=opened.member(archive.COMPILED))
        # Of somebody else's file, not even the reason for having no compiled form is believed.
        believed = stored.data is not None or trust.known(opened, cache_folder())
        if believed and (running := _running(stored)) is not None:
            if archive.FIRST_LAYERS in opened.refused:
                flaw = opened.refused[archive.FIRST_LAYERS]
                notes = (f"the statistics of first layers in the file {flaw}, so they are made anew",)
            compared = preprocessing if preprocessing == _preprocessing_of(opened) else None
            return Restored(opened, stored, *running, notes, compared)
        if stored.reason is None:
            flaw = opened.refused.get(archive.COMPILED, "is damaged")
            notes = (f"the compiled form in the file {flaw}, so the network was compiled anew",)
    custom = _custom_parts(opened.config())
    kept = None if custom else cached(opened.digest, preprocessing)
    if kept is not None and (running := _running(kept[0])) is not None:
        return Restored(opened, kept[0], *running, notes, kept[1])
    from kit.classifier.bundle.compiling import convert  # noqa: PLC0415 (not needed to load what `Classifier.save` wrote)

    fresh, layers = convert(opened, preprocessing, custom=custom)
    if not custom:
        cache(opened.digest, fresh, preprocessing, _NO_LAYERS if layers == b"" else layers)
    return Restored(opened, fresh, *(_running(fresh) or (None,)), notes, preprocessing)


def _vouched(opened: Archive) -> Archive:
    """Return a file without those compiled forms in it that are not to be run; its own are known."""
    if not opened.tied:
        return replace(opened, refused={archive.COMPILED: "belongs to other weights"})
    folder = cache_folder()
    compiled_forms = (archive.COMPILED, archive.FIRST_LAYERS)
    if trust.known(opened, folder) or all(opened.member(name) is None for name in compiled_forms):
        return opened
    from kit.classifier.bundle.inspection import inspect  # noqa: PLC0415 (not needed for files of one's own)

    refused = inspect(opened)
    if not refused:
        trust.remember(opened, folder)
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

    try:
        parent = user_cache_path("classifier-investigation-kit", appauthor=False)
    except RuntimeError:  # a user without a home, as in some containers; `private` shuts others out
        parent = Path(tempfile.gettempdir(), "classifier-investigation-kit")
    return parent / f"compiled-{FORMAT}"


def vouch(written: Archive) -> None:
    """Record a file that this process wrote, if the folder can be written to: it is not inspected again."""
    trust.remember(written, cache_folder())


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
        found = Compiled.from_contract(entry.contract, entry.member(archive.COMPILED))
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
    _keep(digest, contract, {archive.COMPILED: compiled.data, archive.FIRST_LAYERS: first_layers})


def _keep(digest: str, contract: Mapping[str, Any], members: archive.Members) -> None:
    with suppress(OSError):
        folder = trust.private(cache_folder())
        trust.remember(archive.write_members(_place(digest), digest, contract, members), folder)
        trust.prune(folder, "*.zip", CACHED)


def _place(digest: str) -> Path:
    return cache_folder() / f"{digest}.zip"


def _entry(digest: str) -> Archive | None:
    entry = archive.read_members(_place(digest), digest)
    return entry if entry is not None and trust.known(entry, cache_folder()) else None


def _cache_first_layers(digest: str, data: bytes) -> None:
    """Add to what is kept for these weights, if anything is and the folder can be written to."""
    entry = _entry(digest)
    if entry is not None and entry.contract is not None:
        members = {archive.COMPILED: entry.member(archive.COMPILED), archive.FIRST_LAYERS: data}
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
