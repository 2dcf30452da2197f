"""What an interrupt must not leave behind: imports that were cut in two, and threads that go on."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held(*, back: bool = True) -> Iterator[None]:
    """Hold an interrupt (SIGINT) back until the block ends, where it is raised as ever.

    Imports of compiled packages are such blocks: numpy, TensorFlow and others cannot be imported once more in
    a process in which their first import was cut off, and only a new kernel would help.

    Parameters
    ----------
    back
        If not, an interrupt is raised at once, and once more at the end where it was lost on the way: Python
        ignores what is raised in a ``__del__``, and TensorFlow makes a SystemError of it.
    """
    # Elsewhere no interrupt arrives; and what was not set from Python cannot be put back from it.
    on_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not on_main or before is None:
        yield
        return
    came, raised = [], False

    def arrived(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if not back and callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, arrived)
    try:
        yield
    except KeyboardInterrupt:
        raised = True
        raise
    finally:
        signal.signal(signal.SIGINT, before)
        if came and not raised:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def cancelling_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Open a pool of threads that is empty when the block ends: what has not begun by then is cancelled."""
    with ThreadPoolExecutor(count) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
