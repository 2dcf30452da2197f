"""What each step of an image's way left behind, small enough to keep, and where two ways part."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np

from kit._arrays import Array
from kit._checking import instance
from kit.images.photo import Photo
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing

BLOCKS_A_SIDE = 4
"""An image is kept as means over so many blocks a side."""
SAME_MEANS_SHARE = 1e-4
"""Share of a step's largest mean by which two means may differ and be the same: machines round otherwise."""
DECODE = "decode"
PERTURB = "perturb"


@dataclass(frozen=True)
class StepRecord:
    """What one step left behind.

    `kind` is dtype and shape, `digest` the first 16 digits of SHA-256 of the bytes, and `means` are those of
    the blocks, to six digits, with spaces between them.
    """

    step: str
    kind: str
    digest: str
    means: str

    def __post_init__(self) -> None:
        for value in vars(self).values():
            instance("a step", value, str, "text")
        self.numbers()  # a ValueError where the means are none

    @classmethod
    def of(cls, step: str, array: Array) -> Self:
        """Keep what a step left: an image (H, W, C) or a tensor (1, H, W, C) or (1, C, H, W)."""
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:16]
        return cls(
            step,
            kind=f"{array.dtype} {array.shape}",
            digest=digest,
            means=_block_means_text(array),
        )

    def numbers(self) -> list[float]:
        """Return the means."""
        return [float(mean) for mean in self.means.split()]

    def same(self, other: "StepRecord") -> bool:
        """Whether two left the same; floats need not agree to the last bit."""
        # Floats of one `kind`, which is dtype and shape, are compared by their means, since processors round
        # otherwise. All else has to be equal.
        if (
            self.digest == other.digest
            or self.kind != other.kind
            or self.kind.startswith("uint8")
        ):
            return (self.kind, self.digest) == (other.kind, other.digest)
        means, other_means = self.numbers(), other.numbers()
        # 1e-6 leaves some tolerance where all means are 0.
        largest_mean = max(map(abs, [1e-6, *means]))
        # A record that was written by hand may have fewer.
        return len(means) == len(other_means) and np.allclose(
            means, other_means, rtol=0, atol=SAME_MEANS_SHARE * largest_mean
        )


def trace_of(
    photo: Photo, perturbation: Perturbation, preprocessing: Preprocessing
) -> tuple[StepRecord, ...]:
    """Take one image along its way, and keep what each step leaves, in order."""
    decoded = photo.decoded(preprocessing.decoding)
    perturbed = perturbation.apply(decoded)
    steps_of_perturbed = preprocessing.steps(perturbed)
    del steps_of_perturbed[DECODE]  # the perturbed image was decoded before
    steps = {DECODE: decoded.pixels, PERTURB: perturbed.pixels, **steps_of_perturbed}
    # A record holds a digest and means of an array, not the array.
    return tuple(StepRecord.of(name, array) for name, array in steps.items())


def first_difference(
    traced: tuple[StepRecord, ...], recorded: tuple[StepRecord, ...]
) -> str:
    """Return the first step whose results differ; empty where all are the same."""
    recorded_by_step = {record.step: record for record in recorded}
    for record in traced:
        # A step that another version of the kit did not record counts as the same: those after it show it.
        if not record.same(recorded_by_step.get(record.step, record)):
            return record.step
    return ""


def _block_means_text(array: Array) -> str:
    image = array[0] if array.ndim == 4 else array
    # The first two axes are rows and columns of (H, W, C), channels and rows of (C, H, W).
    # A side of fewer places, as of channels, has a block for each: the mean of none would be NaN.
    blocks_of_first_axis, blocks_of_second_axis = (
        np.array_split(np.arange(side), min(BLOCKS_A_SIDE, side))
        for side in image.shape[:2]
    )
    means = [
        image[first_places][:, second_places].mean(axis=(0, 1), dtype=np.float64)
        for first_places in blocks_of_first_axis
        for second_places in blocks_of_second_axis
    ]
    return " ".join(f"{mean:g}" for mean in np.ravel(means))
