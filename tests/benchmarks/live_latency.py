"""How fast the softmax bars follow the hand, in a real JupyterLab.

Variants
    ``explorer``: `kit.Explorer` with EfficientNet-Lite0, on one photograph with noise of 20 levels. While the
    slider rests, it fetches answers ahead along the slider, as it does for people.
    ``asking``: the same with ``ahead=0``, so that every move asks the kernel.
    ``usual``: usual_way.ipynb, as such sliders are commonly written, on the same photograph and noise.
    All of them run in one stock JupyterLab server, each with its own kernel, in headless Chromium, and stay
    open during the whole run; every repeat goes once through all variants in turn.

Moves
    A script in the page (drive.js) sets the brightness slider and fires the event that a hand would.
    ``isolated``: a move to another place of the slider, then 0.2 to 0.3 s of rest once its answer is painted.
    ``drag``: one move each frame, 60 Hz, five times along the slider.

Times
    From the event to the first task after the frame that shows the bars of that very value (which comes again
    only after 0.7 s); moves that a newer one overtook are never painted and have no time. For figures that
    frame is the one after the image has loaded. ``painted_hz``: paints over the time from the first event to
    the last paint. ``settle_ms``: from the last event to its paint. All are over all repeats together.
"""

from collections import defaultdict
from itertools import product
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import sync_playwright

from tests import chromium
from tests.benchmarks import report
from tests.browser.lab import jupyter_lab

HERE = Path(__file__).resolve().parent
VARIANTS = ("explorer", "asking", "usual")
REPEATS = 3
PLACES = [round(0.5 + 0.05 * index, 2) for index in range(40)]
"""Of the sliders, neither neutral nor dark."""
MOVES = {
    "isolated": [PLACES[index * 39 // 29] for index in range(30)],
    "drag": PLACES * 5,
}
DRIVE = (HERE / "drive.js").read_text(encoding="utf-8")

EXPLORER = """
import kit
classifier = kit.samples.classifier("efficientnet_lite0")
explorer = kit.Explorer(classifier, kit.samples.photo("astronaut.jpg"){option})
explorer.settings = {{"noise": 20}}
explorer
"""


def main():
    """Measure, print a table, and write the JSON file."""
    options = report.parser(__doc__).parse_args()
    runs = defaultdict(list)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        with jupyter_lab(browser) as lab:
            books = {variant: opened(lab, variant) for variant in VARIANTS}
            for _ in range(REPEATS):
                for (variant, book), mode in product(books.items(), MOVES):
                    runs[mode, variant].append(driven(book, variant, mode))
        browser.close()
    rows = [summary(*key, logs) for key, logs in runs.items()]
    report.table(rows)
    report.write(options.json, {"rows": rows})


def cells(variant):
    """Return the code of the cells of a variant's notebook."""
    if variant == "usual":
        data = str(report.ROOT / "data")
        book = nbformat.read(HERE / "usual_way.ipynb", as_version=4)
        _, *code = [cell.source for cell in book.cells if cell.cell_type == "code"]
        return [f"DATA = {data!r}", *code]
    option = ", ahead=0" if variant == "asking" else ""
    return [EXPLORER.format(option=option)]


def opened(lab, variant):
    """Open the notebook of a variant and wait until its slider is there."""
    code = cells(variant)
    book = lab.open(code, wire=True)
    for index in range(len(code)):
        book.run(index)
    slider = ".noUi-target" if variant == "usual" else "input[data-key=brightness]"
    book.page.locator(slider).first.wait_for(timeout=60_000)
    book.page.locator(slider).first.scroll_into_view_if_needed()
    return book


def driven(book, variant, mode):
    """Move the slider; the log of drive.js, each paint with the last event that asked for its value."""
    how = {"variant": variant, "mode": mode, "values": MOVES[mode], "pause": 200}
    book.page.bring_to_front()
    log = book.page.evaluate(DRIVE, how)
    paints = []
    for paint in log["paints"]:
        asked = [
            event
            for event in log["events"]
            if event["time"] <= paint["time"]
            and round(100 * event["value"]) == round(100 * paint["value"])
        ]
        if asked:
            paints.append(paint | {"event": asked[-1]})
    return log | {"paints": paints}


def summary(mode, variant, logs):
    """Put the runs of one key together."""
    paints = [paint for log in logs for paint in log["paints"]]
    latencies = [paint["time"] - paint["event"]["time"] for paint in paints]
    settle = []
    seconds = 0
    for log in logs:
        first, *_, last = log["events"]
        times = [paint["time"] for paint in log["paints"] if paint["event"] is last]
        settle.append(min(times, default=np.inf) - last["time"])
        seconds += (log["paints"][-1]["time"] - first["time"]) / 1000
    return {
        "mode": mode,
        "variant": variant,
        **report.percentiles(latencies),
        "painted_hz": len(paints) / seconds,
        "settle_ms": np.median(settle),
    }


if __name__ == "__main__":
    main()
