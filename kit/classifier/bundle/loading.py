"""From a ``.keras`` file to a running engine and its taps, by the shortest way that can be trusted.

What is compiled in the file comes first, then what is in the user's cache folder, then TensorFlow.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kit.classifier import archive
from kit.classifier.activations.first_layers import Taps, tap
from kit.classifier.archive import Archive
from kit.classifier.bundle import cache
from kit.classifier.runtime.compiled import Compiled
from kit.classifier.runtime.engine import LiteEngine, Shape

_NO_TAPS = b""
"""Kept in the cache for a network that cannot be tapped."""


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
            try:
                stored = Compiled.from_contract(opened.contract, opened.member(archive.COMPILED))
            except ValueError as error:
                raise ValueError(f"{error} of {opened.path.name!r}; save the classifier anew") from error
            running = _running(stored)
            if running is not None:
                return stored, *running, ()
            flaw = "is damaged"
        else:
            flaw = "belongs to other weights"
        notes = (f"the compiled form in the file {flaw}, so the network was compiled anew",)
    shared = not _has_custom_layers(opened.config())
    kept = cache.get(opened.digest) if shared else None
    running = None if kept is None else _running(kept)
    if kept is not None and running is not None:
        return kept, *running, notes
    from kit.classifier.runtime import conversion  # noqa: PLC0415 (not needed to load what `Classifier.save` wrote)

    fresh = conversion.convert(opened.path)
    if shared:
        cache.put(opened.digest, fresh)
    return fresh, *(_running(fresh) or (None,)), notes


def restore_taps(
    opened: Archive | None, model: Callable[[], Any], shape: Shape, size: tuple[int, int] | None
) -> Taps | None:
    """Find the taps of a network.

    Parameters
    ----------
    opened
        The file that the network came from; None for one that was made in memory.
    model
        Gives the Keras model; called only if the taps have to be made.
    shape
        (H, W, C) of the network's input; ``None`` for a side that it leaves open.
    size
        Height and width to make them for, where the network leaves these open.

    Returns
    -------
    Taps
        None where the network has none to read.
    """
    stored = None if opened is None else _readable(opened.member(archive.TAPS))
    if stored is not None:
        return stored
    if opened is None or None in shape:
        # The cache goes by the weights, and these taps belong to a size as well.
        return tap(model(), size)
    kept = cache.member(opened.digest, archive.TAPS)
    if kept == _NO_TAPS:
        return None
    found = _readable(kept)
    if found is None:
        found = tap(model(), size)
        cache.put_member(opened.digest, archive.TAPS, _NO_TAPS if found is None else found.to_bytes())
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


def _readable(data: bytes | None) -> Taps | None:
    try:
        return None if data is None else Taps.from_bytes(data)
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
