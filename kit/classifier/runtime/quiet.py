"""Keep what C++ libraries write to the standard error out of notebooks, where it would look like ours."""

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# The standard error belongs to the whole process: two blocks at once would put back each other's sink.
_LOCK = threading.RLock()


@contextmanager
def captured_errors() -> Iterator[Callable[[], str]]:
    """Collect the standard error of the process while the block runs.

    Yields
    ------
    callable
        Returns what was written so far; to be called within the block.
    """
    with _LOCK, tempfile.TemporaryFile() as sink:
        try:
            kept = os.dup(2)
        except OSError:  # no standard error, as under pythonw
            yield str
            return

        def written() -> str:
            sink.seek(0)
            return sink.read().decode(errors="replace")

        try:
            os.dup2(sink.fileno(), 2)
            yield written
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def only_warnings(name: str) -> Iterator[None]:
    """Keep what a logger of Python reports below a warning out, while the block runs.

    In a notebook TensorFlow's logger also tells of every file that it writes.
    """
    logger = logging.getLogger(name)
    with _LOCK:
        level = logger.level
        logger.setLevel(max(level, logging.WARNING))
        try:
            yield
        finally:
            logger.setLevel(level)
