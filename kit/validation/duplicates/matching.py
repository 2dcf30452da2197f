"""Decides which pairs of pictures show the same, once they lie over each other."""

from itertools import compress
from typing import NamedTuple

import numpy as np

from kit._arrays import Bools, Float32
from kit.validation.duplicates.alignment import Alignment, align
from kit.validation.duplicates.candidates import Candidates
from kit.validation.duplicates.thumbnails import SIDE

LARGEST_DIFFERENCE = 9.0
"""Largest `Match.difference` of a pair, in grey levels."""
LEAST_SIMILARITY = 0.8
"""Least `Match.similarity` of a pair."""
# Both were chosen on four blocks of 10,000 pictures of Fashion-MNIST's training set, 10,000-29,999 and
# 40,000-59,999, none of them bundled. The difference was then lowered from 11, after pairs that nobody had
# planted were seen among the bundled ones; tests/benchmarks/leakage.py says what that means for its counts.

_COARSE = 0.97
"""Least share of the second picture's variance that half the resolution has to explain."""
_WHITE = 254
_NO_CROP, _NO_GAIN = 0.97, 0.04
_NO_CHANGE = 0.1
"""Root mean square in grey levels, as if every hundredth pixel were off by one."""


class Match(NamedTuple):
    """How two pictures fit; see `kit.validation.duplicates.result.Duplicate`."""

    similarity: float
    difference: float
    change: str


EQUAL = Match(1.0, 0.0, "none")


def exposed(found: Candidates, pictures: Float32) -> Candidates:
    """Let the picture with more white be the second, since a gain can clip it but nothing brings it back."""
    white = (pictures >= _WHITE).mean(axis=(1, 2))
    swapped = (found.boxes[:, 0] == 1) & (white[found.first] > white[found.second])
    return found._replace(
        first=np.where(swapped, found.second, found.first),
        second=np.where(swapped, found.first, found.second),
    )


def matches(pictures: Float32, pairs: Candidates) -> list[tuple[int, int, Match]]:
    """Lay the pairs over each other, first in half the resolution, and keep those that fit."""
    first = np.where(pairs.flipped[:, None, None], pictures[pairs.first][:, :, ::-1], pictures[pairs.first])
    coarse = align(first, pictures[pairs.second], pairs.boxes, 3, _HALF)
    kept = _explained(coarse) >= _COARSE
    if not kept.any():
        return []
    fine = align(first[kept], pictures[pairs.second[kept]], coarse.boxes[kept], 4)
    similarities, differences = compare(fine.aligned, fine.targets)
    fitting = (similarities >= LEAST_SIMILARITY) & (differences <= LARGEST_DIFFERENCE)
    changes = compress(_changes(fine, pairs.flipped[kept]), fitting)
    found = map(Match, similarities[fitting].tolist(), differences[fitting].tolist(), changes)
    places = np.flatnonzero(kept)[fitting]
    return list(zip(pairs.first[places].tolist(), pairs.second[places].tolist(), found, strict=True))


def compare(first: Float32, second: Float32) -> tuple[Float32, Float32]:
    """Measure how alike pictures are that lie over each other.

    Parameters
    ----------
    first, second
        Shape (P, `SIDE`, `SIDE`), grey levels.

    Returns
    -------
    similarities, differences
        Shape (P,) each; see `Duplicate`.
    """
    rest = second - first
    blurred = np.abs(_FINE_BLUR @ rest @ _FINE_BLUR.T)
    differences = np.sqrt(np.sqrt((blurred**2).mean((1, 2))) * blurred.max((1, 2)))

    def detail(pictures: Float32) -> Float32:
        banded = _BLUR @ pictures @ _BLUR.T - _WIDE_BLUR @ pictures @ _WIDE_BLUR.T
        energy: Float32 = np.square(banded).sum((1, 2))
        return np.sqrt(energy)

    similarities = np.clip(1 - detail(rest) / np.maximum(detail(second), 1e-3), 0, 1)
    return similarities.astype(np.float32), differences.astype(np.float32)


def _explained(alignment: Alignment) -> Float32:
    rest = ((alignment.targets - alignment.aligned) ** 2).sum((1, 2))
    return np.asarray(1 - rest / np.maximum(alignment.targets.var((1, 2)) * alignment.targets[0].size, 1e-3))


def _changes(alignment: Alignment, flipped: Bools) -> list[str]:
    cropped = alignment.boxes[:, ::2].min(axis=1) < _NO_CROP
    lit = np.abs(alignment.gains - 1) > _NO_GAIN
    rest = np.sqrt(((alignment.targets - alignment.aligned) ** 2).mean((1, 2)))
    changes = []
    for place in range(len(flipped)):
        flags = {"flip": flipped[place], "crop": cropped[place], "brightness": lit[place]}
        named = " and ".join(name for name, flag in flags.items() if flag)
        changes.append(named or ("re-encoded" if rest[place] > _NO_CHANGE else "none"))
    return changes


def _blur(sigma: float) -> Float32:
    """Matrix (SIDE, SIDE) of a Gaussian over rows or columns, whose rows add up to 1."""
    places = np.arange(SIDE)
    weights = np.exp(-((places[:, None] - places) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


_FINE_BLUR, _BLUR, _WIDE_BLUR = _blur(0.7), _blur(1.0), _blur(3.0)
_HALF: Float32 = (np.kron(np.eye(SIDE // 2), [[0.5, 0.5]]) @ _FINE_BLUR).astype(np.float32)
