"""How fast the softmax bars follow the hand, in a real JupyterLab.

Variants
    ``floor``: a slider that the kernel answers without computing (echo.py), sending as the explorer does.
    ``explorer``: `kit.Explorer`, on one photograph with noise of 20 levels. While the slider rests, it
    fetches answers ahead along the slider, as it does for people; ``known_ahead`` is the share of paints that
    it did not have to ask for any more.
    ``asking``: the same with ``ahead=0``, so that every move asks the kernel.
    ``usual``: usual_way.ipynb, as such sliders are commonly written, on the same photograph and noise.
    All of them run in one stock JupyterLab server, each with its own kernel, in headless Chromium, and stay
    open during the whole run; every repeat goes once through all models and variants in turn.

Moves
    A script in the page (drive.js) sets the brightness slider and fires the event that a hand would.
    ``isolated``: a move to another place of the slider, then 0.2 to 0.3 s of rest once its answer is painted.
    ``drag``: one move each frame, 60 Hz, five times along the slider. ``… during fit``: the same while
    another cell of the notebook trains a network (explorer only).

Times
    From the event to the first task after the frame that shows the bars of that very value (which comes again
    only after 0.7 s); moves that a newer one overtook are never painted and have no time. For figures that
    frame is the one after the image has loaded. ``painted_hz``: paints over the time from the first event to
    the last paint. ``settle_ms``: from the last event to its paint. ``forward_p50_ms``: the forward pass in a
    loop in the same kernel, just before the moves: the light engine for the explorer, ``model.predict`` for
    the usual way. Percentiles are over all repeats together; ``p50_range_ms`` has the lowest and highest p50
    of a repeat.
"""

import statistics
import time
from importlib.metadata import version
from itertools import product
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from tests import chromium
from tests.benchmarks import report
from tests.browser.lab import jupyter_lab

HERE = Path(__file__).resolve().parent
MODELS = ("efficientnet_lite0", "fashion_mnist")
VARIANTS = ("floor", "explorer", "asking", "usual")
MODES = ("isolated", "drag")
PACKAGES = (
    "jupyterlab",
    "ipykernel",
    "ipywidgets",
    "anywidget",
    "keras",
    "tensorflow-cpu",
    "numpy",
)
PACKAGES += ("ai-edge-litert",)
COLUMNS = (
    "model",
    "mode",
    "variant",
    "p50_ms",
    "p95_ms",
    "painted_hz",
    "painted",
    "known_ahead",
)
COLUMNS += ("settle_ms", "forward_p50_ms")
FASTER = (
    ("drag", "p50_ms", (18, 10)),
    ("drag", "p95_ms", (15, 8)),
    ("isolated", "p50_ms", (12, 8)),
)
"""How many times faster than the usual way, with the small network and with the large one."""
DRIVE = (HERE / "drive.js").read_text(encoding="utf-8")
USUAL = HERE / "usual_way.ipynb"

EXPLORER = """
import time
import kit
import numpy as np
model = {model!r}
photos = kit.samples.photos("photographs" if model == "efficientnet_lite0" else "fashion_mnist")
photo = next((photo for photo in photos if photo.name == "astronaut.jpg"), photos[0])
explorer = kit.Explorer(kit.samples.classifier(model), photo{option})
explorer.settings = {{"noise": 20}}
explorer
"""
FIT = """
import keras
trained = keras.Sequential([keras.layers.Conv2D(16, 3), keras.layers.Flatten(), keras.layers.Dense(10)])
trained.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
pictures, labels = np.random.rand(2000, 28, 28, 1).astype("float32"), np.arange(2000) % 10
trained.fit(pictures, labels, epochs=1, verbose=0)
print("training")
trained.fit(pictures, labels, epochs=1000, verbose=0)
"""
FLOOR = "from tests.benchmarks.echo import Echo\nEcho()"
LIGHT = "forward = lambda: explorer.classifier.network.engine.predict(explorer.tensor)"
USUALLY = "x = preprocess(photo)\nforward = lambda: model.predict(x, verbose=0)"
FORWARD = {"explorer": LIGHT, "asking": LIGHT, "usual": USUALLY}
TIMED = """
import time
for _ in range(5):
    forward()
times = []
for _ in range({count}):
    start = time.perf_counter()
    forward()
    times.append(1000 * (time.perf_counter() - start))
print(sorted(times)[len(times) // 2])
"""


