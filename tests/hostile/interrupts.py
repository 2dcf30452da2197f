"""A stop (SIGINT) at any moment: what becomes of the process, its threads and the next answer.

``python -m tests.hostile.interrupts --count 200 --json FILE`` interrupts each of `NAMES` at so many random
moments, a quarter of them in its first 20 milliseconds, and makes the same call again afterwards. ``--cold``
starts a new process for each moment, so that the imports of the first call are met; ``--kernel`` interrupts
in a real kernel, as Jupyter's stop button does.
"""

import argparse
import json
import math
import os
import random
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

SLOW = 10.0
"""Seconds that an interrupt may take on a busy machine, if the whole call does not take longer there."""


def prepared(name):
    """Return a call without arguments, on small real data that is at hand."""
    import numpy as np  # noqa: PLC0415 (in the child only)

    import kit  # noqa: PLC0415
    from kit import samples, validation  # noqa: PLC0415
    from kit._interrupts import held  # noqa: PLC0415

    clothes, labels = samples.photos("fashion_mnist"), samples.labels("fashion_mnist")
    fashion, large = map(samples.classifier, ("fashion_mnist", "efficientnet_lite0"))
    photos, classes = samples.photos("imagenet")[:2], samples.labels("imagenet")[:2]

    def diagnosed():
        wrong = fashion.using(fashion.preprocessing.replace(scaling="-1..1"))
        return partial(kit.diagnose, wrong, clothes[:4], labels[:4])

    def diagnosed_photograph():
        wrong = large.using(large.preprocessing.replace(scaling="0..1"))
        return partial(kit.diagnose, wrong, photos[:1], classes[:1])

    def swept():
        return partial(
            kit.sweep, large, photos, {"brightness": [0.5, 1.0], "noise": [0, 20, 40]}, labels=classes
        )

    def swept_and_kept():
        path = Path(tempfile.mkdtemp(), "sweep.parquet")

        def call():
            # What was interrupted goes on where it was; what is finished is asked for anew.
            path.unlink(missing_ok=True)
            return swept()(path=path)

        return call

    def trained(pictures, truth, seed=0, **changes):
        settings = {"preprocessing": fashion.preprocessing, "class_names": fashion.class_names, "epochs": 2}
        # How TensorFlow takes an interrupt while the caller builds a network, is not to be found out here.
        with held():
            model = _small()
        return validation.train(pictures, truth, seed=seed, model=model, **(settings | changes))

    def crossed():
        folds = partial(trained, epochs=1)
        return partial(kit.cross_validate, folds, clothes[:128], np.array(labels[:128]), folds=2)

    def shifted():
        from kit.classifier.reference import InputStatistics  # noqa: PLC0415

        dark = [kit.Perturbation(brightness=0.5).apply(photo) for photo in clothes[30:60]]
        return partial(kit.shift, InputStatistics.of(clothes[:30]), dark, classifier=fashion)

    ways = {
        "find_duplicates": lambda: partial(kit.find_duplicates, clothes[:250], clothes[250:500]),
        "diagnose": diagnosed,
        "diagnose, photograph": diagnosed_photograph,
        "sweep": swept,
        "sweep, kept": swept_and_kept,
        "calibrate": lambda: partial(kit.calibrate, fashion, clothes[:400], labels[:400], resamples=150),
        "train": lambda: partial(trained, clothes[:256], labels[:256]),
        "cross_validate": crossed,
        "shift": shifted,
    }
    return ways[name]()


def _small():
    from kit.classifier.keras_models import import_keras  # noqa: PLC0415

    keras = import_keras()
    layers, initializers = keras.layers, keras.initializers
    stack = [
        keras.Input((28, 28, 1)),
        layers.Conv2D(8, 3, strides=2, kernel_initializer=initializers.HeNormal(1), activation="relu"),
        layers.Flatten(),
        layers.Dense(10, kernel_initializer=initializers.GlorotUniform(2), activation="softmax"),
    ]
    return keras.Sequential(stack, name="small")


