"""Work on a file in a process of its own: what crashes, hangs or fills the memory does so there."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired

from kit._arrays import JSONObject
from kit._bundled import search_path
from kit._checking import first_line, printable
from kit._reporting import Steps

# In the folder that two processes share.
_ANSWER = "answer.json"
_ERRORS = "errors.txt"
# TensorFlow's libraries and its graph of a network with many layers take 1.6 GB.
_MEMORY = 3 << 30
_MEMORY_PER_BYTE = 16


def run_apart(
    module: str, file: Path, folder: Path, *, seconds: int, what: str
) -> JSONObject:
    """Run a module of the kit, by its dotted name, on a file; it ends in `work_apart`.

    Results go into the folder; the seconds that pass are shown with the words `what`. Returns what the module
    answered; ValueError, one line, where it failed or took longer than `seconds`.
    """
    refusal = f"Expected to open {file.name!r} in limited memory and time, received"
    with _start(module, file, folder) as process:
        try:
            for _ in Steps(iter(range(seconds)), what, progress=True):
                with suppress(TimeoutExpired):
                    process.wait(1)
                    break
            else:
                raise ValueError(f"{refusal} no end after {seconds} s")
        finally:
            process.kill()
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
            stdout=errors,
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


def work_apart(work: Callable[[Path, Path], JSONObject]) -> None:
    """Be the process that `run_apart` started: work, and write the result."""
    file, folder = map(Path, sys.argv[1:])
    threading.Thread(target=_end_with_caller, args=(folder,), daemon=True).start()
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


def _end_with_caller(folder: Path) -> None:
    """Wait for the end of the process that asked; then remove the folder, and end, too."""
    # The other end of the pipe closes with the process that holds it, on every system.
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