def main():
    """Measure, print a table and the targets, and write the JSON file."""
    options = _options()
    started = time.time()
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright)
        with jupyter_lab(browser) as lab:
            runs = list(_measure(lab, options))
        versions = {
            "browser": browser.version,
            **{name: version(name) for name in PACKAGES},
        }
        browser.close()
    rows = [_row(*key, runs) for key in dict.fromkeys(run["key"] for run in runs)]
    report.table(rows, COLUMNS)
    told = {
        "versions": versions,
        "repeats": options.repeats,
        "seconds": round(time.time() - started),
    }
    report.write(options.json, told | {"rows": rows, "targets": list(_targets(rows))})


def _options():
    parser = report.parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one repeat with few moves: to see that it works",
    )
    options = parser.parse_args()
    options.repeats = 1 if options.quick else options.repeats
    return options


def _measure(lab, options):
    """Yield what each run of moves gave, with its key (model, mode, variant)."""
    moves = {
        "isolated": 8 if options.quick else 30,
        "drag": 60 if options.quick else 200,
    }
    books = {
        each: _open(lab, *each) for each in product(options.models, options.variants)
    }
    for _repeat in range(options.repeats):
        for (model, variant), book in books.items():
            forward = _forward(book, variant)
            for mode in MODES:
                run = _moves(book, variant, mode, moves[mode])
                yield {"key": (model, mode, variant), "forward": forward, **run}
    for (model, variant), book in books.items():
        if variant == "explorer":
            forward = _forward(book, variant)
            book.start(1)
            book.output(1).get_by_text("training").wait_for(timeout=120_000)
            for mode in MODES:
                run = _moves(book, variant, mode, moves[mode])
                yield {
                    "key": (model, f"{mode} during fit", variant),
                    "forward": forward,
                    **run,
                }
        book.close()


def _open(lab, model, variant):
    """Open the notebook of a variant and wait until its slider is there."""
    if variant == "usual":
        cells = usual_cells(model)
    else:
        option = ", ahead=0" if variant == "asking" else ""
        cells = (
            [FLOOR]
            if variant == "floor"
            else [EXPLORER.format(model=model, option=option), FIT]
        )
    book = lab.open(cells, wire=True)
    for index in range(len(cells) if variant == "usual" else 1):
        book.run(index)
    slider = ".noUi-target" if variant == "usual" else "input[data-key=brightness]"
    book.page.locator(slider).first.wait_for(timeout=60_000)
    book.page.locator(slider).first.scroll_into_view_if_needed()
    return book


def usual_cells(model):
    """Return the code of the usual way's notebook, for one of `MODELS`."""
    return [
        f"MODEL = {model!r}\nDATA = {str(report.ROOT / 'data')!r}",
        *report.cells(USUAL)[1:],
    ]


def _forward(book, variant):
    """Median time of the forward pass in ms, in the kernel of the notebook."""
    if variant not in FORWARD:
        return None
    return float(
        book.ask(
            FORWARD[variant] + TIMED.format(count=30 if variant == "usual" else 100)
        )
    )


def _moves(book, variant, mode, count):
    """Move the slider and return latencies and counts of this run."""
    book.page.bring_to_front()
    return _run(book.page.evaluate(DRIVE, _how(variant, mode, count)), variant, count)