def told(found):
    """What a call found, in a form to be compared: whether it is whole, and every number in it."""
    from kit._reporting import plain  # noqa: PLC0415

    values = plain(found)
    if hasattr(found, "predict_tensors"):
        import numpy as np  # noqa: PLC0415

        tensors = np.random.default_rng(3).random((8, 28, 28, 1), np.float32)
        values = [found.predict_tensors(tensors).tolist(), list(found.notes)]
    text = json.dumps(values, sort_keys=True, default=repr)
    partly = getattr(found, "complete", True) is False or "interrupted after" in text or "was stopped" in text
    return ("partial" if partly else "whole"), text


def native_threads():
    """Threads of this process, those of native libraries too."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()


class Target:
    """One call in this process, to be interrupted again and again."""

    def __init__(self, name):
        self.call, self.came, self.place = prepared(name), [], []
        signal.signal(signal.SIGINT, self._interrupted)

    def _interrupted(self, number, frame):
        self.came.append(time.monotonic())
        self.place = [f"{each.filename}:{each.lineno}" for each in traceback.extract_stack(frame)[-12:]]
        signal.default_int_handler(number, frame)

    def quietly(self):
        """Once, uninterrupted: seconds and what was found."""
        began = time.monotonic()
        found = self.call()
        return time.monotonic() - began, told(found)[1]

    def once(self, begin):
        """Call, and say how an interrupt ended it; `begin` is called just before."""
        del self.came[:]
        outcome, ended, found = "", None, None
        try:
            begin()
            found = self.call()
            ended = time.monotonic()
            state, _ = told(found)
            # What is whole and was interrupted all the same has swallowed the interrupt.
            outcome = "partial" if state == "partial" else "swallowed" if self.came else "finished"
            while not self.came:
                time.sleep(0.005)
        except KeyboardInterrupt:
            outcome = outcome or ("KeyboardInterrupt" if ended is None else "finished")
            ended = ended or time.monotonic()
        except BaseException as error:  # noqa: BLE001 (whatever it is, it is reported)
            ended, outcome = time.monotonic(), f"{type(error).__name__}: {str(error)[:200]}"
        if outcome not in {"KeyboardInterrupt", "partial", "finished"}:
            self.place += [told(found)[1][-200:]]
        return {"outcome": outcome, "ended": ended, "place": self.place}


def _stray(before, seconds=3.0):
    """Names of the threads of Python that are not gone by then, and how long the last took."""
    began = time.monotonic()
    while True:
        # The one that watches tqdm's bars lives as long as the process.
        threads = (each for each in threading.enumerate() if type(each).__name__ != "TMonitor")
        left = [each.name for each in threads if each not in before]
        if not left or time.monotonic() - began > seconds:
            return left, time.monotonic() - began
        time.sleep(0.005)


def child(name, *, cold):
    """Answer on standard output, a line of JSON a time, to the lines on standard input."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**values):
        out.write(json.dumps(values) + "\n")

    target = Target(name)
    usual, expected = (0.0, None) if cold else (target.quietly(), target.quietly())[1]
    say(state="ready", seconds=usual, text=expected)
    for line in sys.stdin:
        if line.strip() == "usual":
            seconds, text = target.quietly()
            say(seconds=seconds, text=text, native=native_threads())
            continue
        before = set(threading.enumerate())
        result = target.once(lambda: say(state="begun"))
        stray, gone = _stray(before)
        say(**result, stray=stray, gone=gone)
        try:
            seconds, text = target.quietly()
        except BaseException as error:  # noqa: BLE001
            seconds, text = None, f"{type(error).__name__}: {str(error)[:200]}"
        say(text=text, seconds=None if cold else seconds, native=native_threads())


class Died(Exception):  # noqa: N818
    """The process is gone, or silent for too long."""


