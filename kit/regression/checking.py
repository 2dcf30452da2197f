"""Checking cases: which predictions changed, and at which step."""

import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kit import samples
from kit._arrays import AnyPath, JSONObject, Pixels
from kit._checking import first_line, printable
from kit._reporting import Heading, Progress, Rows, Steps
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.predictions import Predictions
from kit.images.photo import Photo, encoded
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import differences
from kit.preprocessing.trace import first_difference, trace_of
from kit.regression import cases as folders
from kit.regression.cases import MAKE_ONE, NAMES, Case, observe

BESIDE_THE_STEPS = {
    "class_names": "list of class names",
    "weights": "model",
    "engine": "engine, or code of a custom layer,",
}
"""What can have changed a prediction, if it is no step of the preprocessing, in words."""
FAULT_IN_USE = "the stored wrong preprocessing is in use"
OWN_PREPROCESSING = "prepared with its own preprocessing, not the classifier's"
"""What a line says of a case, beside its prediction."""
_WORDS = {
    "moved": "changed",
    "unusable": "cannot be run",
    "accepted": "accepted",
    "holds": "passed",
    "failing": "still failing",
    "fixed": "now passing",
}
_ADVICE = (
    "Correct what is named, or accept a change that is meant: update=True, or --update."
)
_PIN_AGAIN = f"delete the case and its line in {NAMES}, then pin its image"
_NAMED = 5
"""Cases that an error names."""
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
    broken, step, message
        What does not hold, which step changed it, and why, in words.
    """

    name: str
    state: str
    case: Case | None = None
    answer: tuple[str, float] = ("", 0.0)
    change: float = 0.0
    broken: str = ""
    step: str = ""
    message: str = ""

    @property
    def moved(self) -> bool:
        """Whether it is red."""
        return self.state in {"moved", "unusable"}

    @property
    def advice(self) -> str:
        """What to do where it changed; else empty."""
        if self.state != "moved":
            return ""
        # What was expected, and does not hold any more, is not accepted.
        if self.broken and self.case and not self.case.known_to_fail:
            return (
                f"Correct what is named, or, if the other class is right, {_PIN_AGAIN}."
            )
        return _ADVICE

    @property
    def words(self) -> str:
        """One line: the same everywhere, unless something changed."""
        verb = _WORDS[self.state]
        if self.moved:
            verb = verb.upper()
        if not self.case:
            return f"{verb}: {self.message}"
        before, probability = self.case.observed.top
        name, now = self.answer
        clauses = [self.broken or name]
        if self.state not in {"holds", "failing"}:
            change = f"was {before} {probability:.3f}, is {name} {now:.3f}"
            clauses = [self.broken, change]
            if self.change > self.case.tolerance:
                clauses.append(f"a probability changed by {self.change:.3f}")
        return f"{verb}: {'; '.join(filter(None, [*clauses, self.message]))}"


@dataclass(frozen=True)
class CheckedCases(Rows):
    """What came of a folder of cases, by name."""

    classifier: str
    cases: tuple[Checked, ...]

    @property
    def moved(self) -> tuple[Checked, ...]:
        """Those that are red: moved, or not to be run."""
        return tuple(case for case in self.cases if case.moved)

    @property
    def holds(self) -> bool:
        """Whether none is red."""
        return not self.moved

    @property
    def advice(self) -> str:
        """What to do, where a case changed; else empty."""
        advice = dict.fromkeys(case.advice for case in self.moved)
        return " ".join(filter(None, advice))

    def __bool__(self) -> bool:
        """Whether none is red, so that a test can assert it."""
        return self.holds

    def headline(self) -> str:
        """Return one sentence."""
        counts = Counter(case.state for case in self.cases)
        states = [
            f"{counts[state]} {words}"
            for state, words in _WORDS.items()
            if counts[state]
        ]
        cases = "1 case" if len(self.cases) == 1 else f"{len(self.cases)} cases"
        return f"{cases} of {self.classifier}: {', '.join(states) or 'none'}."

    def _report(self) -> Iterator[str]:
        yield Heading(self.headline())
        # What is red comes first, where a long report may be cut off.
        for case in sorted(self.cases, key=lambda case: not case.moved):
            yield printable(f"  {case.name} {case.words}")

    def _columns(self) -> dict[str, list[Any]]:
        rows = self.to_dict()["cases"]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def to_dict(self) -> JSONObject:
        """Return plain values, for JSON."""
        rows = [
            {
                "name": case.name,
                "state": case.state,
                "expected": " or ".join(case.case.expected) if case.case else "",
                "answer": case.answer[0],
                "probability": case.answer[1],
                "change": case.change,
                "step": case.step,
                "message": case.words,
            }
            for case in self.cases
        ]
        return {"classifier": self.classifier, "holds": self.holds, "cases": rows}

    def junit(self) -> str:
        """Return the report as JUnit XML, which CI servers show."""
        from xml.etree import ElementTree as ET

        suite = ET.Element(
            "testsuite",
            name=printable(self.classifier),
            tests=str(len(self.cases)),
            failures=str(len(self.moved)),
        )
        for case in self.cases:
            test = ET.SubElement(
                suite, "testcase", classname="cases", name=printable(case.name)
            )
            words = printable(case.words)
            if case.moved:
                ET.SubElement(test, "failure", message=words).text = case.advice
            else:
                ET.SubElement(test, "system-out").text = words
        return ET.tostring(suite, encoding="unicode") + "\n"

    __repr__ = Rows.__str__


def check_cases(
    folder: AnyPath,
    classifier: Classifier | None = None,
    *,
    raise_on_moved: bool = False,
    artefacts: AnyPath | None = None,
    update: bool = False,
    progress: Progress = True,
) -> CheckedCases:
    """Run all cases of a folder.

    Parameters
    ----------
    folder
        Of cases, as `pin` writes them.
    classifier
        Has to predict what they expect; None takes the bundled one that the first of them names.
    raise_on_moved
        Whether a case that changed raises an error.
    artefacts
        A folder for an image of each case that changed, ``CASE.changed.png``: what the model sees with the
        settings of then, with those of now, and four times the difference, side by side. Those of an earlier
        run are removed.
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
    paths = folders.case_files(folder)
    if not paths:
        name = Path(folder).name
        raise ValueError(f"Expected cases in {name!r}, received none; {MAKE_ONE}")
    classifier = classifier or samples.classifier(
        folders.read_case(paths[0]).classifier
    )
    check_first(classifier)
    pinned = folders.pinned_files(Path(folder))
    checked = [
        _run_case(classifier, path, artefacts, is_listed=path in pinned, update=update)
        for path in Steps(paths, "Cases", progress)
    ]
    result = CheckedCases(classifier.name, tuple(checked))
    if raise_on_moved and not result.holds:
        lines = [f"{case.name} {case.words}." for case in result.moved[:_NAMED]]
        text = " ".join([result.headline(), *lines, result.advice])
        raise CasesMovedError(printable(text))
    return result