def _how(variant, mode, count):
    """Return what drive.js is told."""
    # Places of the sliders that are neither neutral nor dark.
    places = [round(0.5 + 0.05 * index, 2) for index in range(40)]
    drag = [places[index % len(places)] for index in range(count)]
    values = (
        drag
        if mode == "drag"
        else [places[index * 39 // (count - 1)] for index in range(count)]
    )
    return {"variant": variant, "mode": mode, "values": values, "pause": 200}


def _run(log, variant, count):
    """Return latencies and counts of what drive.js has logged."""
    events, last = log["events"], log["events"][-1]
    found = (
        paint | {"event": _cause(paint["value"], paint["time"], events)}
        for paint in log["paints"]
    )
    paints = [paint for paint in found if paint["event"]]
    reached = [paint for paint in paints if paint["event"] is last]
    return {
        "latencies": [paint["time"] - paint["event"]["time"] for paint in paints],
        "painted_hz": 1000 * len(paints) / (paints[-1]["time"] - events[0]["time"]),
        "event_hz": 1000 * (count - 1) / (last["time"] - events[0]["time"]),
        "painted": len(paints),
        "known_ahead": sum(paint["kernelMs"] is None for paint in paints)
        if variant != "usual"
        else 0,
        "events": count,
        "settle_ms": reached[0]["time"] - last["time"] if reached else float("inf"),
        "last_shown": bool(paints) and paints[-1] is (reached or [None])[-1],
    }


def _cause(value, time, events):
    """Return the last event that asked for this value before this time."""
    earlier = [event for event in events if event["time"] <= time]
    asked = [
        event for event in earlier if round(100 * event["value"]) == round(100 * value)
    ]
    return asked[-1] if asked else None


def _row(model, mode, variant, runs):
    """Put the runs of one key together."""
    own = [run for run in runs if run["key"] == (model, mode, variant)]
    latencies = [value for run in own for value in run["latencies"]]
    medians = sorted(round(float(np.median(run["latencies"])), 1) for run in own)

    def middle(name, digits=1):
        return round(statistics.median(run[name] for run in own), digits)

    row = {
        "model": model,
        "mode": mode,
        "variant": variant,
        **report.percentiles(latencies, 50, 95),
    }
    row |= {"p50_range_ms": [medians[0], medians[-1]], "settle_ms": middle("settle_ms")}
    row["max_ms"] = round(max(latencies), 1)
    row |= {name: middle(name) for name in ("painted_hz", "event_hz")}
    row |= {
        name: sum(run[name] for run in own)
        for name in ("painted", "known_ahead", "events")
    }
    row["known_ahead"] = round(row["known_ahead"] / row["painted"], 2)
    row["forward_p50_ms"] = None if own[0]["forward"] is None else middle("forward", 2)
    return row | {"last_shown": all(run["last_shown"] for run in own)}


def _targets(rows):
    """Yield each target with what was measured."""
    found = {(row["model"], row["mode"], row["variant"]): row for row in rows}
    for model in dict.fromkeys(row["model"] for row in rows):
        small = model == "fashion_mnist"
        alone, drag = (found.get((model, mode, "explorer")) for mode in MODES)
        if alone is None or drag is None:
            continue
        drags = f"{model}, drag"
        yield report.target(
            f"{drags}: paints a second", drag["painted_hz"], 55 if small else 40
        )
        yield report.target(
            f"{drags}: the last position is shown", float(drag["last_shown"]), 1
        )
        settling = drag["settle_ms"] / drag["p95_ms"]
        yield report.target(f"{drags}: time to settle over p95", settling, 1, most=True)
        if floor := found.get((model, "isolated", "floor")):
            ratio = alone["p50_ms"] / (floor["p50_ms"] + alone["forward_p50_ms"])
            yield report.target(
                f"{model}, isolated: p50 over floor + forward", ratio, 1.5, most=True
            )
        for mode, percentile, bounds in FASTER:
            if usual := found.get((model, mode, "usual")):
                ratio = usual[percentile] / found[model, mode, "explorer"][percentile]
                text = f"{model}, {mode}: {percentile[:3]}, times faster than usual"
                yield report.target(text, ratio, bounds[not small])


if __name__ == "__main__":
    main()
