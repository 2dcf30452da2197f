"""Answers ahead of a hand: how many, and when other processes need the cores more."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Self

import psutil

from kit._checking import whole
from kit.explorer.view import Settings, View

VARIABLE = "KIT_EXPLORER_AHEAD"
"""Environment variable with the number of places; a hub sets it to 0."""
PLACES = 320
SECONDS = 0.008
"""Time for one reply to what the page asks for ahead: a hand that moves meanwhile waits no longer."""
AHEAD_BYTES = 50_000_000
"""Upper bound of the pixels that a page keeps of answers ahead."""
BUSY = 0.6
"""Share of the cores that others use, from which on nothing is answered ahead."""
PAUSE_MS = 1000
"""How long the page then waits before it asks again."""
_LEAST_SECONDS = 0.2  # the kernel counts processor time in hundredths of a second


@dataclass(eq=False)
class Ahead:
    """Answers for settings that nobody has chosen yet.

    Attributes
    ----------
    places
        At most so many a slider; 0 is none.
    """

    places: int
    _process: psutil.Process = field(default_factory=psutil.Process)
    _measured: tuple[float, float, float] = (0.0, 0.0, 0.0)
    _others: float = 0.0

    @classmethod
    def of(cls, places: int | None) -> Self:
        """Take the number of places, or that of the environment where it is None.

        Raises
        ------
        TypeError, ValueError
            No whole number of 0 to 10,000, from here or from there.
        """
        if places is None:
            given = os.environ.get(VARIABLE, str(PLACES))
            if not given.strip().isdecimal():
                raise ValueError(f"Expected {VARIABLE} as a number of places, received {given!r}")
            return cls(whole(VARIABLE, int(given), 0, 10_000))
        return cls(whole("ahead", places, 0, 10_000))

    def answered(
        self, wanted: Sequence[Settings], compute: Callable[[Settings], View]
    ) -> tuple[list[View], int]:
        """Return as many views as the time allows, and a pause in ms; none while others need the cores."""
        if not wanted or self.others() > BUSY:
            return [], PAUSE_MS
        end = perf_counter() + SECONDS
        found = []
        for settings in wanted:
            found.append(compute(settings))
            if perf_counter() > end:
                break
        return found, 0

    def others(self) -> float:
        """Return the share of all cores, 0..1, that other processes have used since it was last measured."""
        now, whole_machine, own = perf_counter(), _busy(), sum(self._process.cpu_times()[:2])
        time, busy, before = self._measured
        if now - time < _LEAST_SECONDS:
            return self._others
        if time:
            cores = psutil.cpu_count() or 1
            self._others = max(0.0, (whole_machine - busy) - (own - before)) / ((now - time) * cores)
        self._measured = (now, whole_machine, own)
        return self._others


def _busy() -> float:
    """Processor time that the machine has spent on anything since its start, in seconds."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
