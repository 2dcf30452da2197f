"""A diagnosis that runs beside the bars, tells how far it is, and can be stopped."""

import threading
from collections.abc import Callable
from typing import Any


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
