"""Running tasks one after another, or on anything with the `concurrent.futures` interface."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import Any, TypeVar

Key = TypeVar("Key")
Task = TypeVar("Task")
Result = TypeVar("Result")

IN_FLIGHT = 32
"""Tasks that an executor holds at a time: enough for sixteen workers, and few enough to stay small."""


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[tuple[Key, Task]],
    executor: Executor | None,
    ahead: int = IN_FLIGHT,
) -> Iterator[tuple[Key, Result]]:
    """Yield each task's key with its result, as soon as it is there.

    Parameters
    ----------
    function
        Importable by its name where other processes import it.
    tasks
        Read only this far ahead, so that images do not pile up.
    executor
        None for this thread.

    Raises whatever a task raises. What has not begun by then, or when the caller stops, is cancelled.
    """
    if executor is None:
        yield from ((key, function(task)) for key, task in tasks)
        return
    waiting: dict[Future[Result], Key] = {}
    try:
        listed = iter(tasks)
        while True:
            for key, task in islice(listed, ahead - len(waiting)):
                waiting[executor.submit(function, task)] = key
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    finally:
        for future in waiting:
            future.cancel()


def check_executor(executor: Any) -> None:
    """Refuse a pool of processes that fork, with a ValueError."""
    # Private, and the only way to know; without it, nothing is refused.
    context = getattr(executor, "_mp_context", None) if isinstance(executor, ProcessPoolExecutor) else None
    if context is not None and context.get_start_method() == "fork":
        advice = "give it mp_context=multiprocessing.get_context('spawn')"
        raise ValueError(f"Expected a process pool that spawns, received one that forks; {advice}")
