"""Pictures of what moved: what the network saw when a case was made, what it sees now, and the difference."""

from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from kit._arrays import Pixels
from kit.classifier import Classifier, known_preprocessing
from kit.images import load_image
from kit.images.photo import encoded
from kit.regression import folder as folders
from kit.regression.case import Case
from kit.regression.result import Checked

SEEN = "seen"
"""Folder of what networks saw, below that of the cases; a case does without it."""
GAP, STRONGER = 8, 4
"""Pixels between two pictures, and by how much the difference is made stronger."""


def keep_seen(folder: Path, name: str, seen: Pixels) -> None:
    """Keep what the network sees when a case is made, as a JPEG: for people, never for comparing."""
    folders.write(folder / SEEN / f"{name}.jpg", encoded(seen, "JPEG", quality=90))


def keep_picture_of(one: Checked, cases: Path, classifier: Classifier, target: Path) -> Path | None:
    """Write then, now and the difference side by side; return the path, or None without a picture."""
    if one.case is None:
        return None
    try:
        now = seen_now(one.case, cases, classifier)
    except ValueError:
        return None
    kept = cases / SEEN / f"{one.name}.jpg"
    parts = [now]
    with suppress(OSError, ValueError):  # without it, or with something else in its place
        then = np.asarray(Image.fromarray(load_image(kept).pixels).resize(now.shape[1::-1]))
        parts = [then, now, _difference(then, now)]
    blank = np.full((now.shape[0], GAP, 3), 255, np.uint8)
    row = [piece for part in parts for piece in (part, blank)][:-1]
    path = target / f"{one.name}.png"
    folders.write(path, encoded(np.concatenate(row, axis=1)))
    return path


def seen_now(case: Case, cases: Path, classifier: Classifier) -> Pixels:
    """Return what the network sees of a case's picture: uint8, (H, W, 3)."""
    own = known_preprocessing(classifier)
    tensor = classifier.tensor(folders.photo_of(cases, case), case.perturbation, case.preprocessing or own)
    return np.ascontiguousarray((case.preprocessing or own).picture(tensor))


def _difference(then: Pixels, now: Pixels) -> Pixels:
    change = np.abs(then.astype(np.int16) - now)
    stronger: Pixels = np.clip(STRONGER * change, 0, 255).astype(np.uint8)
    return stronger
