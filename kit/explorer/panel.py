"""What the page is told once: controls, photographs, and what stays as it is while hands move."""

from typing import Any

from kit.explorer import path, still, words
from kit.explorer.ahead import AHEAD_BYTES, Ahead
from kit.explorer.bench import Bench
from kit.explorer.shelf import CAMERA, UPLOAD_BYTES, Shelf
from kit.explorer.view import MAIN, neutral

CAMERA_SIDE = 512
"""Longest side of a camera's frame, in pixels: the page shrinks it before it sends it."""
CAMERA_MS = 50
"""Least time between two frames, so that a camera leaves room for other work."""


def panel(bench: Bench, shelf: Shelf, ahead: Ahead, *, latency: bool) -> dict[str, Any]:
    """Return the panel of an explorer, as the page takes it."""
    classifier, trained = bench.classifier, bench.trained
    notes = list(classifier.notes)
    if classifier.preprocessing is None:
        notes.append(f"assumed here: {'; '.join(trained.describe())}")
    usual = words.usual(classifier)
    return {
        "title": classifier.name,
        "photos": [row for row in shelf.told() if row["name"] != CAMERA],
        "camera": {"name": CAMERA, "side": CAMERA_SIDE, "pause": CAMERA_MS},
        "sliders": path.sliders(),
        "path": path.chips(trained, usual),
        "usual": usual,
        "neutral": neutral(next(iter(shelf))),
        "notes": notes,
        "caption": words.caption(classifier),
        "tempered": classifier.temperature != 1,
        "uploadBytes": UPLOAD_BYTES,
        "latency": latency,
        "ahead": {"keys": MAIN, "places": ahead.places, "bytes": AHEAD_BYTES},
        "live": still.LIVE,
    }
