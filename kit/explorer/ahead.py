"""Answers ahead of a hand: how many."""

import os
from collections.abc import Iterable, Iterator
from time import perf_counter

from kit._checking import whole
from kit.explorer.bench import View

VARIABLE = "KIT_EXPLORER_AHEAD"
"""Environment variable with the number of positions; a hub sets it to 0."""
POSITIONS = 320
SECONDS = 0.008
"""Time for one reply to what the page asks for ahead: a hand that moves meanwhile waits no longer."""
AHEAD_BYTES = 50_000_000
"""Upper bound of the pixels that a page keeps of predictions ahead."""


def positions_ahead(positions: int | None) -> int:
    """Return at how many positions of a slider views are computed ahead; None takes those of the environment.

    TypeError or ValueError for no whole number of 0 to 10,000, from here or from there.
    """
    if positions is not None:
        return whole("ahead", positions, 0, 10_000)
    text = os.environ.get(VARIABLE, str(POSITIONS)).strip()
    return whole(VARIABLE, int(text) if text.isdecimal() else text, 0, 10_000)


def in_time(views: Iterable[View]) -> Iterator[View]:
    """Compute as many views as the time allows, one at least."""
    ended = perf_counter() + SECONDS
    for view in views:
        yield view
        if perf_counter() > ended:
            return
