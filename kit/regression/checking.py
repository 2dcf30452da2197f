"""Checking cases: which predictions changed, and at which step."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kit._checking import first_line, told
from kit._reporting import Heading, Progress, Result, Steps
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.store import remove_drafts
from kit.images import Photo
from kit.images.photo import encoded
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import differences, pillow_words
from kit.preprocessing.trace import parts_at, trace_of
from kit.regression import cases as folders
from kit.regression.cases import MAKE_ONE, Case, observe, weights_of

STEPS = {
    "class_names": "list of class names",
    "expected": "mistyped expected class",
    "weights": "model file",
    "engine": "engine that predicts for the same tensor",
}
"""What can have changed a prediction, if it is no step of the preprocessing, in words."""
STRONGER = 4
"""By how much a difference of images is made stronger."""

_WORDS = {
    "moved": ("CHANGED", "changed"),
    "unusable": ("CANNOT BE RUN", "cannot be run"),
    "accepted": ("accepted", "accepted"),
    "holds": ("holds", "hold"),
    "failing": ("still failing", "still failing"),
    "fixed": ("now passing", "now passing"),
}
"""By state: of one case, and of several."""
_SHOWN = 5
_SIDES = ("before", "now")


class CasesMovedError(AssertionError):
    """Cases changed; the message is one paragraph, which is all that a notebook shows."""

    def _render_traceback_(self) -> list[str]:
        return textwrap.wrap(f"{type(self).__name__}: {self}", 100)


@dataclass(frozen=True)
class Checked:
    """What came of one case.

    Attributes
    ----------
    state
        ``"moved"`` where it does not hold any more or a probability changed too much, ``"failing"`` and
        ``"fixed"`` where it did not hold from the start, ``"accepted"`` where it was written again.
    case
        None where it cannot be run.
    answer, change
        The most probable class now with its probability, and the largest change of a probability, 0..1.
    broken, step, told
        What does not hold, which step changed it, and why, in words.
    """

    name: str
    state: str
    case: Case | None = None
    answer: tuple[str, float] = ("", 0.0)
    change: float = 0.0
    broken: str = ""
    step: str = ""
    told: str = ""

    @property
    def moved(self) -> bool:
        """Whether it is red."""
        return self.state in {"moved", "unusable"}

    @property
    def words(self) -> str:
        """One line: the same everywhere, unless something changed."""
        verb = _WORDS[self.state][0]
        if self.case is None:
            return f"{verb}: {self.told}"
        before, share = self.case.observed.top
        parts = [before]
        if self.state not in {"holds", "failing"}:
            parts = [
                self.broken,
                f"was {before} {share:.3f}, is {self.answer[0]} {self.answer[1]:.3f}",
            ]
            if self.change > self.case.tolerance:
                parts.append(f"a probability changed by {self.change:.3f}")
        return f"{verb}: {'; '.join(filter(None, [*parts, self.told]))}"


@dataclass(frozen=True, repr=False)
class CheckedCases(Result):
    """What came of a folder of cases.

    Attributes
    ----------
    cases
        By name.
    """

    classifier: str
    cases: tuple[Checked, ...]

    @property
    def moved(self) -> tuple[Checked, ...]:
        """Those that are red: moved, or not to be run."""
        return tuple(one for one in self.cases if one.moved)

    @property
    def holds(self) -> bool:
        """Whether none is red."""
        return not self.moved

    def headline(self) -> str:
        """Return one sentence."""
        counts = Counter(one.state for one in self.cases)
        parts = [
            f"{counts[state]} {several}"
            for state, (_, several) in _WORDS.items()
            if counts[state]
        ]
        count = len(self.cases)
        return f"{count} case{'s' * (count != 1)} of {self.classifier}: {', '.join(parts) or 'none'}."

    def _report(self) -> Iterator[str]:
        yield Heading(self.headline())
        yield from (told(f"  {one.name}: {one.words}") for one in self.cases)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        rows = [
            {
                "name": one.name,
                "state": one.state,
                "answer": one.answer[0],
                "probability": one.answer[1],
                "change": one.change,
                "step": one.step,
                "told": one.words,
            }
            for one in self.cases
        ]
        return {"classifier": self.classifier, "holds": self.holds, "cases": rows}

    def junit(self) -> str:
        """Return the report as JUnit XML, which CI servers show."""
        from xml.etree import ElementTree as ET

        suite = ET.Element(
            "testsuite",
            name=told(self.classifier),
            tests=str(len(self.cases)),
            failures=str(len(self.moved)),
        )
        for one in self.cases:
            case = ET.SubElement(
                suite, "testcase", classname="cases", name=told(one.name)
            )
            if one.moved:
                ET.SubElement(case, "failure", message=told(one.words))
        return ET.tostring(suite, encoding="unicode") + "\n"

    __repr__ = Result.__str__


def check_cases(
    folder: str | PathLike[str],
    classifier: Classifier | None = None,
    *,
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
        Has to predict what they expect; None takes the bundled one that they name.
    raise_on_moved
        Whether a case that changed raises an error.
    artefacts
        A folder for an image of each case that changed: what the model sees with the settings of then, with
        those of now, and four times the difference, side by side.
    update
        Whether what changed is accepted: its case is written again with the present prediction. A case whose
        expectation held, and does not any more, stays red.
    progress
        See `kit.robustness.sweep`.

    Raises
    ------
    FileNotFoundError, ValueError
        No such folder, or no case in it.
    CasesMovedError
        A case changed, or cannot be run, and `raise_on_moved` is true; its text is one paragraph.
    """
    if classifier is not None:
        check_first(classifier)
    place = Path(folder)
    found = folders.case_files(place)
    if not found:
        raise ValueError(f"Expected cases in {place.name!r}, received none; {MAKE_ONE}")
    chosen = classifier or _named_by(found)
    checked = [
        _check(chosen, path, artefacts, update)
        for path in Steps(found, "Cases", "case", progress)
    ]
    if any(one.case for one in checked):
        remove_drafts(place)
        remove_drafts(place / folders.PICTURES)
    result = CheckedCases(chosen.name, tuple(checked))
    if raise_on_moved and not result.holds:
        shown = [f"{one.name} {one.words}." for one in result.moved[:_SHOWN]]
        raise CasesMovedError(told(" ".join([result.headline(), *shown])))
    return result


