"""The exercise of the unknown fault in a preprocessing."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit.classifier import Classifier, known_preprocessing
from kit.images import Photo
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault
from kit.workshop.answers import choice, told

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
        self._classifier, self._trained = classifier, known_preprocessing(classifier)
        self._fault = CATALOGUE[_MYSTERIES[int(number) - 1]]
        if not self._fault.changes(self._trained):
            raise ValueError(
                f"Expected a classifier on which mystery {number} changes something, received none"
            )
        self._number = int(number)

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

    def check(self, answer: Any) -> str:
        """Check a fault, by its name or title; return one line: passed, or what speaks against it."""
        if answer is None:
            return "Open: set answer to the name of a fault in kit.faults.CATALOGUE, or to its title."
        if isinstance(answer, Fault):
            answer = answer.name
        name = choice(answer, {each.name: (each.title, _titled(each)) for each in CATALOGUE.values()})
        if name is None:
            return f"Not yet: {told(answer)} is no fault of the catalogue; see list(kit.faults.CATALOGUE)."
        named = CATALOGUE[name]
        if named.apply(self._trained) == self._fault.apply(self._trained):
            return f"Passed: {_titled(named)}."
        near = "the step is right, and " if named.step == self._fault.step else ""
        return f"Not yet, {_titled(named)}: {near}{self._against(named)}."

    def _against(self, named: Fault) -> str:
        """Return the first thing, measured on one picture, that tells a fault from the one that is here."""
        mystery, theirs, trained = (
            preprocessing.apply(_PICTURE)[0]
            for preprocessing in (
                self._fault.apply(self._trained),
                named.apply(self._trained),
                self._trained,
            )
        )
        if np.array_equal(theirs, trained):
            return "it changes nothing about an ordinary picture, and here something is changed"
        for (what, here), (_, there) in zip(_measured(mystery), _measured(theirs), strict=True):
            if here != there:
                return f"a colourful picture's {what} would be {there} with it, and here it is {here}"
        return "its tensor has the same range and means; compare what the network sees"


def _titled(fault: Fault) -> str:
    return f"{STEPS[fault.step].lower()} {fault.title}"


def _colourful() -> Photo:
    """Draw a picture with another mean in each channel, quarter and direction, from black to white."""
    down, across = np.mgrid[0:96, 0:96] / 95
    channels = (across, down**2, (across * down) ** 0.5)
    return Photo.from_array(np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8))


def _measured(tensor: Float32) -> Iterator[tuple[str, str]]:
    """Yield what is measured of a tensor, float32 (H, W, C), the plainest first."""
    yield "range", f"{tensor.min():.3g} to {tensor.max():.3g}"
    yield "mean", f"{tensor.mean():.3g}"
    channels = tensor.mean(axis=(0, 1))
    yield "means of the channels", ", ".join(f"{mean:.3g}" for mean in channels)
    height, width = tensor.shape[0] // 2, tensor.shape[1] // 2
    yield "mean of the upper right quarter", f"{tensor[:height, width:].mean():.3g}"
    yield "steps between neighbours on average", f"{np.abs(np.diff(tensor, axis=0)).mean():.3g}"


_PICTURE = _colourful()
