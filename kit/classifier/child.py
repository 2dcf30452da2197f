"""Work on a file in a process of its own: what crashes, hangs or fills the memory does so there."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, wait
from contextlib import suppress
from itertools import count
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import Any

import numpy as np

from kit._arrays import Float32, JSONObject
from kit._bundled import search_path
from kit._checking import first_line, printable
from kit._reporting import Steps
from kit.classifier.engines import uninterrupted

# In the folder that two processes share.
_ANSWER = "answer.json"
_ERRORS = "errors.txt"
_TENSORS = "tensors.npy"
_OUTPUTS = "outputs.npy"
# TensorFlow's libraries and its graph of a network with many layers take 1.6 GB.
_MEMORY = 3 << 30
_MEMORY_PER_BYTE = 16

Predict = Callable[[Float32], Float32 | None]
"""From float32 (N, H, W, C) to outputs, float32 (N, outputs); None where they are not to be had."""
Early = Future[tuple[Any, Predict]]
"""What a process says with `serve`: something in JSON, and what predicts there until it ends."""


def run_apart(
    module: str,
    file: Path,
    folder: Path,
    *,
    seconds: int,
    what: str = "",
    early: Early | None = None,
) -> JSONObject:
    """Run a module of the kit, by its dotted name, on a file; it ends in `work_apart`.

    Results go into the folder; the seconds are shown with the words `what`, if any; cancelling `early` ends
    it. Returns what the module answered; ValueError, one line, where it failed or took too long.
    """
    early = early or Future()
    exchange = threading.Lock()
    refusal = f"Expected to open {file.name!r} in limited memory and time, received"
    with _start(module, file, folder) as process:
        listener = process, folder, early, exchange
        threading.Thread(target=_listen, args=listener, daemon=True).start()
        try:
            for _ in Steps(iter(range(seconds)), what, bool(what)):
                with suppress(TimeoutExpired):
                    process.wait(1)
                    break
                if early.cancelled():
                    break
            else:
                raise ValueError(f"{refusal} no end after {seconds} s")
        finally:
            process.kill()
            # A prediction under way still uses the pipes, and the folder, which goes next.
            with exchange:
                process.communicate()  # which closes the pipes
    answer = _answer_or_error(folder, process.returncode)
    if error := answer.get("error"):
        raise ValueError(
            error if error.startswith("Expected") else f"{refusal} {error}"
        )
    return answer


def _start(module: str, file: Path, folder: Path) -> Popen[bytes]:
    settings = {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": search_path()}
    # What libraries unpack goes away with the folder, however the process ends.
    settings |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.fspath(folder))
    # -P: without the notebook's folder, in which anybody may have put a file named like a module.
    options = ["-P", "-Wignore", "-m", module]
    with (folder / _ERRORS).open("wb") as errors:
        return Popen(  # noqa: S603 (this very interpreter)
            [sys.executable, *options, os.fspath(file.resolve()), os.fspath(folder)],
            stdin=PIPE,
            stdout=PIPE,
            stderr=errors,
            env=os.environ | settings,
            # In a session of its own, it outlives a signal to this one's group, and removes the folder.
            start_new_session=True,
        )


def _answer_or_error(folder: Path, exit_code: int) -> JSONObject:
    """Return what the process found, or the ``error`` with which it ended."""
    with suppress(FileNotFoundError, ValueError):  # none, or cut off by a full disk
        answer: JSONObject = json.loads((folder / _ANSWER).read_text("utf-8"))
        return answer
    lines = (folder / _ERRORS).read_text(errors="replace").strip().splitlines()
    last_line = lines[-1] if lines else f"a process that ended with {exit_code}"
    return {"error": printable(last_line[:300])}


def _listen(process: Any, folder: Path, early: Early, exchange: threading.Lock) -> None:
    def predict(tensors: Float32) -> Float32 | None:
        # Cut off within an exchange, the next would begin with the rest of this one.
        with exchange, uninterrupted(), suppress(OSError, ValueError):
            if process.returncode is None:
                np.save(folder / _TENSORS, tensors)
                process.stdin.write(b"\n")
                process.stdin.flush()
                # Where it ended meanwhile, the outputs are those of other tensors.
                if process.stdout.readline():
                    return np.asarray(np.load(folder / _OUTPUTS), np.float32)
        return None

    with suppress(ValueError, InvalidStateError):  # ended or cancelled before
        early.set_result((json.loads(process.stdout.readline()), predict))


def awaited(futures: Iterable[Future[Any]], what: str) -> None:
    """Wait until one of them is done; the seconds that pass are shown with the words `what`."""
    for _ in Steps(count(), what, progress=True):
        if wait(futures, 1, FIRST_COMPLETED).done:
            return


_SERVING: list[Callable[[Float32], Float32]] = []
_ANSWERS: list[int] = []  # the pipe to who asked


def serve(about: Any, predict: Callable[[Float32], Float32]) -> None:
    """Be the process that `run_apart` started: say something in JSON early, and predict beside the work."""
    _SERVING.append(predict)
    os.write(_ANSWERS[0], json.dumps(about).encode() + b"\n")


def work_apart(work: Callable[[Path, Path], JSONObject]) -> None:
    """Be the process that `run_apart` started: work, and write the result."""
    file, folder = map(Path, sys.argv[1:])
    _ANSWERS.append(os.dup(1))
    os.dup2(2, 1)  # where libraries print, also those in C
    threading.Thread(target=_watch, args=(folder,), daemon=True).start()
    with suppress(ImportError, ValueError, OSError):
        import resource

        # Written for a process that crashes, gigabytes of its memory take half a minute.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most_bytes = _MEMORY + _MEMORY_PER_BYTE * file.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))
    try:
        answer = work(file, folder)
    except (ValueError, TypeError, OSError) as error:
        answer = {"error": first_line(error)}
    except Exception as error:  # noqa: BLE001 (what libraries raise on hostile files has no limit)
        answer = {"error": f"{type(error).__name__} {first_line(error)}"}
    (folder / _ANSWER).write_text(json.dumps(answer), encoding="utf-8")
    os._exit(0)  # TensorFlow takes its time to end


def _watch(folder: Path) -> None:
    # The other end of the pipe closes with the process that holds it, on every system.
    while sys.stdin.readline():
        (folder / _OUTPUTS).unlink(missing_ok=True)
        with suppress(Exception):  # of TensorFlow, too; then there is no file
            np.save(folder / _OUTPUTS, _SERVING[0](np.load(folder / _TENSORS)))
        os.write(_ANSWERS[0], b"\n")
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