def _named_by(paths: Sequence[Path]) -> Classifier:
    """Return the bundled classifier that the first readable case names."""
    from kit import samples

    for path in paths:
        with suppress(ValueError):
            return samples.classifier(folders.read_case(path).classifier)
    raise ValueError(
        "Expected a classifier, or cases that name a bundled one; received neither"
    )


def _check(
    classifier: Classifier,
    path: Path,
    artefacts: str | PathLike[str] | None,
    update: bool,
) -> Checked:
    try:
        case = folders.read_case(path)
        photo = folders.photo_of(path.parent, case)
        steps = case.preprocessing or known_preprocessing(classifier)
        found = _compared(classifier, case, photo, steps)
        if found.moved and artefacts is not None:
            _keep(classifier, case, photo, steps, artefacts)
        return (
            _accepted(found, path, classifier, case, photo, steps) if update else found
        )
    except (OSError, TypeError, ValueError) as error:
        return Checked(path.stem, "unusable", told=first_line(error))


def _compared(
    classifier: Classifier, case: Case, photo: Photo, steps: Preprocessing
) -> Checked:
    predictions = classifier.predict(
        photo, perturbation=case.perturbation, preprocessing=steps
    )
    row = predictions.probabilities[0]
    names = classifier.class_names
    broken = case.broken(row, names)
    change = case.observed.moved(row)
    named = (
        "class_names"
        if case.observed.renamed(names)
        else ""
        if set(case.expected) <= set(names)
        else "expected"
    )
    state = "failing" if case.known_to_fail else "holds"
    step = words = ""
    if case.known_to_fail and not broken:
        state, words = "fixed", "accept it with update=True, or --update"
    elif named or (broken and not case.known_to_fail) or change > case.tolerance:
        state = "moved"
        step, words = _step(
            classifier, case, photo, steps, named if change <= case.tolerance else ""
        )
    elif state == "holds":
        recorded = case.observed.preprocessing or steps
        resized = pillow_words(recorded, steps, photo, _SIDES)
        words = "; ".join(filter(None, [resized, _fault(classifier, case, photo)]))
    return Checked(
        case.name,
        state,
        case,
        predictions.top(1)[0][0],
        change,
        broken,
        step,
        words,
    )


