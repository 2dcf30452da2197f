"""A person's own preprocessing function, held against what the classifier was trained with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kit._arrays import Pixels
from kit._reporting import Result
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.images import Photo, Pictures, as_photos
from kit.preprocessing.comparison import Comparison

Function = Callable[[Pixels], Any]


@dataclass(frozen=True, repr=False)
class Checkup(Result):
    """How a function agrees with a classifier's preprocessing.

    Attributes
    ----------
    comparisons
        One for each photo.
    changed
        Share of the photos, 0 to 1, whose answer differs; None where the function's tensors do not fit the
        network.
    """

    comparisons: tuple[Comparison, ...]
    changed: float | None

    @property
    def agrees(self) -> bool:
        """Whether nothing differs on any photo."""
        return all(comparison.equal for comparison in self.comparisons)

    @property
    def first_step(self) -> str | None:
        """The first step at which the function parts from the contract; None if it never does."""
        return next((part.first_step for part in self.comparisons if part.first_step is not None), None)

    def __str__(self) -> str:
        count = len(self.comparisons)
        if self.agrees:
            return (
                f"The function agrees with the preprocessing of the classifier on {count} of {count} photos."
            )
        parted = [comparison for comparison in self.comparisons if not comparison.equal]
        head = f"The function parts from the preprocessing at {self.first_step!r} on {len(parted)} of {count}"
        effect = "" if self.changed is None else f"; {self.changed:.0%} of the answers change"
        return f"{head}{effect}.\n{parted[0]}"

    def __repr__(self) -> str:
        outcome = "agrees" if self.agrees else f"parts at {self.first_step!r}"
        return f"Checkup({outcome}, {len(self.comparisons)} photos)"


def check(classifier: Classifier, photos: Pictures, function: Function) -> Checkup:
    """Hold a person's own preprocessing function against the contract of a classifier.

    Parameters
    ----------
    classifier
        With a known preprocessing.
    photos
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.
    function
        From RGB uint8 (H, W, 3) to what is fed to the network, with or without a leading axis of 1; see
        `kit.preprocessing.black_box.compare_function`.

    Returns
    -------
    Checkup
        Print it to read it. What the function raises is a difference, not an error.

    Raises
    ------
    TypeError
        If the arguments are in another order, or `function` cannot be called.
    ValueError
        If the preprocessing is unknown, or there is no photo.
    """
    check_first(classifier, "kit.check(classifier, photos, function)")
    if not callable(function):
        kind = type(function).__name__
        raise TypeError(
            f"Expected a function, received {kind}; write kit.check(classifier, photos, function)"
        )
    contract = known_preprocessing(classifier)
    chosen = as_photos(photos, allow_empty=False)
    comparisons = tuple(contract.compare(function, photo) for photo in chosen)
    return Checkup(comparisons, _changed(function, classifier, chosen))


def _changed(function: Function, classifier: Classifier, photos: tuple[Photo, ...]) -> float | None:
    differing = 0
    for photo in photos:
        ours = classifier.tensor(photo)
        decoded = photo.decoded(known_preprocessing(classifier).decoding)
        try:
            theirs = np.asarray(function(decoded.pixels.copy())).astype(np.float32)
            theirs = theirs if theirs.ndim == ours.ndim else theirs[None]
            answers = classifier.predict_tensors(np.concatenate([ours, theirs])).argmax(axis=1)
        except Exception:  # noqa: BLE001 (whatever a person's function raises is told by the comparison)
            return None
        differing += int(answers[0] != answers[1])
    return differing / len(photos)
