"""How many learners one machine carries: Linux only, since it reads /proc.

Variants
    ``explorer``: the cell of live_latency.py, `kit.Explorer` with EfficientNet-Lite0, one photograph,
        noise of 20.
    ``usual``: usual_way.ipynb, `interact` + ``model.predict`` + matplotlib, on the same photograph and noise.
    Every learner has a kernel of their own; all kernels of both variants stay open during the whole run.

Memory
    ``pss_mb``: the proportional set size of a kernel after its moves, from ``/proc/PID/smaps_rollup``: what
    several processes share counts in parts. ``kernels_in_16_gb``: 16e9 bytes over the mean of it; the server
    (once) and the browsers (on the learners' machines) are not in it.

Moves
    1, 4 and 20 learners move their brightness slider ten times a second, the variants in turn. A thread for
    each sends what the page would, over the kernel's own sockets: one message under way, the newest waits.
    A learner whose kernel is silent for two minutes is counted as lost, and the others go on.
    ``moves_hz``: answers a second of all together. ``p50_ms``, ``p95_ms``: from a move to its answer in this
    process; moves that a newer one overtook have no time. No browser paints here, as on a hub.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import Empty

import numpy as np
from jupyter_client.manager import KernelManager

from tests.benchmarks import report
from tests.benchmarks.live_latency import EXPLORER, usual_cells

MODEL = "efficientnet_lite0"
HZ = 10
PLACES = [round(0.5 + 0.05 * index, 2) for index in range(40)]
PATIENCE = 120
KERNELS, TIMES = 100, 5
"""Targets: exploring kernels in 16 GB, and moves a second over those of the usual way."""


class Learner:
    """A kernel with a slider, and who moves it."""

    def __init__(self, variant):
        self.variant, self.lost = variant, ""
        self.manager = KernelManager()
        self.manager.start_kernel(cwd=str(report.ROOT))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)
        self.numbers = count(1)
        self.comm = ""
        for cell in cells(variant):
            self._run(cell)
        self.move(PLACES[-1])

    def _run(self, cell):
        sent = self.client.execute(cell)
        for message in self._messages(sent):
            content = message["content"]
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            if message["msg_type"] == "comm_open" and is_slider(
                content["data"]["state"]
            ):
                self.comm = content["comm_id"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return

    def move(self, place):
        """Put the slider somewhere and wait until the answer is here."""
        data = {
            "method": "update",
            "state": {"value": place},
            "buffer_paths": [],
        }
        if self.variant == "explorer":
            request = f"learner.{next(self.numbers)}"
            settings = {"brightness": place, "noise": 20, "photo": "astronaut.jpg"}
            content = {
                "kind": "settings",
                "request": request,
                "settings": settings,
                "held": "astronaut.jpg",
            }
            data = {"method": "custom", "content": content}
        message = self.client.session.msg(
            "comm_msg", {"comm_id": self.comm, "data": data}
        )
        self.client.shell_channel.send(message)
        for answer in self._messages(message["header"]["msg_id"]):
            if self.variant == "usual" and answer["msg_type"] == "display_data":
                return
            if (
                answer["msg_type"] == "comm_msg"
                and answer["content"]["data"]["method"] == "custom"
            ):
                kind = answer["content"]["data"]["content"]["kind"]
                if kind != "view":
                    raise RuntimeError(
                        f"Expected an answer, received {answer['content']['data']['content']}"
                    )
                return

    def _messages(self, parent):
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["parent_header"].get("msg_id") == parent:
                yield message

    def pss(self):
        """Return the proportional set size of the kernel in MB."""
        lines = (
            Path(f"/proc/{self.manager.provisioner.pid}/smaps_rollup")
            .read_text()
            .splitlines()
        )
        return next(
            int(line.split()[1]) * 1024 / 1e6
            for line in lines
            if line.startswith("Pss:")
        )

    def close(self):
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def cells(variant):
    """Return the code of the cells of a learner's notebook."""
    if variant == "explorer":
        return [EXPLORER.format(model=MODEL, option="")]
    return ["%matplotlib inline", *usual_cells(MODEL)]