class Process:
    """A child with its calls."""

    def __init__(self, name, *, cold=False):
        command = [sys.executable, "-m", "tests.hostile.interrupts", "--child", name, *["--cold"] * cold]
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the process)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1
        )
        self.ready = self.hear(300)

    def say(self, line):
        self.process.stdin.write(line + "\n")

    def hear(self, seconds):
        """Return the next line of the child."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise Died(f"silent for {seconds:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise Died(f"ended with {self.process.wait()}")
        return json.loads(line)

    def interrupted(self, delay):
        """Interrupt a call after so many seconds; how it ended, and what the next one said."""
        self.say("go")
        self.hear(300)
        time.sleep(delay)
        sent = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        first = self.hear(60)
        again = self.hear(300)
        return first | {"took": first["ended"] - sent} | again

    def noise(self):
        """Lines of standard error that speak of an exception."""
        self.log.seek(0)
        lines = self.log.read().splitlines()
        return [line for line in lines if "Exception ignored" in line or "Error" in line]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@dataclass
class Row:
    """What became of the interrupts of one call."""

    name: str
    most: float = math.inf
    lasted: list = field(default_factory=list)
    outcomes: Counter = field(default_factory=Counter)
    died: list = field(default_factory=list)
    stray: list = field(default_factory=list)
    differs: list = field(default_factory=list)
    took: list = field(default_factory=list)
    gone: list = field(default_factory=list)
    native: list = field(default_factory=list)
    noise: list = field(default_factory=list)
    odd: list = field(default_factory=list)

    def add(self, delay, result, expected):
        self.outcomes[result["outcome"]] += 1
        if result["outcome"] not in {"KeyboardInterrupt", "partial", "finished"}:
            self.odd.append((delay, result["outcome"], result.get("place")))
        self.took.append(max(result["took"], 0.0))
        self.gone.append(result["gone"])
        self.native.append(result["native"])
        # A first call imports besides, and is longer than the next.
        self.lasted.append(result["seconds"] if result["seconds"] is not None else self.lasted[-1])
        if result["stray"]:
            self.stray.append((delay, result["stray"]))
        if result["text"] != expected:
            self.differs.append((delay, result["outcome"], result["text"][:300]))

    @property
    def met(self):
        """Interrupts that came while the call ran."""
        return sum(self.outcomes.values()) - self.outcomes["finished"] + len(self.died)

    @property
    def good(self):
        """Whether nothing but what is promised happened."""
        known = {"KeyboardInterrupt", "partial", "finished", "swallowed"}
        slow = max(self.took, default=0) > max(SLOW, *self.lasted)
        return not (self.died or self.stray or self.differs or slow or set(self.outcomes) - known)

    def line(self):
        took = sorted(self.took) or [0.0]
        sent = sum(self.outcomes.values()) + len(self.died)
        return (
            f"{self.name:<24}{statistics.median(self.lasted):7.2f}{sent:6d}"
            f"{self.outcomes['KeyboardInterrupt']:6d}{self.outcomes['partial']:8d}{self.outcomes['finished']:6d}"
            f"{self.outcomes['swallowed']:6d}{len(self.died):6d}{len(self.stray):6d}{len(self.differs):8d}"
            f"{statistics.median(took):7.2f}{took[-1]:7.2f}  {'good' if self.good else 'BAD'}"
        )


HEAD = (
    f"{'call':<24}{'s':>7}{'sent':>6}{'KbdI':>6}{'partial':>8}{'late':>6}{'swal':>6}{'died':>6}{'stray':>6}"
    f"{'differs':>8}{'p50 s':>7}{'max s':>7}"
)


def moments(count, row, seed=0):
    """Moments to interrupt at, until so many met the call: a quarter in its first 20 ms, the rest anywhere.

    On a machine with other work a call takes now longer and now shorter, so ask its latest runs.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    began = time.monotonic()
    for number in range(3 * count):
        if row.met >= count or time.monotonic() - began > row.most:
            return
        usual = statistics.median(row.lasted[-5:])
        yield chance.uniform(0, 0.02) if number % 4 == 0 else chance.uniform(0, usual)


