"""A stop (SIGINT) in a long call: the same process goes on, with the predictions that it would have given."""

import os

import pytest

from tests.project import python

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="Windows sends no SIGINT to one process"
)
SCRIPT = """
import os, signal, threading, time
import kit
clothes, labels = kit.samples.photos("fashion_mnist")[:8], kit.samples.labels("fashion_mnist")[:8]
right = kit.samples.classifier("fashion_mnist")
wrong = right.using(right.preprocessing.replace(scaling="-1..1"))
call = lambda: {call}
call()  # with all imports
began = time.monotonic()
expected = call().text()
usual = time.monotonic() - began
before = {{thread.ident for thread in threading.enumerate()}}
for part in (0.05, 0.5, 0.9):
    timer = threading.Timer(part * usual, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()  # a first one may come before this returns
        call()
        timer.join()
        time.sleep(0.1)
    except KeyboardInterrupt:
        timer.join()
    again = call().text()
    assert again == expected, (part, again, expected)
    left = {{each.name for each in threading.enumerate() if each.ident not in before}}
    assert not left, left
print("usable")
"""
CALLS = {
    "sweep": "kit.sweep(right, clothes, {'brightness': [0.5, 1.0], 'noise': range(0, 60, 4)}, labels=labels)",
    "diagnose": "kit.diagnose(wrong, clothes, labels, progress=False)",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_stop_leaves_the_process_and_the_next_answer_as_they_were(name):
    done = python(SCRIPT.format(call=CALLS[name]), timeout=300)
    assert done.stdout.splitlines()[-1:] == ["usable"], done.stderr[-2000:]
