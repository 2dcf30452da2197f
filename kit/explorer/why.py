"""What *Why?* answers: what each change did, then the diagnosis."""

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.diagnosis import Diagnosis, Finding, diagnose
from kit.explorer import view as views
from kit.explorer.view import Bench, Settings, View, called, changed_settings, neutral, percent
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


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Take back each change by itself, and where none of them regains the answer, some together.

    Returns
    -------
    tuple of Change
        The one that matters most first. One with several keys stands first where only together they regain
        the answer.
    """
    changed = [key for key in changed_settings(view.settings) if key != "seed"]
    single = (_without(view, (key,), compute) for key in changed)
    found = sorted(single, key=partial(_weight, view), reverse=True)
    if not view.altered or len(found) < 2:
        return tuple(found)
    if found[0].regains:
        kept = {key: view.settings[key] for key in (*found[0].taken, "seed")}
        alone = compute(neutral(view.settings["photo"]) | kept)
        return (replace(found[0], enough=alone.answer == view.answer), *found[1:])
    for size in range(2, min(TOGETHER, len(found)) + 1):
        sets = list(combinations(found, size))[:_ASKED]
        tried = [_without(view, tuple(key for one in some for key in one.keys), compute) for some in sets]
        regained = max((one for one in tried if one.regains), key=partial(_weight, view), default=None)
        if regained is not None:
            return (regained, *found)
    return (_least(view, tuple(changed), compute), *found)


def told(found: Sequence[Change], view: View) -> list[dict[str, Any]]:
    """Return a line for each change, with the settings that take it back."""
    lines = []
    for change in found:
        still = "still " if change.without.answer == view.answer else ""
        now = f"{still}{called(change.without)}"
        text = f"{change.words}: without it {now}"
        if len(change.keys) > 1:
            text = f"Only together: {change.words}: without them {now}"
        back = {key: change.without.settings[key] for key in change.taken}
        matters = change.regains or (not view.altered and not still)
        lines.append({"text": text, "settings": back, "matters": matters})
    return lines


def headline(found: Sequence[Change], view: View) -> str:
    """Say what the changes come to, in one sentence; empty where nothing was changed."""
    if not found or (len(found) == 1 and view.altered):
        return ""  # its line says it
    if not view.altered:
        what = "What was changed leaves" if len(found) == 1 else "All changes together leave"
        known = f"{what} the answer: untouched it is {called(view.untouched)}."
        other = next((one for one in found if one.without.answer != view.answer), None)
        yet = "" if other is None else f" Yet without {other.words} it is {called(other.without)}."
        return f"{known}{yet}"
    first = found[0]
    alone = [one for one in found if one.regains and len(one.keys) == 1]
    if len(alone) > 1:
        answers = list(dict.fromkeys(one.without.answer for one in alone))
        again = " again" if answers == [view.untouched.answer] else ""
        told = " or ".join("none of these" if one is None else view.names[one] for one in answers)
        return f"The changes work together: with any of these {len(alone)} taken back it is {told}{again}."
    if len(first.keys) == 1 and not first.enough:
        without = called(first.without)
        return f"{first.words} is needed for this answer, with the others: without it {without}."
    them = "them" if len(first.keys) > 1 else "it"
    return f"{first.words}: this makes the answer. Without {them}: {called(first.without)}."


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
    target = view.untouched.top if view.label in {None, view.top} else view.label
    gain = float(without.probabilities[target] - view.probabilities[target])
    regains = view.altered and without.answer in {view.untouched.answer, target} - {view.answer}
    named = " and ".join(words(key, view.settings) for key in keys)
    return Change(keys, taken, named, without, regains, gain)


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
        if views.preprocessing_of(settings | back, base) == right:
            return back
    return None if settings["fix"] else dict.fromkeys(STEPS, "") | {"fix": True}


def answer(diagnosis: Diagnosis, view: View, fixed: View | None = None) -> dict[str, Any]:
    """Put a diagnosis into the words and numbers that the page shows.

    Parameters
    ----------
    diagnosis
        Of what is shown.
    view
        What is shown.
    fixed
        The same picture with the preprocessing that was named; None where none was.
    """
    fix = diagnosis.best.fix if diagnosis.best else None
    shown = [finding for finding in diagnosis.findings if finding.verdict in {"named", "possible"}]
    dismissed = [plain(finding.cause) for finding in diagnosis.findings if finding.verdict == "ruled_out"]
    back = None if fixed is None else remedy(view.settings, view.base, fixed.preprocessing)
    spoils = fixed is not None and fixed.wrong and not view.wrong and view.label is not None
    return {
        "headline": _headline(diagnosis, view, fixed),
        "notes": list(map(plain, diagnosis.notes)),
        "judged": plain(diagnosis.judged_by),
        "findings": [_row(finding, view) for finding in shown],
        # Over an answer that is known to be wrong nothing is dismissed.
        "ruledOut": [] if view.wrong or view.altered else dismissed,
        "fix": "" if fix is None else plain(fix.text),
        "code": "" if fix is None else fix.code,
        "apply": None if spoils else back,
    }


def plain(text: str) -> str:
    """Return a text without the names and units that only people who wrote it know."""
    text = re.sub(r",? in nats\b", "", text)
    text = re.sub(r" \(\w+ put right\)", "", text)
    return re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: found[0].replace("_", " "), text)


def _headline(diagnosis: Diagnosis, view: View, fixed: View | None) -> str:
    causes = {
        verdict: " and ".join(plain(one.cause) for one in diagnosis.findings if one.verdict == verdict)
        for verdict in ("named", "possible")
    }
    if causes["named"]:
        return _named(causes["named"], view, fixed)
    besides = bool(changed_settings(view.settings))
    if causes["possible"] and (view.wrong or view.altered):
        return f"{'Perhaps besides' if besides else 'Not certain; perhaps'}: {causes['possible']}"
    if view.altered:
        return "Measuring finds nothing besides what was changed"
    if view.wrong:
        return _hard(view)
    conclusion = plain(diagnosis.conclusion)
    if besides:
        return f"Besides what was changed: {conclusion}"
    return f"{conclusion[0].upper()}{conclusion[1:]}"


def _named(cause: str, view: View, fixed: View | None) -> str:
    """Say what is named no stronger than what putting it right does to this very answer."""
    questioned = view.wrong or view.altered
    if fixed is None:
        # Whatever was changed about an answer that stands has not made it.
        stands = view.reference is not None and not view.altered
        return f"{'Found in the picture' if stands else 'The cause'}: {cause}"
    if questioned and fixed.answer in {view.label, view.untouched.answer} - {view.answer}:
        return f"The cause: {cause}"
    now = called(fixed)
    if fixed.answer == view.answer:
        return f"Not as in training: {cause}. Put right, it is still {now}"
    if fixed.wrong and not view.wrong and view.label is not None:
        return f"The answer is right, though the statistics speak for: {cause}. Put right, it would be {now}"
    return f"{'Not' if questioned else 'Perhaps not'} as in training: {cause}. Put right, it is {now}"


def _hard(view: View) -> str:
    """Say what a network makes of an untouched picture that it gets wrong."""
    label = view.label or 0
    named, wanted = view.names[view.top], view.names[label]
    top, right = view.probabilities[view.top], view.probabilities[label]
    second = int(np.argsort(-view.probabilities, kind="stable")[1])
    if view.answer is None:
        return f"Unlike the training pictures to this network, and yet it is {wanted}"
    if right >= max(_ALIKE, top / 4):
        shares = f"{percent(top)} and {percent(right)}"
        return f"A hard picture: to this network {named} and {wanted} look alike ({shares})"
    other = second != label and view.probabilities[second] >= _ALIKE
    sees = f"{named} or {view.names[second]}" if other else f"{named} ({percent(top)})"
    return f"A hard picture: this network sees {sees} in it, and hardly {wanted} ({percent(right)})"


def _row(finding: Finding, view: View) -> dict[str, Any]:
    summary = plain(finding.summary)
    if view.reference is not None and not view.altered:
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


class Questions:
    """A question at a time for each view of the widget, on a thread of its own; a new one stops the last.

    Parameters
    ----------
    send
        Sends a message to the pages.
    fail
        Told what went wrong, and with which request.
    found
        Told a diagnosis, what it is about, and the preprocessing that it found to be right, if any.
    """

    def __init__(
        self,
        send: Callable[..., None],
        fail: Callable[[Exception, str], None],
        found: Callable[[Diagnosis, View, Preprocessing | None], None],
    ) -> None:
        self._send, self._fail, self._found = send, fail, found
        self._asked: dict[str, tuple[threading.Event, threading.Thread]] = {}

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the last questions are answered or stopped."""
        for _, thread in tuple(self._asked.values()):
            thread.join(seconds)

    def stop(self, request: str) -> None:
        """Stop the question of the view that a request came from; what it has found so far is thrown away."""
        if (page := _page(request)) in self._asked:
            self._asked[page][0].set()

    def ask(self, view: View, bench: Bench, compute: Compute, request: str) -> None:
        """Say at once what each change does, and look for the cause beside the bars."""
        self.stop(request)
        known = changes(view, compute)
        said = {"headline": headline(known, view), "lines": told(known, view), "settings": view.settings}
        first = {"kind": "because", "request": request, "changes": said}
        self._send(first)
        stopped = threading.Event()

        def progress(text: str) -> None:
            if stopped.is_set():
                raise StoppedError
            self._send({"kind": "asking", "request": request, "text": text})

        work = (view, bench, first, progress)
        thread = threading.Thread(target=self._explain, args=work, name="explorer-why", daemon=True)
        self._asked[_page(request)] = stopped, thread
        thread.start()

    def _explain(self, view: View, bench: Bench, first: dict[str, Any], progress: Any) -> None:
        try:
            diagnosis = ask(bench.classifier, view, progress)
            right = diagnosis.corrected
            fixed = None if right is None else bench.with_preprocessing(view, right)
            explained = answer(diagnosis, view, fixed)
            # What the network gets, and what it was trained to see.
            pair = [] if right is None else [view.tensor, right.apply(view.photo)]
            pictures = [(right or view.base).picture(tensor) for tensor in pair]
            progress("")
        except StoppedError:
            self._send(first | {"stopped": True})
            return
        except Exception as error:  # noqa: BLE001 - a thread's error would be swallowed; the page shows it
            self._fail(error, first["request"])
            return
        self._found(diagnosis, view, right)
        sizes = [picture.shape[:2] for picture in pictures]
        self._send(first | explained | {"pictures": sizes}, [picture.tobytes() for picture in pictures])


def _page(request: str) -> str:
    """Return which view of the widget a request came from."""
    return request.rpartition(".")[0]