def warm(name, count, seed=0, most=math.inf):
    """Interrupt one process again and again; a new one takes the place of one that died."""
    row, process = Row(name, most), Process(name)
    row.lasted, expected = [process.ready["seconds"]], process.ready["text"]
    for delay in moments(count, row, seed):
        try:
            row.add(delay, process.interrupted(delay), expected)
        except Died as error:
            row.died.append((delay, str(error), process.noise()[-3:]))
            process.close()
            process = Process(name)
    row.noise = process.noise()
    process.close()
    return row


def cold(name, count, seed=0, most=math.inf):
    """Interrupt the first call of new processes, while it imports what it needs."""
    row, process = Row(f"{name}, cold", most), Process(name, cold=True)
    process.say("usual")
    usual = process.hear(300)
    process.close()
    row.lasted, expected = [usual["seconds"]], usual["text"]
    for delay in moments(count, row, seed):
        process = Process(name, cold=True)
        try:
            row.add(delay, process.interrupted(delay), expected)
        except Died as error:
            row.died.append((delay, str(error), process.noise()[-3:]))
        row.noise += process.noise()
        process.close()
    return row


KERNEL = """
import threading
from tests.hostile.interrupts import prepared, told
call = prepared({name!r})
call();
"""


STRAY = "import time; time.sleep(0.5); print([t.name for t in threading.enumerate() if 'Pool' in t.name])"


@contextmanager
def kernel():
    """A kernel of this environment with its client."""
    from jupyter_client.manager import start_new_kernel  # noqa: PLC0415

    manager, client = start_new_kernel(extra_arguments=["--log-level=ERROR"])
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def in_kernel(name, count, seed=0, most=math.inf):
    """Interrupt a cell, as Jupyter's stop button does."""
    row = Row(f"{name}, kernel", most)
    with kernel() as (manager, client):

        def run(code, seconds=300):
            shown = []

            def keep(message):
                if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                    shown.append(message["content"]["text"])

            reply = client.execute_interactive(code, timeout=seconds, output_hook=keep)["content"]
            return reply.get("ename") or "finished", "".join(shown)

        run(KERNEL.format(name=name))
        began = time.monotonic()
        _, expected = run("print(told(call())[1])")
        row.lasted = [time.monotonic() - began]
        for delay in moments(count, row, seed):
            sent = []

            def stop(sent=sent):
                sent.append(time.monotonic())
                manager.interrupt_kernel()

            timer = threading.Timer(delay, stop)
            timer.start()
            try:
                outcome, shown = run("print(told(call())[0])", 60)
                ended = time.monotonic()
                timer.join()
                outcome = "partial" if outcome == "finished" and "partial" in shown else outcome
                # An interrupt of an idle kernel is met by the next cell, or by nothing.
                run("pass")
                _, stray = run(STRAY)
                _, text = run("print(told(call())[1])")
            except TimeoutError as error:
                row.died.append((delay, repr(error), manager.is_alive()))
                break
            result = {"outcome": outcome, "took": ended - sent[0], "gone": 0.0, "native": 0, "text": text}
            result["seconds"] = None
            row.add(delay, result | {"stray": [] if stray.strip() == "[]" else stray}, expected)
        if not manager.is_alive():
            row.died.append((0.0, "the kernel is gone"))
    return row


NAMES = ("find_duplicates", "diagnose", "diagnose, photograph", "sweep", "sweep, kept", "calibrate", "train")
NAMES += ("cross_validate", "shift")


def main():
    """Print a table, and write what it is made of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--kernel", action="store_true")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=math.inf, help="longest time for each call")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.child:
        child(given.child, cold=given.cold)
        return
    way = in_kernel if given.kernel else cold if given.cold else warm
    print(HEAD, flush=True)
    rows = []
    for name in given.only:
        rows.append(way(name, given.count, given.seed, given.seconds))
        print(rows[-1].line(), flush=True)
        if given.json:
            given.json.write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")
    sys.exit(not all(row.good for row in rows))


if __name__ == "__main__":
    main()
