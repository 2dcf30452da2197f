"""Which preprocessings are tried in place of the one in use: every fault of the catalogue, undone.

A candidate is a preprocessing that may have been the one in training. It differs from the one in use by one
step, and its cause is the fault that leads from it to the one in use.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.pipeline import PIPELINE
from kit.preprocessing.scaling import affine, same_scaling

# What it is called where no fault of the catalogue leads from the candidate to the preprocessing in use.
_CAUSES = {
    choice.name: choice.causes[0] for operation in PIPELINE for choice in operation.choices if choice.causes
}


@dataclass(frozen=True)
class Candidate:
    """One preprocessing that may have been the one in training.

    Attributes
    ----------
    preprocessing
        The one in use with one step changed.
    step
        The step that differs, a key of `kit.faults.STEPS`.
    cause
        What was done wrong if this one is right.
    faults
        Names in the catalogue that lead from this one to the one in use; may be empty.
    equivalent
        Other causes that come to the very same.
    quiet
        Whether the difference is too small to be told from evidence.
    """

    preprocessing: Preprocessing
    step: str
    cause: str
    faults: tuple[str, ...] = ()
    equivalent: tuple[str, ...] = ()
    quiet: bool = False

    @property
    def causes(self) -> set[str]:
        """Everything that it may be called."""
        return {self.cause, *self.equivalent}


@lru_cache(maxsize=256)
def candidates(in_use: Preprocessing) -> tuple[Candidate, ...]:
    """Return what may have been the preprocessing in training, without doubles, in the order of the steps.

    Parameters
    ----------
    in_use
        The preprocessing that is suspected.
    """
    found: list[Candidate] = []
    for step, preprocessing in _edits(in_use):
        if not _same(preprocessing, in_use) and not any(_same(preprocessing, c.preprocessing) for c in found):
            found.append(explained(step, preprocessing, in_use))
    return tuple(found)


def _edits(in_use: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    for operation in PIPELINE:
        for choice in operation.choices:
            for changes in choice.tried(in_use):
                yield choice.name, in_use.replace(**changes)


def explained(step: str, candidate: Preprocessing, in_use: Preprocessing) -> Candidate:
    """Return a preprocessing that differs by one step as a candidate: with the faults that lead from it."""
    faults = [
        fault
        for fault in CATALOGUE.values()
        if fault.changes(candidate) and _same(fault.apply(candidate), in_use)
    ]
    causes = list(dict.fromkeys(fault.cause for fault in faults)) or [_cause(step, candidate, in_use)]
    return Candidate(
        candidate,
        step,
        causes[0],
        tuple(fault.name for fault in faults),
        tuple(causes[1:]),
        _quiet(step, candidate, in_use),
    )


def _quiet(step: str, candidate: Preprocessing, in_use: Preprocessing) -> bool:
    # Squashing costs EfficientNet-Lite1 no certainty on photographs with a known class: 0.06 nats.
    return step == "filter" or (step == "fit" and "letterbox" not in {candidate.fit, in_use.fit})


def _cause(step: str, candidate: Preprocessing, in_use: Preprocessing) -> str:
    if step != "scaling":
        return _CAUSES[step]
    if not in_use.scaling:
        return "missing_scaling"
    (_, offset), (_, wanted) = affine(in_use.scaling), affine(candidate.scaling)
    return "wrong_range" if offset.ndim == wanted.ndim == 0 else "wrong_mean_std"


def _same(one: Preprocessing, other: Preprocessing) -> bool:
    return one == other or (
        same_scaling(one.scaling, other.scaling) and one.replace(scaling=other.scaling) == other
    )
