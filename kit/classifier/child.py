"""Work on a file in a process of its own: what crashes, hangs or fills the memory does so there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kit._checking import first_line, told
from kit._reporting import Steps
from kit.classifier.engines import cores

ANSWER = "answer.json"
_PARENT = "KIT_PARENT"
# With the pages of TensorFlow's libraries, 0.6 GB, what a small file takes stays below 1.5 GB.
_MEMORY = 7 << 27
_MEMORY_EACH = 48
# Graphs with many layers take it, and their files are of 20 MB and more: NASNetMobile 1.6 GB in all.
_MEMORY_OF_A_GRAPH = 3 << 28
_MEMORY_EACH_LARGE = 8
_MEMORY_CORE = 1 << 26


def ask(module: str, file: Path, folder: Path, *, seconds: float) -> dict[str, Any]:
    """Run a module of the kit on a file; it ends in `answer`.

    Parameters
    ----------
    module
        Dotted name. It is given file and folder.
    file, folder
        What is worked on, and where results are put.
    seconds
        Longest time that it may take.

    Returns
    -------
    dict
        What the module answered; ``{"error": …}``, one line, where it failed or did not come to an end.
    """
    search = filter(None, [str(Path(__file__).resolve().parents[3]), os.environ.get("PYTHONPATH")])
    settings = {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": os.pathsep.join(search)}
    # Threads of numpy's wait for each other where others compute too, and gain nothing on one picture.
    settings["OPENBLAS_NUM_THREADS"] = "1"
    # What libraries unpack goes away with the folder, however the process ends.
    settings |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), os.fspath(folder))
    settings[_PARENT] = str(os.getpid())
    # Without the notebook's folder, in which anybody may have put a file named like a module.
    command = [sys.executable, "-P", "-m", module, os.fspath(file), os.fspath(folder)]
    try:
        result = subprocess.run(  # noqa: S603 (this very interpreter with the kit's own module)
            command, capture_output=True, check=False, env=os.environ | settings, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no end after {seconds:.0f} s"}
    with suppress(FileNotFoundError, ValueError):  # none, or cut off by a full disk
        found: dict[str, Any] = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        return found
    if result.returncode == -getattr(signal, "SIGALRM", 0) < 0:
        return {"error": "weights without an end"}
    if result.returncode < 0:
        return {"error": f"a process that was ended by signal {-result.returncode}"}
    last = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
    return {"error": told(" ".join(last)[:300]) or f"a process that ended with {result.returncode}"}


def answer(work: Callable[[Path, Path], Mapping[str, Any]]) -> None:
    """Be the process that `ask` started: work with limited memory, and write what was found.

    On Linux the limit is 0.9 GB of its own, and more for a large file and for many cores; other systems set
    none.
    """
    file, folder = map(Path, sys.argv[1:])
    sys.addaudithook(_alone)
    threading.Thread(target=_end_with, args=(int(os.environ[_PARENT]), folder), daemon=True).start()
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 (not on every system)

        size = file.stat().st_size
        of_file = min(_MEMORY_EACH * size, _MEMORY_OF_A_GRAPH + _MEMORY_EACH_LARGE * size)
        most = _MEMORY + of_file + _MEMORY_CORE * cores()
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        found = work(file, folder)
    except Exception as error:  # noqa: BLE001 (what libraries raise on hostile files has no limit)
        known = isinstance(error, ValueError | TypeError | OSError)
        found = {"error": first_line(error) if known else f"{type(error).__name__} {first_line(error)}"}
    (folder / ANSWER).write_text(json.dumps(found), encoding="utf-8")


def _alone(event: str, _arguments: object) -> None:
    """Refuse to ask a network: Keras has functions that would fetch what a file names."""
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        raise PermissionError("it asks for something on a network")


def _end_with(parent: int, folder: Path) -> None:
    """End this process and remove its folder when the process that started it is gone; not on Windows."""
    while os.getppid() == parent:
        time.sleep(1)
    for _ in range(100):  # while the other threads still write there
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """End this process if the block takes longer, whatever native code it is in; not on Windows."""
    alarm = getattr(signal, "alarm", lambda _seconds: None)
    alarm(seconds)
    try:
        yield
    finally:
        alarm(0)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show the seconds that pass while the block runs, once there are two."""
    done = threading.Event()
    steps: Steps[None] = Steps((), what, " s", progress=True)
    with steps:

        def tick() -> None:
            while not done.wait(1):
                steps.advance()

        ticking = threading.Thread(target=tick, daemon=True)
        ticking.start()
        try:
            yield
        finally:
            done.set()
            ticking.join()
