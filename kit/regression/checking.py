"""Running cases, and what came of it."""

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from types import MappingProxyType

import numpy as np

from kit._arrays import Float32
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.classifier import check_first
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import differences
from kit.preprocessing.trace import DECODE, PERTURB, Trace
from kit.regression import cases as folders
from kit.regression.artefacts import check_folder, keep_picture_of, keep_seen
from kit.regression.cases import Case, Observed
from kit.regression.pinning import is_novel, observe, weights_of
from kit.regression.result import CasesMovedError, Checked, CheckedCases, State
from kit.robustness.executors import check_executor, run

STEPS: Mapping[str, str] = MappingProxyType(
    {
        DECODE: "the picture is decoded otherwise",
        PERTURB: "the perturbation does something else",
        "thumbnail": "the picture is made small otherwise",
        "resize": "the picture is resized otherwise",
        "channels": "the channels come in another order",
        "invert": "black and white are exchanged otherwise",
        "scale": "the pixels are scaled otherwise",
        "cast": "the tensor has another data type",
        "layout": "the axes come in another order",
        "class_names": "the classes have other names, or come in another order",
        "weights": "the network is another one",
        "engine": "the same tensor gets another answer from the same weights: another engine",
        "answer": "the same tensor gets another answer: another network or another engine",
    }
)
"""What can have moved an answer, in the order of a picture's way, in words."""
SLIGHT = 1.0
"""Levels by which the means of a picture's blocks may differ where another network explains more."""
IN_FLIGHT = 32


def check_cases(
    folder: str | PathLike[str],
    classifier: Classifier | None = None,
    *,
    executor: Executor | None = None,
    raise_on_moved: bool = False,
    artefacts: str | PathLike[str] | None = None,
    update: bool = False,
    progress: Progress = True,
) -> CheckedCases:
    """Run all cases of a folder.

    Parameters
    ----------
    folder
        Of cases, as `pin` writes them.
    classifier
        That has to hold them; None takes the bundled one that they name.
    executor
        Anything with the interface of `concurrent.futures`; by default one case after the other.
    raise_on_moved
        Whether a case that moved raises.
    artefacts
        A folder for a picture of each case that moved: what the network saw then, sees now, and the
        difference.
    update
        Whether what moved is accepted: its case is written again with the present answer, and told. A case
        whose expectation held, and does not any more, stays red.
    progress
        See `kit.robustness.sweep`.

    Raises
    ------
    FileNotFoundError, ValueError
        No such folder, or no case in it.
    CasesMovedError
        A case moved, or cannot be run, and `raise_on_moved` is true; its text is one paragraph.
    """
    check_executor(executor)
    if artefacts is not None:
        check_folder(Path(artefacts), Path(folder))
    if classifier is not None:
        check_first(classifier, "kit.check_cases(folder, classifier)")
    place = Path(folder)
    found = folders.paths(place)
    if not found:
        raise ValueError(f"Expected cases in {place.name!r}, received none; {folders.MAKE_ONE}")
    chosen = classifier if classifier is not None else _named_by(found)
    checked: dict[int, Checked] = {}
    steps: Steps[Path] = Steps((), "Cases", "case", progress, total=len(found), keep=True)
    with steps:
        for number, one in run(partial(_check, chosen, place), enumerate(found), executor, IN_FLIGHT):
            checked[number] = one
            steps.advance()
    ordered = [checked[number] for number in sorted(checked)]
    result = CheckedCases(chosen.name, tuple(ordered), unfinished=len(found) - len(ordered))
    if artefacts is not None:
        for one in result.moved:
            keep_picture_of(one, place, chosen, Path(artefacts))
    if update:
        result = replace(result, cases=tuple(_accepted(one, place, chosen) for one in ordered))
    if raise_on_moved and not result.holds:
        raise CasesMovedError(result.paragraph())
    return result


def _named_by(paths: Sequence[Path]) -> Classifier:
    """Return the bundled classifier that the first readable case names."""
    from kit import samples  # noqa: PLC0415 (only where no classifier is given)

    for path in paths:
        try:
            name = folders.read(path).classifier
        except ValueError:
            continue
        return samples.classifier(name)
    raise ValueError("Expected a classifier, or cases that name a bundled one; received neither")


def _check(classifier: Classifier, folder: Path, path: Path) -> Checked:
    try:
        case = folders.read(path)
        photo = folders.photo_of(folder, case)
    except (OSError, TypeError, ValueError) as error:
        return Checked(path.stem, "unusable", told=" ".join(str(error).split()))
    if case.platforms and not sys.platform.startswith(tuple(map(str.lower, case.platforms))):
        return Checked(path.stem, "skipped", case, told=f"holds on {', '.join(case.platforms)} alone")
    try:
        return _compared(classifier, case, photo)
    except (TypeError, ValueError) as error:
        return Checked(path.stem, "unusable", case, told=" ".join(str(error).split()))


