"""Pictures of what moved: what the network saw when a case was made, what it sees now, and the difference."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kit._arrays import Pixels
from kit.classifier import Classifier, known_preprocessing
from kit.images import load_image
from kit.images.photo import encoded
from kit.regression import cases as folders
from kit.regression.cases import Case
from kit.regression.result import Checked

SEEN = "seen"
"""Folder of what networks saw, below that of the cases; a case does without it."""
LEAST, TALLEST, GAP, LINE = 96, 2000, 8, 16
"""Pixels that a picture is made wide at least unless it gets so tall, that are between two, and for words."""
STRONGER = 4
"""By how much the difference is made stronger."""


def check_folder(folder: Path, cases: Path) -> None:
    """Make a folder of artefacts before anything is run; refuse that of the cases, where it would be read."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() == cases.resolve():
        raise ValueError(
            f"Expected another folder for artefacts than that of the cases, received {folder.name!r}"
        )


def keep_seen(case: Case, path: Path, classifier: Classifier) -> None:
    """Keep what the network sees when a case is written: for people, never for comparing."""
    seen = encoded(seen_now(case, path.parent, classifier))
    folders.write(path.parent / SEEN / f"{path.stem}.png", seen)


def keep_picture_of(one: Checked, cases: Path, classifier: Classifier, target: Path) -> Path | None:
    """Write then, now and the difference side by side, with these words; return the path, or None without."""
    if one.case is None:
        return None
    try:
        now = seen_now(one.case, cases, classifier)
    except ValueError:
        return None
    kept = cases / SEEN / f"{one.name}.png"
    if not kept.exists():  # as older cases have it
        kept = kept.with_suffix(".jpg")
    parts = {"now": now}
    with suppress(OSError, ValueError):  # without it, or with something else in its place
        seen = load_image(kept).pixels
        then = np.asarray(Image.fromarray(seen).resize(now.shape[1::-1]))
        words = "then" if seen.shape == now.shape else f"then: {seen.shape[0]} x {seen.shape[1]}"
        parts = {words: then, "now": now, f"{STRONGER} x difference": _difference(then, now)}
    path = target / f"{one.name}.png"
    folders.write(path, encoded(_side_by_side(parts)))
    return path


def _side_by_side(parts: Mapping[str, Pixels]) -> Pixels:
    """Return pictures of one size in a row, each above its words; of small ones each pixel is repeated."""
    height, width, _ = next(iter(parts.values())).shape
    times = max(1, min(-(-LEAST // width), TALLEST // height))
    high, step = times * height, times * width + GAP
    row = Image.new("RGB", (len(parts) * step - GAP, high + LINE), "white")
    for place, (words, part) in enumerate(parts.items()):
        row.paste(Image.fromarray(part.repeat(times, 0).repeat(times, 1)), (place * step, 0))
        ImageDraw.Draw(row).text((place * step + 2, high + 2), words, "black")
    return np.asarray(row)


def seen_now(case: Case, cases: Path, classifier: Classifier) -> Pixels:
    """Return what a network that expects what it got then sees of a case's picture: uint8, (H, W, 3)."""
    steps = case.preprocessing or known_preprocessing(classifier)
    tensor = classifier.tensor(folders.photo_of(cases, case), case.perturbation, steps)
    with suppress(ValueError):  # other axes
        return (case.observed.preprocessing or steps).picture(tensor)
    return steps.picture(tensor)


def _difference(then: Pixels, now: Pixels) -> Pixels:
    change = np.abs(then.astype(np.int16) - now)
    stronger: Pixels = np.clip(STRONGER * change, 0, 255).astype(np.uint8)
    return stronger
