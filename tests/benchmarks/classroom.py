"""How many learners one machine carries: Linux only, since it reads /proc.

Variants
    ``explorer`` and ``usual`` of live_latency.py, in turn. Every learner has a kernel of their own.

Memory
    ``pss_mb``: the proportional set size of a kernel after its moves: what several processes share counts in
    parts. The server (once) and the browsers (on the learners' machines) are not in it.

Moves
    20 learners move their brightness slider ten times a second. A thread for each sends what the
    page would, over the kernel's own sockets: one message under way, the newest waits.
    ``moves_hz``: answers a second of all together. ``p50_ms``, ``p95_ms``: from a move to its answer in this
    process; moves that a newer one overtook have no time. No browser paints here, as on a hub.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import psutil
from jupyter_client.manager import start_new_kernel

from tests.benchmarks import report
from tests.benchmarks.live_latency import PLACES, cells

PHOTO = "astronaut.jpg"
HZ = 10
PATIENCE = 120
LEARNERS, SECONDS = 20, 10
"""How many learners move at once, and for how long."""


class Learner:
    """A kernel with a slider, and who moves it."""

    def __init__(self, variant):
        self.variant = variant
        self.manager, self.client = start_new_kernel(
            startup_timeout=PATIENCE, cwd=str(report.ROOT)
        )
        for cell in ("%matplotlib inline", *cells(variant)):
            reply = self.client.execute_interactive(
                cell, timeout=PATIENCE, output_hook=self._shown
            )
            assert reply["content"]["status"] == "ok", reply["content"]
        self.move(PLACES[-1])

    def _shown(self, message):
        content = message["content"]
        if message["msg_type"] == "comm_open":
            state = content["data"]["state"]
            # The widget that takes the moves.
            if "Explorer" in state.get("_anywidget_id", "") or state.get("max") == 3:
                self.comm = content["comm_id"]

    def move(self, place):
        """Put the slider somewhere and wait until the answer is here."""
        state = {"value": place}
        data = {"method": "update", "state": state, "buffer_paths": []}
        answer = "display_data"
        if self.variant == "explorer":
            settings = {"brightness": place, "noise": 20, "photo": PHOTO}
            content = {"kind": "settings", "settings": settings, "held": PHOTO}
            content["request"] = f"learner.{time.perf_counter()}"
            data = {"method": "custom", "content": content}
            answer = "comm_msg"
        content = {"comm_id": self.comm, "data": data}
        message = self.client.session.msg("comm_msg", content)
        self.client.shell_channel.send(message)
        while True:
            said = self.client.get_iopub_msg(timeout=PATIENCE)
            if said["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            # Updates of the widget's traits are no answer.
            is_update = said["content"].get("data", {}).get("method") == "update"
            if said["msg_type"] == answer and not is_update:
                return

    def close(self):
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def drag(learner, start):
    """Move ten times a second, and return the time in ms from each answered move to its answer."""
    taken = []
    last = -1
    while (now := time.perf_counter() - start) < SECONDS:
        # The newest move that has come by now; those before it were overtaken.
        number = int(now * HZ)
        if number == last:
            time.sleep((number + 1) / HZ - now)
            continue
        last = number
        learner.move(PLACES[len(taken) % len(PLACES)])
        taken.append(1000 * (time.perf_counter() - start - number / HZ))
    return taken


def together(learners):
    """Let all move at the same time, each in its own phase."""
    start = time.perf_counter() + 0.2
    phases = [start + index / HZ / len(learners) for index in range(len(learners))]
    with ThreadPoolExecutor(len(learners)) as pool:
        times = list(pool.map(drag, learners, phases))
    took = time.perf_counter() - start
    answered = list(chain(*times))
    return {
        "variant": learners[0].variant,
        "moves_hz": len(answered) / took,
        **report.percentiles(answered),
    }


def memory(learners):
    """Return the mean memory of their kernels."""
    processes = [psutil.Process(each.manager.provisioner.pid) for each in learners]
    sizes = [process.memory_full_info().pss / 1e6 for process in processes]
    return {"pss_mb": statistics.mean(sizes)}


def main():
    """Start all of a variant, let them move, and write what there is by then."""
    options = report.parser(__doc__).parse_args()
    rows = []
    for variant in ("explorer", "usual"):
        # Two at a time: as many as two cores start at once without waiting.
        with ThreadPoolExecutor(2) as pool:
            learners = list(pool.map(Learner, [variant] * LEARNERS))
        rows.append(together(learners) | memory(learners))
        report.table(rows[-1:])
        report.write(options.json, {"rows": rows})
        for learner in learners:
            learner.close()


if __name__ == "__main__":
    main()