def _compared(classifier: Classifier, case: Case, photo: Photo) -> Checked:
    steps = known_preprocessing(classifier) if case.preprocessing is None else case.preprocessing
    row = classifier.probabilities(photo, case.perturbation, steps)[0]
    names = classifier.class_names
    novel = is_novel(classifier, photo, case.perturbation, steps) if case.expected.novel is not None else None
    broken = case.expected.broken(row, names, novel=novel)
    change = case.observed.moved(row)
    renamed = _renamed(case.observed, names)
    failed = case.known_to_fail
    state: State = "failing" if failed else "holds"
    if failed and not broken:
        state = "fixed"  # whatever its probabilities do
    elif (broken and not failed) or change > case.tolerance or renamed:
        state = "moved"
    place = int(np.argmax(row))
    answer = (names[place], float(row[place]))
    step = _step(classifier, case, photo, steps, row) if state == "moved" else ""
    told = _in_words(step, case.observed.preprocessing, steps)
    if step not in {"", "weights", "answer"} and case.weights != weights_of(classifier):
        told += "; the file of the network is another one as well"
    if state == "holds":
        told = _fault(classifier, case, photo)
    return Checked(case.name, state, case, answer, change, broken, step, told)


def _in_words(step: str, before: Preprocessing | None, now: Preprocessing) -> str:
    """Say what a step does otherwise, and which of its settings changed, if it is known."""
    found = () if before is None else differences(before, now, ("before", "now"))
    changed = "; ".join(words for name, words in found if name == step)
    return f"{STEPS.get(step, '')}{f' ({changed})' if changed else ''}"


def _renamed(observed: Observed, names: Sequence[str]) -> bool:
    """Whether a class that was answered has another name now."""
    return any(place >= len(names) or names[place] != name for place, name, _ in observed.probabilities)


def _step(classifier: Classifier, case: Case, photo: Photo, steps: Preprocessing, row: Float32) -> str:
    """Return the first step that explains why an answer moved."""
    if _renamed(case.observed, classifier.class_names) and case.observed.moved(row) <= case.tolerance:
        return "class_names"
    now = Trace.of(photo, case.perturbation, steps)
    before, parts = case.observed.preprocessing, now.parts_at(case.observed.trace)
    changed = [] if before is None else [step for step, _ in differences(before, steps)]
    digest = weights_of(classifier)
    other = case.weights != digest
    if parts and (parts in changed or not (other and now.slight(case.observed.trace, SLIGHT))):
        return parts
    if changed:  # what is kept of the steps is too coarse to show it
        return changed[0]
    return "weights" if other else "engine" if digest else "answer"


def _fault(classifier: Classifier, case: Case, photo: Photo) -> str:
    """Say whether the fault that a case keeps, if there is one, still goes wrong."""
    if case.fault is None:
        return ""
    try:
        row = classifier.probabilities(photo, case.perturbation, case.fault)[0]
        novel = is_novel(classifier, photo, case.perturbation, case.fault)
    except (TypeError, ValueError):
        return "the fault that is kept is none that this network can be given"
    answered = classifier.class_names[int(np.argmax(row))]
    wrong = case.expected.broken(row, classifier.class_names, novel=novel)
    return f"with the fault that is kept it is {answered}{'' if wrong else ': no longer wrong'}"


def _accepted(one: Checked, folder: Path, classifier: Classifier) -> Checked:
    """Write a case that moved, or that holds by now, with the present answer.

    A new answer is no reason to give up what was expected: that has to be pinned anew.
    """
    if one.case is None or one.state not in {"moved", "fixed"}:
        return one
    unheard = not np.isfinite(one.answer[1]) or not set(one.case.expected.named) <= set(
        classifier.class_names
    )
    if one.broken and (unheard or not one.case.known_to_fail):
        told = "not accepted, since what is expected does not hold: delete the case and pin it anew"
        return replace(one, told=f"{one.told}; {told}")
    photo = folders.photo_of(folder, one.case)
    steps = one.case.preprocessing or known_preprocessing(classifier)
    row = classifier.probabilities(photo, one.case.perturbation, steps)[0]
    observed = observe(classifier, photo, one.case.perturbation, steps, row)
    observed = observed.judged(one.case.expected, row, classifier.class_names)
    case = replace(one.case, observed=observed, weights=weights_of(classifier), classifier=classifier.name)
    path = folder / f"{one.name}.json"
    folders.overwrite(path, case)
    keep_seen(case, path, classifier)
    return replace(one, accepted=True)
