"""The exercise of the unknown fault in a preprocessing."""

from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.images import Photo
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault

_MYSTERIES = ("double_scaling", "inverted", "imagenet_mean_std")


class Mystery:
    """A preprocessing with one fault in it that is not told.

    Parameters
    ----------
    classifier
        Its preprocessing is taken, and a fault put into it.
    number
        1, 2 or 3.
    """

    def __init__(self, classifier: Classifier, number: int) -> None:
        if number not in range(1, len(_MYSTERIES) + 1):
            raise ValueError(f"Expected a mystery from 1 to {len(_MYSTERIES)}, received {number!r}")
        if classifier.preprocessing is None:
            raise ValueError("Expected a classifier with a known preprocessing, received one without")
        self._classifier = classifier
        self._trained = classifier.preprocessing
        self._fault = CATALOGUE[_MYSTERIES[number - 1]]
        self._number = number

    def __repr__(self) -> str:
        return f"Mystery({self._number})"

    def tensor(self, photo: Photo) -> Any:
        """Return what the network is fed: float32 (1, H, W, C)."""
        return self._fault.apply(self._trained).apply(photo)

    def seen(self, photo: Photo) -> Any:
        """Return what the network takes it for: uint8 (H, W, 3)."""
        return self._trained.picture(self.tensor(photo))

    def probabilities(self, photo: Photo) -> Any:
        """Return the softmax probabilities: float32 (classes,)."""
        return self._classifier.predict_tensors(self.tensor(photo))[0]

    def check(self, answer: str | None) -> str:
        """Check the name of a fault; return one line that says passed, or what speaks against it."""
        if answer is None:
            return "Open: set answer to the name of a fault in kit.faults.CATALOGUE."
        if answer not in CATALOGUE:
            return f"Not yet: {answer!r} is no fault of the catalogue: {', '.join(CATALOGUE)}."
        named: Fault = CATALOGUE[answer]
        if named.apply(self._trained) == self._fault.apply(self._trained):
            return f"Passed: {named.title} ({STEPS[named.step].lower()})."
        if named.step == self._fault.step:
            return f"Not yet: the step is right ({STEPS[named.step].lower()}), what is done there is not."
        mystery, theirs = self._spread(self._fault), self._spread(named)
        return (
            f"Not yet: a picture that runs from black to white becomes {mystery} here and {theirs} with "
            f"{answer}; compare what the network sees, too."
        )

    def _spread(self, fault: Fault) -> str:
        ramp = np.linspace(0, 255, 64, dtype=np.uint8)
        tensor = fault.apply(self._trained).apply(Photo.from_array(np.tile(ramp[None, :, None], (64, 1, 3))))
        return f"{tensor.min():.3g} to {tensor.max():.3g}"
