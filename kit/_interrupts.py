"""What an interrupt must not leave behind: TensorFlow cut off within a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold an interrupt (SIGINT) back until the block ends, where it is raised as ever.

    For single steps of TensorFlow: cut off, they leave it building graphs for ever, or end the process.
    """
    # Elsewhere no interrupt arrives; and what was not set from Python cannot be put back from it.
    on_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not on_main or before is None:
        yield
        return
    interrupts: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: interrupts.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupts:
            signal.raise_signal(signal.SIGINT)
