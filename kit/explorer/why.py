"""What *Why?* answers: what each change did, then the diagnosis."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer.view import (
    Bench,
    Settings,
    View,
    called,
    changed_settings,
    neutral,
    percent,
    preprocessing_of,
)
from kit.perturbation import PARAMETERS
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE, STEPS

Compute = Callable[[Settings], View]
TOGETHER = 3
"""At most so many changes are taken back at once, to find those that only work together."""
_ASKED = 60
"""At most so many combinations are asked about, a second or less with a network for photographs."""


@dataclass(frozen=True, eq=False)
class Change:
    """Something that was changed, or several of them, and what the answer is without.

    Attributes
    ----------
    keys, taken
        Settings that are taken back, without and with those that only steer them.
    words
        What was changed, for people.
    without
        The view without it.
    regains
        Whether the answer that ought to be there, or that of the untouched photo, comes back without it.
    gain
        By how much the probability of that answer rises without it, -1..1.
    enough
        Whether it makes the present answer by itself; None where that was not asked.
    """

    keys: tuple[str, ...]
    taken: tuple[str, ...]
    words: str
    without: View
    regains: bool
    gain: float
    enough: bool | None = None


def wanted(view: View) -> int:
    """Return the class that ought to be the answer; where it is, or none is known, the untouched photo's."""
    return view.untouched.top if view.label in {None, view.top} else view.label


def altered(view: View) -> bool:
    """Whether what was changed has changed the answer."""
    return view.answer != view.untouched.answer


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Take back each change by itself, and where none of them regains the answer, some together.

    Returns
    -------
    tuple of Change
        The one that matters most first. One with several keys stands first where only together they regain
        the answer.
    """
    changed = [key for key in changed_settings(view.settings) if key != "seed"]
    found = sorted(
        (_without(view, (key,), compute) for key in changed), key=partial(_weight, view), reverse=True
    )
    if not altered(view) or len(found) < 2:
        return tuple(found)
    if found[0].regains:
        first = replace(found[0], enough=_alone(view, found[0].keys, compute).answer == view.answer)
        return (first, *found[1:])
    for size in range(2, min(TOGETHER, len(found)) + 1):
        sets = list(combinations(found, size))[:_ASKED]
        tried = [_without(view, tuple(key for one in some for key in one.keys), compute) for some in sets]
        regained = max((one for one in tried if one.regains), key=partial(_weight, view), default=None)
        if regained is not None:
            return (regained, *found)
    return (_least(view, tuple(changed), compute), *found)


def told(found: Sequence[Change], view: View, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a line for each change, with the settings that take it back."""
    lines = []
    for change in found:
        still = "still " if change.without.answer == view.answer else ""
        now = f"{still}{called(change.without, names)}"
        text = f"{change.words}: without it {now}"
        if len(change.keys) > 1:
            text = f"Only together: {change.words}: without them {now}"
        back = {key: change.without.settings[key] for key in change.taken}
        matters = change.regains or (not altered(view) and not still)
        lines.append({"text": text, "settings": back, "matters": matters})
    return lines


def headline(found: Sequence[Change], view: View, names: Sequence[str]) -> str:
    """Say what the changes come to, in one sentence; empty where nothing was changed."""
    if not found or (len(found) == 1 and altered(view)):
        return ""  # its line says it
    if not altered(view):
        what = "What was changed leaves" if len(found) == 1 else "All changes together leave"
        known = f"{what} the answer: untouched it is {called(view.untouched, names)}."
        other = next((one for one in found if one.without.answer != view.answer), None)
        return (
            known
            if other is None
            else f"{known} Yet without {other.words} it is {called(other.without, names)}."
        )
    first = found[0]
    alone = [one for one in found if one.regains and len(one.keys) == 1]
    if len(alone) > 1:
        answers = list(dict.fromkeys(one.without.answer for one in alone))
        again = " again" if answers == [view.untouched.answer] else ""
        told = " or ".join("none of these" if one is None else names[one] for one in answers)
        return f"The changes work together: with any of these {len(alone)} taken back it is {told}{again}."
    if len(first.keys) == 1 and not first.enough:
        without = called(first.without, names)
        return f"{first.words} is needed for this answer, with the others: without it {without}."
    them = "them" if len(first.keys) > 1 else "it"
    return f"{first.words}: this makes the answer. Without {them}: {called(first.without, names)}."


def words(key: str, settings: Settings) -> str:
    """Return a change in words."""
    if key in PARAMETERS:
        item, value = PARAMETERS[key], settings[key]
        return item.label if item.kind == "switch" else f"{item.label} {value:g} {item.unit}".strip()
    if key == "fix":
        return "The fix that was found"
    return f"{STEPS[key]}: {CATALOGUE[settings[key]].title}"