def _step(
    classifier: Classifier, case: Case, photo: Photo, steps: Preprocessing, named: str
) -> tuple[str, str]:
    """Return the first step that explains why a prediction changed, and the same in words."""
    before = case.observed.preprocessing or steps
    found = list(differences(before, steps, photo, _SIDES))
    # The means kept of a step may be too coarse to show a setting that changed.
    step = parts_at(trace_of(photo, case.perturbation, steps), case.observed.trace)
    step = named or step or next((name for name, _ in found), "")
    other = case.weights != weights_of(classifier)
    step = step or ("weights" if other else "engine")
    changed = "; ".join(words for name, words in found if name == step)
    words = f"the {STEPS.get(step, f'step {step!r}')} differs{f' ({changed})' if changed else ''}"
    if other and step != "weights":
        words += "; the model file differs, too"
    return step, words


def _fault(classifier: Classifier, case: Case, photo: Photo) -> str:
    """Say whether the fault that a case keeps, if there is one, still goes wrong."""
    if case.fault is None:
        return ""
    with suppress(TypeError, ValueError):  # this network may not take it
        predictions = classifier.predict(
            photo, perturbation=case.perturbation, preprocessing=case.fault
        )
        broken = case.broken(predictions.probabilities[0], classifier.class_names)
        end = "" if broken else ": no longer wrong"
        return f"with the stored wrong preprocessing it is {predictions.label[0]}{end}"
    return ""


def _accepted(
    one: Checked,
    path: Path,
    classifier: Classifier,
    case: Case,
    photo: Photo,
    steps: Preprocessing,
) -> Checked:
    """Write a case that moved, or that holds by now, with the present prediction.

    A new prediction is no reason to give up what was expected: pin that again.
    """
    if one.state not in {"moved", "fixed"}:
        return one
    possible = set(case.expected) <= set(classifier.class_names)
    if one.broken and not (possible and case.known_to_fail):
        refused = "not accepted, because the expected class does not hold: pin it again"
        return replace(one, told=f"{one.told}; {refused}")
    _, observed = observe(classifier, photo, case.perturbation, steps)
    case = replace(
        case,
        observed=observed,
        weights=weights_of(classifier),
        classifier=classifier.name,
    )
    folders.overwrite(path, case)
    return replace(one, state="accepted", told="" if one.state == "fixed" else one.told)


def _keep(
    classifier: Classifier,
    case: Case,
    photo: Photo,
    steps: Preprocessing,
    artefacts: str | PathLike[str],
) -> None:
    """Write what the model sees with the settings of then, of now, and the difference, side by side."""
    with suppress(
        ValueError
    ):  # settings of then that cannot be run any more, or of other channels or size
        before = case.observed.preprocessing or steps
        tensors = (
            classifier.tensor(photo, case.perturbation, each)
            for each in (before, steps)
        )
        then, now = map(before.image, tensors)
        difference = STRONGER * np.abs(then.astype(np.int16) - now)
        parts = [then, now, difference.clip(0, 255).astype(np.uint8)]
        folders.write_file(
            Path(artefacts, f"{case.name}.png"), encoded(np.hstack(parts))
        )
