"""Answers ahead of a hand: how many, and when others need the cores more."""

import os
from collections.abc import Callable, Sequence
from time import perf_counter, thread_time

from kit._checking import whole
from kit.explorer.bench import View
from kit.explorer.settings import Settings

VARIABLE = "KIT_EXPLORER_AHEAD"
"""Environment variable with the number of positions; a hub sets it to 0."""
POSITIONS = 320
SECONDS = 0.008
"""Time for one reply to what the page asks for ahead: a hand that moves meanwhile waits no longer."""
AHEAD_BYTES = 50_000_000
"""Upper bound of the pixels that a page keeps of predictions ahead."""
WAITED = 0.75
"""Share of the time that this thread waits for a core, from which on the page pauses.

On two cores it is 0.3 to 0.65 beside the browser that paints what is answered, and 0.9 where ten compute.
"""
PAUSE_MS = 1000
"""How long the page then waits before it asks again."""


def positions_ahead(positions: int | None) -> int:
    """Return at how many positions of a slider views are computed ahead; None takes those of the environment.

    Raises
    ------
    TypeError, ValueError
        No whole number of 0 to 10,000, from here or from there.
    """
    if positions is not None:
        return whole("ahead", positions, 0, 10_000)
    text = os.environ.get(VARIABLE, str(POSITIONS)).strip()
    return whole(VARIABLE, int(text) if text.isdecimal() else text, 0, 10_000)


def views_in_time(
    states: Sequence[Settings], compute: Callable[[Settings], View]
) -> tuple[list[View], int]:
    """Return as many views as the time allows, and a pause in ms where others need the cores."""
    started = perf_counter()
    worked_at_start = thread_time()
    views: list[View] = []
    elapsed_seconds = 0.0
    for settings in states:
        views.append(compute(settings))
        elapsed_seconds = perf_counter() - started
        if elapsed_seconds > SECONDS:
            break
    worked_seconds = thread_time() - worked_at_start
    # Of the time that passed, this thread did not work while it waited for a core.
    cores_are_busy = elapsed_seconds - worked_seconds > WAITED * elapsed_seconds
    pause_ms = PAUSE_MS if cores_are_busy else 0
    return views, pause_ms