def _without(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    plain = neutral(view.settings["photo"])
    taken = _with_steering(keys)
    without = compute(view.settings | {key: plain[key] for key in taken})
    target = wanted(view)
    gain = float(without.probabilities[target] - view.probabilities[target])
    regains = altered(view) and without.answer in {view.untouched.answer, target} - {view.answer}
    return Change(
        keys, taken, " and ".join(words(key, view.settings) for key in keys), without, regains, gain
    )


def _alone(view: View, keys: tuple[str, ...], compute: Compute) -> View:
    """Return the view with these changes and no others."""
    kept = {key: view.settings[key] for key in (*_with_steering(keys), "seed")}
    return compute(neutral(view.settings["photo"]) | kept)


def _with_steering(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return settings with those that only steer them."""
    return (*keys, *(name for name, item in PARAMETERS.items() if item.of in keys))


def _least(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    """Take everything back, then leave alone what need not be."""
    least = _without(view, keys, compute)
    for key in keys:
        fewer = _without(view, tuple(other for other in least.keys if other != key), compute)
        if fewer.regains:
            least = fewer
    return least


def _weight(view: View, change: Change) -> tuple[bool, bool, float]:
    return change.regains, change.without.answer != view.answer, change.gain


_ALIKE = 0.1
"""Least probability of a class that a network is said to see in a picture."""


def ask(classifier: Classifier, view: View, progress: Callable[[str], None]) -> Diagnosis:
    """Diagnose the picture as it is shown, with the preprocessing in use."""
    labels = None if view.label is None else [view.label]
    return diagnose(classifier.using(view.preprocessing), [view.photo], labels, progress=progress)


def remedy(settings: Settings, base: Preprocessing, right: Preprocessing) -> Settings | None:
    """Return the settings to change for the preprocessing `right`; those of the picture are none of them.

    Chosen faults are taken back from `base`, as few as will do; where that does not lead there, the fix is
    put in use. None where one is in use already.
    """
    chosen = [step for step in STEPS if settings[step]]
    for keep in sorted(product((True, False), repeat=len(chosen)), key=lambda kept: kept.count(False)):
        back = {step: "" for step, kept in zip(chosen, keep, strict=True) if not kept}
        if preprocessing_of(settings | back, base) == right:
            return back
    return None if settings["fix"] else dict.fromkeys(STEPS, "") | {"fix": True}


def answer(
    diagnosis: Diagnosis, view: View, names: Sequence[str], fixed: View | None = None
) -> dict[str, Any]:
    """Put a diagnosis into the words and numbers that the page shows.

    Parameters
    ----------
    diagnosis
        Of what is shown.
    view
        What is shown.
    names
        Of the classes.
    fixed
        The same picture with the preprocessing that was named; None where none was.
    """
    fix = diagnosis.best.fix if diagnosis.best else None
    shown = [finding for finding in diagnosis.findings if finding.verdict in {"named", "possible"}]
    back = None if fixed is None else remedy(view.settings, view.base, fixed.preprocessing)
    spoils = fixed is not None and fixed.wrong and not view.wrong and view.label is not None
    return {
        "headline": _headline(diagnosis, view, names, fixed),
        "notes": [plain(note) for note in diagnosis.notes],
        "judged": plain(diagnosis.judged_by),
        "findings": [_row(finding, view) for finding in shown],
        # Over an answer that is known to be wrong nothing is dismissed.
        "ruledOut": []
        if view.wrong or altered(view)
        else [plain(f.cause) for f in diagnosis.findings if f.verdict == "ruled_out"],
        "fix": "" if fix is None else plain(fix.text),
        "code": "" if fix is None else fix.code,
        "apply": None if spoils else back,
    }


def beside(view: View, right: Preprocessing) -> tuple[Any, Any]:
    """Return what the network gets, and what it was trained to see: uint8, (H, W, 3), read by `right`."""
    gets, sees = right.picture(view.tensor), right.picture(right.apply(view.photo))
    return np.ascontiguousarray(gets), np.ascontiguousarray(sees)


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    text = re.sub(r",? in nats\b", "", text)
    text = re.sub(r" \(\w+ put right\)", "", text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: found[0].replace("_", " "), text)


def _headline(diagnosis: Diagnosis, view: View, names: Sequence[str], fixed: View | None) -> str:
    causes = {
        verdict: " and ".join(plain(one.cause) for one in diagnosis.findings if one.verdict == verdict)
        for verdict in ("named", "possible")
    }
    if causes["named"]:
        return _named(causes["named"], view, names, fixed)
    besides = bool(changed_settings(view.settings))
    if causes["possible"] and (view.wrong or altered(view)):
        return f"{'Perhaps besides' if besides else 'Not certain; perhaps'}: {causes['possible']}"
    if altered(view):
        return "Measuring finds nothing besides what was changed"
    if view.wrong:
        return _hard(view, names)
    conclusion = plain(diagnosis.conclusion)
    if besides:
        return f"Besides what was changed: {conclusion}"
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _named(cause: str, view: View, names: Sequence[str], fixed: View | None) -> str:
    """Say what is named no stronger than what putting it right does to this very answer."""
    questioned = view.wrong or altered(view)
    if fixed is None:
        # Whatever was changed about an answer that stands has not made it.
        stands = view.reference is not None and not altered(view)
        return f"{'Found in the picture' if stands else 'The cause'}: {cause}"
    if questioned and fixed.answer in {view.label, view.untouched.answer} - {view.answer}:
        return f"The cause: {cause}"
    now = called(fixed, names)
    if fixed.answer == view.answer:
        return f"Not as in training: {cause}. Put right, it is still {now}"
    if fixed.wrong and not view.wrong and view.label is not None:
        return f"The answer is right, though the statistics speak for: {cause}. Put right, it would be {now}"
    return f"{'Not' if questioned else 'Perhaps not'} as in training: {cause}. Put right, it is {now}"


def _hard(view: View, names: Sequence[str]) -> str:
    """Say what a network makes of an untouched picture that it gets wrong."""
    label = view.label or 0
    top, right = view.probabilities[view.top], view.probabilities[label]
    second = int(np.argsort(-view.probabilities, kind="stable")[1])
    if view.answer is None:
        return f"Unlike the training pictures to this network, and yet it is {names[label]}"
    if right >= max(_ALIKE, top / 4):
        shares = f"{percent(top)} and {percent(right)}"
        return f"A hard picture: to this network {names[view.top]} and {names[label]} look alike ({shares})"
    if second != label and view.probabilities[second] >= _ALIKE:
        either = f"{names[view.top]} or {names[second]}"
        return (
            f"A hard picture: this network sees {either} in it, and hardly {names[label]} ({percent(right)})"
        )
    sure = f"{names[view.top]} ({percent(top)})"
    return f"A hard picture: this network sees {sure} in it, and hardly {names[label]} ({percent(right)})"


def _row(finding: Finding, view: View) -> dict[str, Any]:
    summary = plain(finding.summary)
    if view.reference is not None and not altered(view):
        # Known by taking everything back.
        summary = re.sub(
            r"; it (most probably|may have) changed the answer\.?$", "; here the answer stands.", summary
        )
    certain = "" if finding.verdict == "named" else "perhaps: "
    return {
        "title": f"{certain}{plain(finding.cause)}",
        "summary": summary,
        "evidence": [list(map(plain, part.cells())) for part in finding.evidence],
    }


class StoppedError(Exception):
    """Somebody has stopped the question."""


class Asking:
    """One question at a time, on a thread of its own; a new one stops the one before."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[Callable[[str], None]], Any], tell: Callable[[str], None]) -> None:
        """Run `work`, which is handed a function to tell its progress with.

        The function raises `StoppedError` once the question is stopped.
        """
        self.stop()
        stop = self._stop = threading.Event()

        def progress(text: str) -> None:
            if stop.is_set():
                raise StoppedError
            tell(text)

        self._thread = threading.Thread(target=work, args=(progress,), name="explorer-why", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the question; what it has found so far is thrown away."""
        self._stop.set()

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the last question is answered or stopped."""
        if self._thread is not None:
            self._thread.join(seconds)


@dataclass(eq=False)
class Questions:
    """What each view of the widget has asked.

    Attributes
    ----------
    send
        Sends a message to the pages.
    fail
        Told what went wrong, and with which request.
    found
        Told a diagnosis, what it is about, and the preprocessing that it found to be right, if any.
    """

    send: Callable[..., None]
    fail: Callable[[Exception, str], None]
    found: "Callable[[Diagnosis, View, Preprocessing | None], None]"
    pages: dict[str, Asking] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return any(each.busy for each in self.pages.values())

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the last questions are answered or stopped."""
        for each in tuple(self.pages.values()):
            each.wait(seconds)

    def stop(self, request: str) -> None:
        """Stop the question of the view that a request came from."""
        asking = self.pages.get(_page(request))
        if asking is not None:
            asking.stop()

    def ask(self, view: View, bench: Bench, compute: Compute, request: str) -> None:
        """Say at once what each change does, and look for the cause beside the bars."""
        names = bench.classifier.class_names
        known = changes(view, compute)
        lines, words = told(known, view, names), headline(known, view, names)
        first = {
            "kind": "because",
            "request": request,
            "changes": {"headline": words, "lines": lines, "settings": view.settings},
        }
        self.send(first)
        self.pages.setdefault(_page(request), Asking()).start(
            lambda progress: self._explain(view, bench, first, progress),
            lambda text: self.send({"kind": "asking", "request": request, "text": text}),
        )

    def _explain(self, view: View, bench: Bench, first: dict[str, Any], progress: Any) -> None:

        try:
            diagnosis = ask(bench.classifier, view, progress)
            right = diagnosis.corrected
            fixed = None if right is None else bench.with_preprocessing(view, right)
            told_first = answer(diagnosis, view, bench.classifier.class_names, fixed)
            pictures = [] if right is None else list(beside(view, right))
            progress("")
        except StoppedError:
            self.send(first | {"stopped": True})
            return
        except Exception as error:  # noqa: BLE001 - a thread's error would be swallowed; the page shows it
            self.fail(error, first["request"])
            return
        self.found(diagnosis, view, right)
        sizes = [picture.shape[:2] for picture in pictures]
        self.send(first | told_first | {"pictures": sizes}, [picture.tobytes() for picture in pictures])


def _page(request: str) -> str:
    """Return which view of the widget a request came from."""
    return request.rpartition(".")[0]
