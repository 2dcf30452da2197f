"""Checking cases: which predictions changed, and at which step."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from kit._arrays import Float32
from kit._checking import told
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.preprocessing import Preprocessing
from kit.preprocessing.comparison import differences
from kit.preprocessing.trace import DECODE, PERTURB, Trace
from kit.regression import cases as folders
from kit.regression.cases import MAKE_ONE, SEEN, Case, observe, own_file, seen_now, weights_of

STEPS = {
    DECODE: "decoding differs",
    PERTURB: "the perturbation differs",
    "thumbnail": "shrinking first differs",
    "resize": "the resize differs",
    "channels": "the order of channels differs",
    "invert": "the polarity differs",
    "scale": "the scaling differs",
    "cast": "the data type differs",
    "layout": "the order of axes differs",
    "class_names": "the names of classes or their order differ",
    "weights": "the weights differ",
    "engine": "same tensor and weights, other prediction: the engine differs",
    "answer": "same tensor, other prediction: the weights or the engine differ",
    "expected": "the expected class is not one of this classifier: correct the case, or pin the image again",
}
"""What can have changed a prediction, in the order of an image's way, in words."""
STRONGER = 4
"""By how much a difference of images is made stronger."""

State = Literal["holds", "moved", "failing", "fixed", "unusable"]
_WORDS: dict[State, tuple[str, str]] = {
    "moved": ("CHANGED", "changed"),
    "unusable": ("CANNOT BE RUN", "cannot be run"),
    "holds": ("holds", "hold"),
    "failing": ("still failing", "still failing"),
    "fixed": ("now passing", "now passing"),
}
"""Of one case, and of several."""
_MARGINS = ((0.05, "barely"), (0.2, "narrowly"), (0.5, "clearly"), (2.0, "by far"))
_SHOWN = 5


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
        ``"fixed"`` where it did not hold from the start.
    case
        None where its file cannot be read.
    answer, change
        The most probable class now with its probability, and the largest change of a probability, 0..1.
    broken, step, told
        What does not hold, which step changed it (a name of `STEPS`), and why, in words.
    accepted
        Whether the case was written again.
    """

    name: str
    state: State
    case: Case | None = None
    answer: tuple[str, float] = ("", 0.0)
    change: float = 0.0
    broken: str = ""
    step: str = ""
    told: str = ""
    accepted: bool = False

    @property
    def moved(self) -> bool:
        """Whether it is red."""
        return self.state in {"moved", "unusable"} and not self.accepted

    @property
    def words(self) -> str:
        """One line: the same everywhere, unless something changed."""
        verb = _WORDS[self.state][0]
        if self.case is None or self.state == "unusable":
            return f"{verb}: {self.told}"
        before, share = self.case.observed.top
        name, now = self.answer
        if self.state == "moved":
            parts = [self.broken] if self.broken else []
            parts.append(f"was {before} {share:.3f}, is {name} {now:.3f}")
            parts += [f"a probability changed by {self.change:.3f}"] * (self.change > self.case.tolerance)
            return f"{'accepted' if self.accepted else verb}: {'; '.join([*parts, self.told])}"
        if self.state == "fixed":
            done = "and is accepted" if self.accepted else "accept it with update=True, or --update"
            return f"{verb}: was {before}, is {name}; {done}"
        return f"{verb}: {before}, {self.margin}{f'; {self.told}' if self.told else ''}"

    @property
    def margin(self) -> str:
        """How far the first class was ahead when the case was made, in coarse words."""
        if self.case is None or not self.case.observed.probabilities:
            return ""
        shares = [share for _, _, share in self.case.observed.probabilities[:2]]
        lead = shares[0] - (shares[1] if len(shares) > 1 else 0.0)
        return next(word for limit, word in _MARGINS if lead < limit)


@dataclass(frozen=True, repr=False)
class CheckedCases(Result):
    """What came of a folder of cases.

    Attributes
    ----------
    cases
        By name.
    unfinished
        Cases that were not run, since somebody stopped it.
    """

    classifier: str
    cases: tuple[Checked, ...]
    unfinished: int = 0

    @property
    def moved(self) -> tuple[Checked, ...]:
        """Those that are red: moved, or not to be run."""
        return tuple(one for one in self.cases if one.moved)

    @property
    def holds(self) -> bool:
        """Whether all were run and none is red."""
        return not (self.moved or self.unfinished)

    def headline(self) -> str:
        """Return one sentence."""
        counts = Counter(one.state for one in self.cases)
        parts = [f"{counts[state]} {several}" for state, (_, several) in _WORDS.items() if counts[state]]
        if self.unfinished:
            parts.append(f"{self.unfinished} not run")
        count = len(self.cases)
        return f"{count} case{'s' * (count != 1)} of {self.classifier}: {', '.join(parts) or 'none'}."

    def text(self) -> str:
        """Return a line for each case, the same on every machine where nothing moved."""
        return "\n".join([self.headline(), *(told(f"  {one.name}: {one.words}") for one in self.cases)])

    def paragraph(self) -> str:
        """Return what moved as one paragraph."""
        shown = [told(f"{one.name} {one.words}.") for one in self.moved[:_SHOWN]]
        more = len(self.moved) - len(shown)
        return " ".join([self.headline(), *shown, *([f"And {more} more."] if more else [])])

    def table(self) -> Table:
        """Return a row for each case."""
        rows = [(told(one.name), told(one.words)) for one in self.cases]
        return Table(("case", "result"), rows, "<<", title=self.headline())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        names = ("name", "state", "change", "step", "accepted")
        rows = [
            {name: getattr(one, name) for name in names}
            | {"answer": one.answer[0], "probability": one.answer[1], "told": one.words}
            for one in self.cases
        ]
        whole = {"classifier": self.classifier, "holds": self.holds, "unfinished": self.unfinished}
        return {**whole, "cases": rows}

    def junit(self) -> str:
        """Return the report as JUnit XML, which CI servers show."""
        from xml.sax.saxutils import quoteattr

        def quoted(text: str) -> str:
            return quoteattr("".join(each if each.isprintable() else " " for each in text))

        rows = []
        for one in self.cases:
            inside = f"<failure message={quoted(one.words)}/>" if one.moved else ""
            rows.append(f'<testcase classname="cases" name={quoted(one.name)}>{inside}</testcase>')
        head = f'tests="{len(self.cases)}" failures="{len(self.moved)}"'
        start = '<?xml version="1.0" encoding="UTF-8"?>\n'
        return f"{start}<testsuite name={quoted(self.classifier)} {head}>{''.join(rows)}</testsuite>\n"

    def __repr__(self) -> str:
        return self.text()

    def _report(self) -> Iterator[Table]:
        yield self.table()


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
        A folder for an image of each case that changed: what the network saw then, sees now, and four times
        the difference, side by side.
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
        check_first(classifier, "kit.check_cases(folder, classifier)")
    place = Path(folder)
    found = folders.paths(place)
    if not found:
        raise ValueError(f"Expected cases in {place.name!r}, received none; {MAKE_ONE}")
    chosen = classifier if classifier is not None else _named_by(found)
    checked: list[Checked] = []
    with Steps[Path]((), "Cases", "case", progress, total=len(found), keep=True) as steps:
        for path in found:
            checked.append(_check(chosen, path))
            steps.advance()
    result = CheckedCases(chosen.name, tuple(checked), unfinished=len(found) - len(checked))
    for one in result.moved if artefacts is not None else ():
        _keep_difference(one, place, chosen, Path(str(artefacts)))
    if update:
        result = replace(result, cases=tuple(_accepted(one, place, chosen) for one in checked))
    if raise_on_moved and not result.holds:
        raise CasesMovedError(result.paragraph())
    return result


def _named_by(paths: Sequence[Path]) -> Classifier:
    """Return the bundled classifier that the first readable case names."""
    from kit import samples

    for path in paths:
        with suppress(ValueError):
            return samples.classifier(folders.read(path).classifier)
    raise ValueError("Expected a classifier, or cases that name a bundled one; received neither")


def _check(classifier: Classifier, path: Path) -> Checked:
    case = None
    try:
        case = folders.read(path)
        return _compared(classifier, case, folders.photo_of(path.parent, case))
    except (OSError, TypeError, ValueError) as error:
        return Checked(path.stem, "unusable", case, told=" ".join(str(error).split()))


def _compared(classifier: Classifier, case: Case, photo: Photo) -> Checked:
    steps = case.preprocessing or known_preprocessing(classifier)
    row = classifier.probabilities(photo, case.perturbation, steps)[0]
    names = classifier.class_names
    broken = case.expected.broken(row, names)
    change = case.observed.moved(row)
    failed = case.known_to_fail
    state: State = "failing" if failed else "holds"
    unknown = not set(case.expected.classes) <= set(names)
    if failed and not broken:
        state = "fixed"  # whatever its probabilities do
    elif unknown or (broken and not failed) or change > case.tolerance or case.observed.renamed(names):
        state = "moved"
    place = int(np.argmax(row))
    step, words = _step(classifier, case, photo, steps, row) if state == "moved" else ("", "")
    if state == "holds":
        words = _fault(classifier, case, photo)
    return Checked(case.name, state, case, (names[place], float(row[place])), change, broken, step, words)


def _step(
    classifier: Classifier, case: Case, photo: Photo, steps: Preprocessing, row: Float32
) -> tuple[str, str]:
    """Return the first step that explains why a prediction changed, and the same in words."""
    before = case.observed.preprocessing
    found = [] if before is None else list(differences(before, steps, ("before", "now")))
    digest = weights_of(classifier)
    other = case.weights != digest
    now = Trace.of(photo, case.perturbation, steps)
    # What is kept of the steps may be too coarse to show a setting that changed.
    step = now.parts_at(case.observed.trace) or next((name for name, _ in found), "")
    if case.observed.moved(row) <= case.tolerance:
        if case.observed.renamed(classifier.class_names):
            step = "class_names"
        elif not set(case.expected.classes) <= set(classifier.class_names):
            step = "expected"
    step = step or ("weights" if other else "engine" if digest else "answer")
    changed = "; ".join(words for name, words in found if name == step)
    words = f"{STEPS.get(step, '')}{f' ({changed})' if changed else ''}"
    if other and step not in {"weights", "answer"}:
        words += "; the file of the network differs, too"
    return step, words


def _fault(classifier: Classifier, case: Case, photo: Photo) -> str:
    """Say whether the fault that a case keeps, if there is one, still goes wrong."""
    if case.fault is None:
        return ""
    try:
        row = classifier.probabilities(photo, case.perturbation, case.fault)[0]
    except (TypeError, ValueError):
        return "the stored wrong preprocessing does not fit this network"
    wrong = case.expected.broken(row, classifier.class_names)
    predicted = classifier.class_names[int(np.argmax(row))]
    return f"with the stored wrong preprocessing it is {predicted}{'' if wrong else ': no longer wrong'}"


def _accepted(one: Checked, folder: Path, classifier: Classifier) -> Checked:
    """Write a case that moved, or that holds by now, with the present prediction.

    A new prediction is no reason to give up what was expected: that has to be pinned again.
    """
    case = one.case
    if case is None or one.state not in {"moved", "fixed"}:
        return one
    possible = set(case.expected.classes) <= set(classifier.class_names)
    if one.broken and not (possible and case.known_to_fail):
        refused = "not accepted, because the expected class does not hold: delete the case and pin it again"
        return replace(one, told=f"{one.told}; {refused}")
    photo, steps = folders.photo_of(folder, case), case.preprocessing or known_preprocessing(classifier)
    row = classifier.probabilities(photo, case.perturbation, steps)[0]
    observed = observe(classifier, photo, case.perturbation, steps, row)
    case = replace(case, observed=observed, weights=weights_of(classifier), classifier=classifier.name)
    folders.overwrite(folder / f"{one.name}.json", case, classifier)
    return replace(one, accepted=True)


def _keep_difference(one: Checked, cases: Path, classifier: Classifier, target: Path) -> None:
    """Write what the network saw then, sees now and the difference, side by side; without then, now alone."""
    if one.case is None:
        return
    with suppress(ValueError):  # no image: that is what is reported
        now = seen_now(one.case, cases, classifier)
        parts = [now]
        with suppress(OSError, ValueError):
            # Earlier versions kept JPEGs; the PNG comes last.
            seen = max(path.name for path in own_file(cases, SEEN).iterdir() if path.stem == one.name)
            kept = Image.fromarray(load_image(own_file(cases, SEEN, seen)).pixels)
            then = np.asarray(kept.resize(now.shape[1::-1]))
            difference = STRONGER * np.abs(then.astype(np.int16) - now)
            parts = [then, now, np.clip(difference, 0, 255).astype(np.uint8)]
        folders.write(target / f"{one.name}.png", encoded(np.hstack(parts)))
