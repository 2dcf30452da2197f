"""What each thing that somebody has changed does to the answer: it is taken back, and the network asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from kit.explorer.view import Settings, View, changed_settings, neutral
from kit.explorer.words import percent
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
    keys
        Settings that are taken back.
    words
        What was changed, for people.
    without
        The view without it.
    regains
        Whether the answer that ought to be there, or that of the untouched photo, comes back without it.
    gain
        By how much the probability of that answer rises without it, -1..1.
    """

    keys: tuple[str, ...]
    words: str
    without: View
    regains: bool
    gain: float


def wanted(view: View) -> int:
    """Return the class that ought to be the answer; where it is, or none is known, the untouched photo's."""
    return view.untouched.top if view.label in {None, view.top} else view.label


def altered(view: View) -> bool:
    """Whether what was changed has changed the answer."""
    return view.top != view.untouched.top


def changes(view: View, compute: Compute) -> tuple[Change, ...]:
    """Take back each change by itself, and where none of them regains the answer, some together.

    Returns
    -------
    tuple of Change
        The one that matters most first. One with several keys stands first where only together they regain
        the answer.
    """
    changed = [key for key in changed_settings(view.settings) if key != "seed"]
    found = sorted((_without(view, (key,), compute) for key in changed), key=_weight, reverse=True)
    if not altered(view) or any(one.regains for one in found) or len(found) < 2:
        return tuple(found)
    for size in range(2, min(TOGETHER, len(found)) + 1):
        sets = list(combinations(found, size))[:_ASKED]
        tried = [_without(view, tuple(key for one in some for key in one.keys), compute) for some in sets]
        regained = max((one for one in tried if one.regains), key=_weight, default=None)
        if regained is not None:
            return (regained, *found)
    return (_least(view, tuple(changed), compute), *found)


def told(found: Sequence[Change], view: View, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a line for each change, with the settings that take it back."""
    lines = []
    for change in found:
        without = change.without
        still = "still " if without.top == view.top else ""
        share = percent(without.probabilities[without.top])
        text = f"{change.words}: without it {still}{names[without.top]}, {share}"
        if len(change.keys) > 1:
            text = f"Only together: {change.words}: without them {still}{names[without.top]}, {share}"
        lines.append({"text": text, "settings": without.settings, "matters": change.regains})
    return lines


def headline(found: Sequence[Change], view: View, names: Sequence[str]) -> str:
    """Say what the changes come to, in one sentence; empty where nothing was changed."""
    if not found or (len(found) == 1 and altered(view)):
        return ""  # its line says it
    if not altered(view):
        return f"What was changed leaves the answer: it is {names[view.top]} without it, too."
    first = found[0]
    alone = [one for one in found if one.regains and len(one.keys) == 1]
    if len(alone) > 1:
        tops = list(dict.fromkeys(one.without.top for one in alone))
        again = " again" if tops == [view.untouched.top] else ""
        was = f"{' or '.join(names[top] for top in tops)}{again}"
        return f"The changes work together: with any of these {len(alone)} taken back it is {was}."
    them = "them" if len(first.keys) > 1 else "it"
    return f"{first.words}: this makes the answer. Without {them}: {_name(first, names)}."


def words(key: str, settings: Settings) -> str:
    """Return a change in words."""
    if key in PARAMETERS:
        item, value = PARAMETERS[key], settings[key]
        return item.label if item.kind == "switch" else f"{item.label} {value:g} {item.unit}".strip()
    if key == "fix":
        return "The fix that was found"
    return f"{STEPS[key]}: {CATALOGUE[settings[key]].title}"


def _name(change: Change, names: Sequence[str]) -> str:
    top = change.without.top
    return f"{names[top]}, {percent(change.without.probabilities[top])}"


def _without(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    plain = neutral(view.settings["photo"])
    # What only steers a change goes with it.
    steering = [name for name, item in PARAMETERS.items() if item.of in keys]
    without = compute(view.settings | {key: plain[key] for key in (*keys, *steering)})
    target = wanted(view)
    gain = float(without.probabilities[target] - view.probabilities[target])
    regains = altered(view) and without.top in {view.untouched.top, target} - {view.top}
    return Change(keys, " and ".join(words(key, view.settings) for key in keys), without, regains, gain)


def _least(view: View, keys: tuple[str, ...], compute: Compute) -> Change:
    """Take everything back, then leave alone what need not be."""
    least = _without(view, keys, compute)
    for key in keys:
        fewer = _without(view, tuple(other for other in least.keys if other != key), compute)
        if fewer.regains:
            least = fewer
    return least


def _weight(change: Change) -> tuple[bool, float]:
    return change.regains, change.gain
