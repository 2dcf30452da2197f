"""Running the tasks of a sweep: one after another, or on anything with the `concurrent.futures` interface."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from kit._reporting import Progress
from kit.robustness.sweep_plan import Plan
from kit.robustness.sweep_work import Shared

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    """What a sweep asks, and how that is run.

    Attributes
    ----------
    shared, plan
        The classifier, and what it is asked.
    executor, in_flight
        As for `run`.
    progress
        Who is shown or told how far it is.
    """

    shared: Shared
    plan: Plan
    executor: Executor | None
    in_flight: int
    progress: Progress


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[tuple[int, Task]],
    executor: Executor | None,
    in_flight: int,
) -> Iterator[tuple[int, Result]]:
    """Yield each task's number with its result, as soon as it is there.

    Parameters
    ----------
    function
        Importable by its name, since other processes import it.
    tasks
        Read only as far ahead as `in_flight` says, so that pictures do not pile up.
    executor
        None for this thread.
    in_flight
        Tasks that are handed out and not yet answered, at most.

    Raises
    ------
    Whatever a task raises. What has not begun by then, or when the caller stops, is cancelled.
    """
    if executor is None:
        for number, task in tasks:
            yield number, function(task)
        return
    waiting: dict[Future[Result], int] = {}
    try:
        for number, task in tasks:
            while len(waiting) >= in_flight:
                yield from _finished(waiting)
            waiting[executor.submit(function, task)] = number
        while waiting:
            yield from _finished(waiting)
    finally:
        for future in waiting:
            future.cancel()


def _finished(waiting: dict[Future[Result], int]) -> Iterator[tuple[int, Result]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        yield waiting.pop(future), future.result()


def check_executor(executor: Any) -> None:
    """Refuse what is no executor, and pools of processes that fork.

    Raises
    ------
    TypeError, ValueError
        With one line that says what to use.
    """
    if executor is None:
        return
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"Expected an executor with the interface of concurrent.futures, received {executor!r};"
            " a Dask client has one: client.get_executor()"
        )
    # Private, and the only way to know; without it, nothing is refused.
    context = getattr(executor, "_mp_context", None) if isinstance(executor, ProcessPoolExecutor) else None
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "Expected a process pool that spawns, received one that forks, which hangs once TensorFlow has"
            " predicted; use ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))"
        )
