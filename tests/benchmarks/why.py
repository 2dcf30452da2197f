"""Whether *Why?* names the control that did it, first and at once: ``why.py [--json FILE] [--photos N]``.

Every fault of the explorer's menus and ten perturbations on photographs of EfficientNet-Lite0. Wherever the
answer differs from the untouched one, the first line has to name the control, its *Take back* has to restore
the untouched answer, and it has to be there in half a second.
"""

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))  # a script starts with its own folder in place of the project's

import numpy as np  # noqa: E402

from kit import samples  # noqa: E402
from kit.explorer.view import (  # noqa: E402
    Bench,
    neutral,
)
from kit.explorer.why import changes, told, words  # noqa: E402
from kit.preprocessing import faults  # noqa: E402

PERTURBATIONS = [
    *({"brightness": value} for value in (0.2, 2.5)),
    *({"noise": value} for value in (30, 60, 100)),
    *({"blur": value} for value in (4, 8)),
    {"jpeg_quality": 5},
    {"contrast": 0.2},
    {"rotation": 30},
]
SECONDS = 0.5


def main() -> None:
    """Measure, print a line for each control and the whole, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--photos", type=int, default=8)
    given = parser.parse_args()
    network = samples.classifier("efficientnet_lite0")
    bench = Bench(network, network.preprocessing)
    photos = samples.photos("imagenet")[:: max(1, len(samples.photos("imagenet")) // given.photos)]
    controls = [
        {step: fault.name}
        for step in faults.STEPS
        for fault in faults.alternatives(network.preprocessing, step)
    ] + PERTURBATIONS
    rows = [
        row for change in controls for photo in photos[: given.photos] if (row := asked(bench, photo, change))
    ]
    for change in controls:
        some = [row for row in rows if row["change"] == change]
        named, back = (sum(row[key] for row in some) for key in ("named", "restored"))
        print(f"{change!s:45} differs {len(some)}, named first {named}, restored {back}")
    seconds = np.array([row["seconds"] for row in rows])
    print(
        f"{len(controls)} controls on {given.photos} photographs: {len(rows)} answers differ,"
        f" {sum(row['named'] for row in rows)} named first, {sum(row['restored'] for row in rows)} restored,"
        f" {np.median(seconds):.3f} s in the middle, {seconds.max():.3f} s at most"
        f" ({(seconds < SECONDS).sum()} under {SECONDS} s)"
    )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def asked(bench, photo, change):
    """Return what the first line says where the answer differs; None where it does not."""
    plain = neutral(photo.name)
    untouched = bench.view(photo, plain)

    def compute(settings):
        return untouched if settings == plain else bench.view(photo, settings, untouched)

    view = compute(plain | change)
    if view.top == untouched.top:
        return None
    started = time.perf_counter()
    found = changes(view, compute)
    lines = told(found, view, bench.classifier.class_names)
    seconds = time.perf_counter() - started
    (key,) = change
    restored = compute(view.settings | lines[0]["settings"]).top == untouched.top
    named = lines[0]["text"].startswith(f"{words(key, view.settings)}: without it ")
    return {
        "photo": photo.name,
        "change": change,
        "named": named,
        "restored": bool(restored),
        "seconds": round(seconds, 4),
    }


if __name__ == "__main__":
    main()
