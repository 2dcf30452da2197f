"""What each thing that somebody has changed does to the answer: it is taken back, and the network asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any

from kit.explorer.view import Settings, View, changed_settings, neutral
from kit.explorer.words import called
from kit.perturbation import PARAMETERS
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
