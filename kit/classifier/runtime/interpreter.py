"""LiteRT's interpreter for a compiled network, with as many threads as are quickest on this machine."""

import os
import time
import warnings
from typing import Any

import numpy as np

from kit._checking import first_line
from kit._interrupts import held
from kit.classifier.runtime.quiet import captured_errors

TRIAL_SECONDS = 0.06
"""Longest time that the choice of a thread count may take."""

_THREADS = (1, 2, 4)
_PASSES = 20


def is_open(entry: Any) -> bool:
    """Whether height or width are left to the caller, so that there is nothing to try or to allocate yet."""
    return any(side < 0 for side in entry["shape_signature"][1:])


def schema() -> Any:
    """Return the module that describes the format of compiled networks."""
    with held(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ai_edge_litert import schema_py_generated  # noqa: PLC0415 (not needed to predict)
    return schema_py_generated


def ready(compiled: bytes, threads: int) -> Any:
    """Return an interpreter with memory for one picture."""
    with held():
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
    try:
        with captured_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter = Interpreter(model_content=compiled, num_threads=threads)
            entries, results = interpreter.get_input_details(), interpreter.get_output_details()
            fits = [len(entry["shape"]) for entry in (*entries, *results)] == [4, 2]
            if fits and not is_open(entries[0]):
                interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"Expected a network that LiteRT can run, received one it refuses: {first_line(error)}"
        ) from error
    if not fits:
        shapes = [entry["shape_signature"].tolist() for entry in (*entries, *results)]
        raise ValueError(
            f"Expected a network from (N, H, W, C) to (N, outputs), received the shapes {shapes}"
        )
    return interpreter


def quickest(compiled: bytes) -> tuple[Any, int]:
    """Return an interpreter with the thread count that was quickest in a short trial, and that count."""
    started = time.perf_counter()
    counts = [count for count in reversed(_THREADS) if count <= cores()]
    best, best_count, best_time = None, 0, float("inf")
    # Most threads first: where one pass takes long, they are the better guess, and the trial ends there.
    for count in counts:
        interpreter = ready(compiled, count)
        if is_open(interpreter.get_input_details()[0]):
            return interpreter, count
        elapsed = _usual_pass(interpreter, TRIAL_SECONDS / (2 * len(counts)))
        if elapsed < best_time:
            best, best_count, best_time = interpreter, count, elapsed
        if time.perf_counter() - started > TRIAL_SECONDS / 2:
            break
    return best, best_count


def _usual_pass(interpreter: Any, budget: float) -> float:
    """Median seconds of a pass; the first, which still sets things up, counts only if it is the only one."""
    times: list[float] = []
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], entry["dtype"]))
    began = time.perf_counter()
    # One in any case: on a busy machine the budget may be gone before the first begins.
    while not times or (len(times) < _PASSES and time.perf_counter() - began < budget):
        before = time.perf_counter()
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise ValueError(
                f"Expected a network that runs on zeros, received one that does not: {first_line(error)}"
            ) from error
        times.append(time.perf_counter() - before)
    return float(np.median(times[1:] or times))


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
