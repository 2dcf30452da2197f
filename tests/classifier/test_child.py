"""The processes are real; the module that they run is one of the standard library, or written by the test."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from kit.classifier.child import run_apart
from tests.refusals import refused

ANSWERING = """
from kit.classifier.child import work_apart
def work(file, folder):
    {}
work_apart(work)
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What is answered by a process that works in these words."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path.parent))

    def ask_for(words, seconds=60, early=None):
        (tmp_path / "answering.py").write_text(
            ANSWERING.format(words), encoding="utf-8"
        )
        return run_apart(
            "answering",
            tmp_path / "file",
            tmp_path,
            what="Asking",
            seconds=seconds,
            early=early,
        )

    return ask_for


FAILURES = [
    ("raise ValueError('Expected a line\\nand no second')", "Expected a line"),
    (
        "raise RecursionError('too deep')",
        "Expected to open 'file' .* received RecursionError too deep",
    ),
    (
        "import os, warnings; warnings.warn('no'); os._exit(3)",
        "Expected .* a process that ended with 3",
    ),
    (
        "import os, sys; sys.stderr.write('at first\\nat \\x1b last\\n'); os._exit(3)",
        "Expected to open 'file' .*, received at \\? last",
    ),
]


@pytest.mark.parametrize(("words", "error"), FAILURES)
def test_failures_come_back_in_one_line(asked, words, error):
    with refused(f"^{error}$"):
        asked(words)


LIMITED = "Expected to open 'file' in limited memory and time, received"


def test_a_crash_and_an_endless_loop_come_back_in_one_line(asked):
    with refused(f"{LIMITED} no end after 1 s"):
        asked("while True: pass", seconds=1)
    if sys.platform != "win32":
        silent = (
            "import ctypes, resource as r; assert r.getrlimit(r.RLIMIT_CORE)[0] == 0"
        )
        with refused(f"{LIMITED} a process that ended with -11"):
            asked(f"{silent}; ctypes.string_at(0)")


def test_an_answer_comes_back_and_what_libraries_unpack_lies_in_the_folder(
    asked, tmp_path
):
    answer = asked(
        "import tempfile; return {'name': file.name, 'at': tempfile.gettempdir()}"
    )
    assert answer == {"name": "file", "at": str(tmp_path)}


SERVING = (
    "import os, time; from kit.classifier.child import serve\n"
    "    os.write(1, b'as libraries in C do\\n')\n"
    "    serve([3], lambda x: 2 * x if x.size else next(iter(x)))\n"
    "    while not (folder / 'end').exists(): time.sleep(0.01)\n"
    "    return {'done': True}"
)


def test_it_predicts_while_it_works(asked, tmp_path):
    early, tensors = Future(), np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, SERVING, early=early)
        known, predict = early.result(30)
        assert known == [3]
        np.testing.assert_array_equal(predict(tensors), 2 * tensors)
        # What this raises is neither a ValueError nor an OSError.
        assert predict(tensors[:0]) is None
        (tmp_path / "end").touch()
        assert running.result(30) == {"done": True}
        # Whoever asked removes the folder now: nothing may be written to it.
        before = set(tmp_path.iterdir())
        (tmp_path / "tensors.npy").unlink()
        assert predict(tensors) is None
        assert {path.name for path in before - set(tmp_path.iterdir())} == {
            "tensors.npy"
        }


# The call holds the interpreter, so that nothing reads what comes meanwhile.
LEAVING = (
    "import ctypes, signal, time; from kit.classifier.child import serve\n"
    "    serve([3], lambda x: 2 * x)\n"
    "    while not (folder / 'end').exists(): time.sleep(0.01)\n"
    "    (folder / 'leaving').touch(); signal.alarm(1); ctypes.PyDLL(None).sleep(60)"
)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such call")
def test_outputs_of_other_tensors_are_not_given_where_it_ends(asked, tmp_path):
    early, tensors = Future(), np.ones((1, 2), np.float32)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, LEAVING, early=early)
        _, predict = early.result(30)
        np.testing.assert_array_equal(predict(tensors), 2 * tensors)
        (tmp_path / "end").touch()
        until((tmp_path / "leaving").exists)
        assert predict(3 * tensors) is None
        with refused("a process that ended with -14"):
            running.result(30)


def test_it_ends_when_what_it_says_early_is_no_longer_waited_for(asked):
    early = Future()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(asked, "import time; time.sleep(600)", early=early)
        early.cancel()
        with refused("received a process that ended with"):
            running.result(30)


@pytest.mark.skipif(
    sys.platform != "linux", reason="other systems do not limit the memory of a process"
)
def test_memory_is_limited(asked):
    with refused(f"{LIMITED} MemoryError MemoryError"):
        asked("return {'size': len(bytearray(8 << 30))}")


def test_it_ends_with_the_process_that_asked_and_leaves_nothing(tmp_path):
    """However early, while it is importing, for one."""
    (tmp_path / "work").mkdir()
    begun = f"open({str(tmp_path / 'begun')!r}, 'w').close(); import time; "
    text = ANSWERING.format("time.sleep(600)")
    text = f"{begun}time.sleep(1)\n{text}"
    (tmp_path / "answering.py").write_text(text, encoding="utf-8")
    (tmp_path / "asking.py").write_text(
        "from pathlib import Path\n"
        "from kit.classifier.child import run_apart\n"
        "run_apart('answering', Path('file'), Path('work'), seconds=600)\n",
        encoding="utf-8",
    )
    (tmp_path / "file").write_bytes(b"")
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "asking.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=settings, start_new_session=True
    ) as asking:
        until((tmp_path / "begun").exists)
        if os.name == "nt":
            asking.kill()
        else:  # with all of its group, as servers end a kernel
            os.killpg(asking.pid, signal.SIGKILL)
    until(lambda: not (tmp_path / "work").exists())


def until(true, seconds=30):
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.05)
    assert true()
