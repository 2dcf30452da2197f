"""Work on a file in a process of its own: what crashes, hangs or fills the memory does so there."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen, TimeoutExpired
from typing import Any

from kit._checking import first_line, told
from kit._reporting import Steps

_ANSWER, _WRITTEN = "answer.json", "written.txt"
# TensorFlow's libraries and its graph of a network with many layers take 1.6 GB.
_MEMORY, _MEMORY_EACH = 3 << 30, 16


def ask(module: str, file: Path, folder: Path, what: str, *, seconds: int) -> dict[str, Any]:
    """Run a module of the kit, by its dotted name, on a file; it ends in `answer`.

    Results are put into the folder; the seconds that pass are shown with the words `what`. Returns what the
    module answered; ValueError, one line, where it failed or did not come to an end in time.
    """
    failed = f"Expected to open {file.name!r} in limited memory and time, received"
    search = filter(None, [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH")])
    settings = {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(search)}
    # What libraries unpack goes away with the folder, however the process ends.
    settings |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.fspath(folder))
    # Without the notebook's folder, in which anybody may have put a file named like a module.
    command = [sys.executable, "-P", "-m", module, os.fspath(file), os.fspath(folder)]
    # In a session of its own, it outlives a signal to this one's group, and removes the folder.
    options: dict[str, Any] = {"env": os.environ | settings, "start_new_session": True}
    with (
        (folder / _WRITTEN).open("wb") as written,
        Popen(command, stdin=PIPE, stdout=written, stderr=STDOUT, **options) as process,  # noqa: S603 (this very interpreter)
    ):
        try:
            for _ in Steps(iter(range(seconds)), what, " s", progress=True):
                with suppress(TimeoutExpired):
                    process.wait(1)
                    break
            else:
                raise ValueError(f"{failed} no end after {seconds} s")
        finally:
            process.kill()
    found: dict[str, Any] = {"error": f"a process that ended with {process.returncode}"}
    with suppress(IndexError):
        last = (folder / _WRITTEN).read_text(errors="replace").strip().splitlines()[-1]
        found = {"error": told(last[:300])}
    with suppress(FileNotFoundError, ValueError):  # none, or cut off by a full disk
        found = json.loads((folder / _ANSWER).read_text(encoding="utf-8"))
    if error := found.get("error"):
        raise ValueError(error if error.startswith("Expected") else f"{failed} {error}")
    return found


def answer(work: Callable[[Path, Path], Mapping[str, Any]]) -> None:
    """Be the process that `ask` started: work, and write what was found."""
    file, folder = map(Path, sys.argv[1:])
    threading.Thread(target=_watch, args=(folder,), daemon=True).start()
    with suppress(ImportError, ValueError, OSError):
        import resource

        most = _MEMORY + _MEMORY_EACH * file.stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        found = work(file, folder)
    except Exception as error:  # noqa: BLE001 (what libraries raise on hostile files has no limit)
        known = isinstance(error, ValueError | TypeError | OSError)
        found = {"error": first_line(error) if known else f"{type(error).__name__} {first_line(error)}"}
    (folder / _ANSWER).write_text(json.dumps(found), encoding="utf-8")
    os._exit(0)  # TensorFlow takes its time to end


def _watch(folder: Path) -> None:
    # The other end of the pipe closes with the process that holds it, on every system.
    os.read(0, 1)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
