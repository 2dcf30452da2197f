"""What each step of an image's way left behind, small enough to keep, and where two ways part."""

import hashlib
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kit._arrays import Array
from kit._checking import instance
from kit.images import Photo
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing

BLOCKS = 4
"""An image is kept as means over so many blocks a side."""
SAME = 1e-4
"""Share of a step's range by which two means may differ and be the same: machines round otherwise."""
DECODE, PERTURB = "decode", "perturb"


@dataclass(frozen=True)
class Left:
    """What one step left behind.

    `kind` is dtype and shape, `digest` the first 16 digits of SHA-256 of the bytes, and `means` are those of
    the blocks, to six digits.
    """

    step: str
    kind: str
    digest: str
    means: tuple[float, ...]

    @classmethod
    def of(cls, step: str, array: Array) -> Self:
        """Keep what a step left: an image (H, W, C) or a tensor (1, H, W, C) or (1, C, H, W)."""
        array = np.ascontiguousarray(array)
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:16]
        return cls(step, f"{array.dtype} {array.shape}", digest, _means(array))

    def same(self, other: "Left") -> bool:
        """Whether two left the same; floats need not agree to the last bit."""
        if self.digest == other.digest and self.kind == other.kind:
            return True
        if self.kind != other.kind or self.kind.startswith("uint8"):
            return False
        scale = max(max(map(abs, self.means), default=0.0), 1e-6)
        return bool(np.allclose(self.means, other.means, rtol=0, atol=SAME * scale))


@dataclass(frozen=True)
class Trace:
    """What all steps left behind, in the order in which they run."""

    steps: tuple[Left, ...] = ()

    @classmethod
    def of(cls, photo: Photo, perturbation: Perturbation, preprocessing: Preprocessing) -> Self:
        """Take one image along its way, and keep what each step leaves."""
        decoded = photo.decoded(preprocessing.decoding)
        perturbed = perturbation.apply(decoded)
        steps = [Left.of(DECODE, decoded.pixels), Left.of(PERTURB, perturbed.pixels)]
        steps += [Left.of(step.name, step.array) for step in preprocessing.steps(perturbed)[1:]]
        return cls(tuple(steps))

    def parts_at(self, other: "Trace") -> str:
        """Return the first step whose results differ; empty where all are the same."""
        for ours, theirs in zip(self.steps, other.steps, strict=False):
            if ours.step != theirs.step or not ours.same(theirs):
                return theirs.step
        return "" if len(self.steps) == len(other.steps) else "steps"

    def to_list(self) -> list[dict[str, Any]]:
        """Return JSON values; the means are one text, so that a case stays a file that people can read."""
        return [vars(left) | {"means": " ".join(f"{mean:g}" for mean in left.means)} for left in self.steps]

    @classmethod
    def from_list(cls, data: Any) -> Self:
        """Return the trace that `to_list` wrote.

        Raises
        ------
        TypeError, ValueError
            Something else.
        """
        steps = []
        for each in instance("trace", data, list, "a list"):
            keys = ("step", "kind", "digest", "means")
            values = [instance("a step", each, dict, "an object").get(key) for key in keys]
            step, kind, digest, means = (instance("a step", value, str, "text") for value in values)
            steps.append(Left(step, kind, digest, tuple(map(float, means.split()))))
        return cls(tuple(steps))


def _means(array: Array) -> tuple[float, ...]:
    picture = array[0] if array.ndim == 4 else array
    rows, columns = (np.array_split(np.arange(side), min(BLOCKS, side)) for side in picture.shape[:2])
    blocks = [
        picture[row][:, column].mean(axis=(0, 1), dtype=np.float64) for row in rows for column in columns
    ]
    return tuple(float(f"{value:g}") for value in np.ravel(blocks))
