"""The exercise of the pictures from somewhere else: what changed, and which remedy helps."""

from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.classifier.training import adapt
from kit.images import Photo
from kit.images.properties import Levels, relevelled
from kit.perturbation import Perturbation
from kit.workshop.answers import choice, told

_REMEDIES = MappingProxyType(
    {
        "leave": (
            "leave it",
            "leave them",
            "leave as they are",
            "leave them as they are",
            "nothing",
            "do nothing",
        ),
        "correct": ("correct the levels", "corrected", "levels", "remedy 1"),
        "adapt": ("AdaBN", "adapted", "remedy 2"),
    }
)
"""Names of the remedies, with other words for them."""
_HINTS = MappingProxyType(
    {
        "leave": "look at what changed about the pictures",
        "correct": "look whether it is the range of their levels that changed",
        "adapt": "look at how many kinds of clothes there are",
    }
)


class Delivery:
    """Pictures from somewhere else, whose labels and origin are not told, and a choice of remedies.

    Parameters
    ----------
    classifier
        A classifier of clothes, as the bundled one for Fashion-MNIST.
    levels
        To which ``"correct"`` brings the pictures back; see `kit.images.properties.usual_levels`.
    number
        1, 2 or 3.
    """

    def __init__(self, classifier: Classifier, levels: Levels, number: int) -> None:
        if number not in (1, 2, 3):
            raise ValueError(f"Expected a delivery from 1 to 3, received {number!r}")
        from kit import samples  # noqa: PLC0415 - only this exercise needs the pictures

        truth = np.array(samples.labels("fashion_mnist"))
        one = {1: None, 2: 9, 3: 8}[number]
        places = np.flatnonzero((truth == one) | (one is None))[:64]
        photos = [samples.photos("fashion_mnist")[place] for place in places]
        changes = {
            1: [Perturbation(noise=80, seed=int(place)) for place in places],
            2: [Perturbation(brightness=0.15)] * len(places),
            3: [Perturbation()] * len(places),
        }[number]
        self._classifier, self._levels, self._number, self._truth = classifier, levels, number, truth[places]
        self.photos = tuple(
            Photo(change.apply(photo).pixels, f"picture_{index:02d}")
            for index, (photo, change) in enumerate(zip(photos, changes, strict=True))
        )

    def __repr__(self) -> str:
        return f"Delivery({self._number})"

    def check(self, answer: Any) -> str:
        """Check the choice of a remedy; return one line that says passed, or how many it gets right."""
        if answer is None:
            return f"Open: set answer to one of {', '.join(_REMEDIES)}."
        remedy = choice(answer, _REMEDIES)
        if remedy is None:
            return f"Not yet: {told(answer)} is none of {', '.join(_REMEDIES)}."
        shares = self._shares
        if shares[remedy] < max(shares.values()) - 0.05:
            share = f"{shares[remedy]:.0%} of them right"
            return f"Not yet: {remedy} gets {share}, and another remedy more; {_HINTS[remedy]}."
        return f"Passed: {', '.join(f'{name} {share:.0%}' for name, share in shares.items())} right."

    @cached_property
    def _shares(self) -> dict[str, float]:
        corrected = tuple(relevelled(photo, self._levels) for photo in self.photos)
        return {
            "leave": self._share(self._classifier, self.photos),
            "correct": self._share(self._classifier, corrected),
            "adapt": self._share(adapt(self._classifier, self.photos), self.photos),
        }

    def _share(self, classifier: Classifier, photos: tuple[Photo, ...]) -> float:
        return float((classifier.probabilities(photos).argmax(axis=1) == self._truth).mean())