def _run_case(
    classifier: Classifier,
    path: Path,
    artefacts: AnyPath | None,
    *,
    is_listed: bool,
    update: bool,
) -> Checked:
    # An ending that no photo has: nothing else is removed or replaced.
    artefact = None
    if artefacts is not None:
        artefact = Path(artefacts, f"{path.stem}.changed.png")
        # That of an earlier run says nothing of this one.
        with suppress(OSError):
            artefact.unlink()
    if not is_listed:
        words = f"Expected a line for this case in {NAMES}, received none; add its name there"
        return Checked(path.stem, "unusable", message=words)
    try:
        case = folders.read_case(path)
        photo = folders.photo_of(path.parent, case)
        steps = case.preprocessing or known_preprocessing(classifier)
        rerun = _Rerun(classifier=classifier, case=case, photo=photo, steps=steps)
        checked = rerun.checked()
    except (OSError, TypeError, ValueError) as error:
        return Checked(path.stem, "unusable", message=first_line(error))
    try:
        if checked.moved and artefact:
            rerun.write_artefact(artefact)
        return rerun.accept(checked, path) if update else checked
    except OSError as error:
        # What changed is worth more than the file that could not be written.
        return replace(checked, message=f"{checked.message}; {first_line(error)}")


@dataclass(frozen=True)
class _Rerun:
    """A case that is predicted again; ``steps`` prepare its photo now."""

    classifier: Classifier
    case: Case
    photo: Photo
    steps: Preprocessing

    @property
    def steps_before(self) -> Preprocessing:
        """What prepared the photo when the case was made."""
        return self.case.observed.preprocessing or self.steps

    @property
    def has_other_weights(self) -> bool:
        # Earlier cases of a network in memory have none.
        return self.case.weights not in {"", self.classifier.network.digest}

    def predict(self, steps: Preprocessing) -> Predictions:
        return self.classifier.predict(
            self.photo, perturbation=self.case.perturbation, preprocessing=steps
        )

    def checked(self) -> Checked:
        """Predict again, and say what changed."""
        case = self.case
        names = self.classifier.class_names
        predictions = self.predict(self.steps)
        (row,) = predictions.probabilities
        ((answer,),) = predictions.top(1)
        checked = Checked(
            name=case.name,
            state="failing" if case.known_to_fail else "holds",
            case=case,
            answer=answer,
            change=case.observed.moved(row, names),
            broken=case.broken(row, names),
        )
        if case.known_to_fail and not checked.broken:
            advice = "accept it with update=True, or --update"
            return replace(checked, state="fixed", message=advice)
        renamed = case.observed.renamed(names) or not set(case.expected) <= set(names)
        changed = checked.change > case.tolerance
        has_fault = self.steps == case.fault
        changed_steps = [words for _, words in self.differences]
        if (
            renamed
            or changed
            or has_fault
            or (checked.broken and not case.known_to_fail)
        ):
            same_outputs = case.observed.moved(row) <= case.tolerance
            is_list = same_outputs and (renamed or changed)
            step = "class_names" if is_list else self.differing_step()
            message = self.difference_words(step)
            if has_fault:
                message = "; ".join([*changed_steps, FAULT_IN_USE])
            return replace(checked, state="moved", step=step, message=message)
        own_words = ""
        if case.preprocessing not in {None, self.classifier.preprocessing}:
            own_words = OWN_PREPROCESSING
        notes = filter(None, [*changed_steps, own_words, self.fault_words()])
        return replace(checked, message="; ".join(notes))

    @cached_property
    def differences(self) -> list[tuple[str, str]]:
        """The steps of the preprocessing that differ from before, and how, in words."""
        return list(differences(self.steps_before, self.steps, self.photo, _SIDES))

    def differing_step(self) -> str:
        """Return the first step that explains why a prediction changed."""
        trace = trace_of(self.photo, self.case.perturbation, self.steps)
        if step := first_difference(trace, self.case.observed.trace):
            return step
        # The means kept of a step may be too coarse to show a setting that changed.
        for step, _ in self.differences:
            return step
        return "weights" if self.has_other_weights else "engine"

    def difference_words(self, step: str) -> str:
        """Say that a step differs, and how."""
        text = f"the {BESIDE_THE_STEPS.get(step, f'step {step!r}')} differs"
        changes = [words for name, words in self.differences if name == step]
        if changes:
            text += f" ({'; '.join(changes)})"
        # The first step that differs need not be the one that changed the prediction.
        others = [words for name, words in self.differences if name != step]
        if others:
            text += f", and {'; '.join(others)}"
        if self.has_other_weights and step != "weights":
            text += "; the model or its file differs, too"
        return text

    def fault_words(self) -> str:
        """Say whether the fault that a case keeps, if there is one, still goes wrong."""
        if not self.case.fault:
            return ""
        with suppress(TypeError, ValueError):  # this network may not take it
            predictions = self.predict(self.case.fault)
            (row,) = predictions.probabilities
            words = f"with the stored wrong preprocessing it is {predictions.label[0]}"
            if not self.case.broken(row, self.classifier.class_names):
                words += ": no longer wrong"
            return words
        return ""

    def accept(self, checked: Checked, path: Path) -> Checked:
        """Write a case that moved, or that holds by now, with the present prediction.

        A new prediction is no reason to give up what was expected: pin that again.
        """
        if checked.state not in {"moved", "fixed"}:
            return checked
        case = self.case
        if self.steps == case.fault:
            return replace(checked, message=f"{checked.message}; not accepted")
        possible = set(case.expected) <= set(self.classifier.class_names)
        if checked.broken and not (possible and case.known_to_fail):
            return replace(
                checked,
                message=(
                    f"{checked.message}; "
                    f"not accepted, as the expected class does not hold; {_PIN_AGAIN}"
                ),
            )
        _, observed = observe(
            self.classifier, self.photo, case.perturbation, self.steps
        )
        case = replace(
            case,
            observed=observed,
            weights=self.classifier.network.digest,
            classifier=self.classifier.name,
        )
        folders.write_case(path, case)
        words = "" if checked.state == "fixed" else checked.message
        return replace(checked, state="accepted", message=words)

    def write_artefact(self, target: Path) -> None:
        """Write what the model sees with the settings of then, of now, and the difference, side by side."""
        # Settings of then may not run any more, or give other channels or sizes.
        with suppress(ValueError):
            then, now = map(self.model_input, (self.steps_before, self.steps))
            # Four times, so that a level or two can be seen.
            difference = (4 * np.abs(then.astype(int) - now)).clip(0, 255)
            picture = encoded(np.hstack([then, now, difference.astype(np.uint8)]))
            folders.write_file(target, picture)

    def model_input(self, steps: Preprocessing) -> Pixels:
        tensor = self.classifier.tensor(self.photo, self.case.perturbation, steps)
        return self.steps_before.image(tensor)
