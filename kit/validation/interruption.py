"""Several trainings, of which an interruption keeps those that are finished."""

from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any


@contextmanager
def keeping(finished: Sized, parts: Sequence[Any], what: str, unit: str, *, progress: bool) -> Iterator[Any]:
    """Show the progress over `parts`, and end quietly where it is interrupted with something finished.

    Parameters
    ----------
    finished
        What is kept; grows within the block.
    parts
        One for each training.
    what, unit
        What is done, and what one part is called.
    progress
        Whether to show a bar.

    Yields
    ------
    tqdm
        Over the parts.

    Raises
    ------
    KeyboardInterrupt
        Interrupted with nothing finished.
    """
    from tqdm.auto import tqdm  # noqa: PLC0415 - half of what importing the kit costs

    with tqdm(parts, desc=what, unit=unit, disable=not progress, leave=False) as bar:
        try:
            yield bar
        except KeyboardInterrupt:
            if not len(finished):
                raise
