"""What the kit writes into a ``.keras`` file about a classifier: the contract, and the members beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from kit.classifier import archive
from kit.classifier.activations.first_layers import Taps
from kit.classifier.archive import Archive
from kit.classifier.bundle.input_statistics import InputStatistics
from kit.classifier.runtime.compiled import Compiled
from kit.images import Photo
from kit.preprocessing import Preprocessing


def contract_of(
    name: str,
    class_names: Sequence[str],
    preprocessing: Preprocessing | None,
    temperature: float,
    compiled: Compiled,
) -> dict[str, Any]:
    """Return the contract of a classifier, as `kit.classifier.archive.write` takes it.

    Raises
    ------
    ValueError
        A compiled form that was found to differ from Keras.
    """
    difference = compiled.max_difference
    if compiled.data is None and difference is not None:
        raise ValueError(
            f"Expected a compiled form equal to Keras to 1e-5, received a difference of {difference:.1e} in a"
            " probability; use float32 weights, and inputs in the range of the preprocessing"
        )
    return {
        "name": name,
        "class_names": list(class_names),
        "preprocessing": None if preprocessing is None else preprocessing.to_dict(),
        "temperature": temperature,
        **compiled.to_contract(),
    }


def members_of(
    compiled: Compiled, carried: Mapping[str, bytes], training: Sequence[Photo], taps: Taps | None
) -> dict[str, bytes]:
    """Return the members of a classifier's file by name.

    Parameters
    ----------
    compiled
        Its compiled form, if there is one, becomes a member.
    carried
        Members of other modules, by names of `kit.classifier.archive.CARRIED`.
    training
        Training pictures; their measures take the place of carried ones. May be empty.
    taps
        None for a network that has none.
    """
    members = {} if compiled.data is None else {archive.COMPILED: compiled.data}
    members |= carried
    if training:
        members[archive.STATISTICS] = InputStatistics.of(training).to_bytes()
    if taps is not None:
        members[archive.TAPS] = taps.to_bytes()
    return members


def preprocessing_in(opened: Archive) -> Preprocessing | None:
    """Return the preprocessing that a file states; None where it states none.

    Raises
    ------
    ValueError
        One that is not understood.
    """
    stated = (opened.contract or {}).get("preprocessing")
    if stated is None:
        return None
    try:
        return Preprocessing.from_dict(stated)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected a preprocessing in {opened.path.name!r}: {error}") from error