def is_slider(state):
    """Whether a widget is the one that takes the moves."""
    return "Explorer" in state.get("_anywidget_id", "") or state.get("max") == 3


def drag(learner, start, seconds):
    """Move ten times a second, and return the time in seconds from each answered move to its answer."""
    taken = []
    last = -1
    while (now := time.perf_counter() - start) < seconds and not learner.lost:
        # The newest move that has come by now; those before it were overtaken.
        number = int(now * HZ)
        if number == last:
            time.sleep((number + 1) / HZ - now)
            continue
        last = number
        try:
            learner.move(PLACES[len(taken) % len(PLACES)])
        except (Empty, RuntimeError) as error:
            learner.lost = f"{type(error).__name__}: {error}"
            return taken
        taken.append(time.perf_counter() - start - number / HZ)
    return taken


def together(learners, seconds):
    """Let all move at the same time, each in its own phase."""
    start = time.perf_counter() + 0.2
    with ThreadPoolExecutor(len(learners)) as pool:
        phases = [start + index / HZ / len(learners) for index in range(len(learners))]
        times = list(pool.map(drag, learners, phases, [seconds] * len(learners)))
    took = time.perf_counter() - start
    every = [1000 * each for some in times for each in some] or [float("nan")]
    lost = sum(bool(learner.lost) for learner in learners)
    told = {"variant": learners[0].variant, "moving": len(learners), "lost": lost}
    told |= {
        "moves_hz": round(sum(map(len, times)) / took, 1),
        "asked_hz": HZ * len(learners),
    }
    return (
        told
        | report.percentiles(every, 50, 95)
        | {"fewest_hz": round(min(map(len, times)) / took, 1)}
    )


def opened(variant):
    """Start a learner, or say what kept it from starting."""
    try:
        return Learner(variant)
    except (Empty, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"


def memory(variant, learners):
    """Return the memory of each kernel that is there yet."""
    sizes = [learner.pss() for learner in learners if learner.manager.is_alive()]
    mean = float(np.mean(sizes))
    found = {"variant": variant, "kernels": len(sizes), "pss_mb": round(mean, 1)}
    return found | {
        "most_mb": round(max(sizes), 1),
        "kernels_in_16_gb": int(16_000 / mean),
    }


def main():
    """Start all, let them move, and write after every part what there is by then."""
    parser = report.parser(__doc__)
    parser.add_argument(
        "--learners",
        type=int,
        nargs="+",
        default=[1, 4, 20],
        help="how many move (1 4 20)",
    )
    parser.add_argument("--seconds", type=float, default=10, help="that they move (10)")
    options = parser.parse_args()
    learners = {"explorer": [], "usual": []}
    told = {"rows": [], "memory": [], "failed": [], "targets": []}
    try:
        for variant, group in learners.items():
            # Two at a time: as many as this machine's cores start a notebook at once without waiting.
            with ThreadPoolExecutor(2) as pool:
                found = list(pool.map(opened, [variant] * max(options.learners)))
            group += [each for each in found if isinstance(each, Learner)]
            told["failed"] += [each for each in found if isinstance(each, str)]
            print(f"{len(group)} {variant} open", flush=True)
        for number in options.learners:
            for group in learners.values():
                if some := [learner for learner in group if not learner.lost][:number]:
                    told["rows"].append(together(some, options.seconds))
                    report.table(told["rows"][-1:])
                    told["failed"] += [learner.lost for learner in some if learner.lost]
                    report.write(options.json, told)
        told["memory"] = [
            memory(variant, group) for variant, group in learners.items() if group
        ]
        report.table(told["memory"])
    finally:
        report.write(options.json, told)
        for learner in (learner for group in learners.values() for learner in group):
            learner.close()
    room = {row["variant"]: row["kernels_in_16_gb"] for row in told["memory"]}
    crowd = {row["variant"]: row["moves_hz"] for row in told["rows"]}
    times = crowd.get("explorer", 0) / (crowd.get("usual") or 1)
    told["targets"] = [
        report.target("exploring kernels in 16 GB", room.get("explorer", 0), KERNELS),
        report.target("times the moves of the usual way", times, TIMES),
    ]
    report.write(options.json, told)


if __name__ == "__main__":
    main()
