"""What a classifier makes of a shift: predictions before and after images are altered in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kit.classifier import Classifier
from kit.images import Photo
from kit.perturbation.alterations import ALTERATIONS
from kit.robustness.attribution import Explanation

Pictures = Literal["training", "undone", "once more"]

CARES = 0.05
"""Share of the answers that must change at the strength of the shift.

Answers to training pictures are the last to change, so this is less than what photos lose.
"""

FEWEST = 10
"""Pictures from which that is said."""

_INVERTIBLE = frozenset({"brightness", "contrast", "warmth", "tint", "saturation"})
_FARTHEST = 3.0


@dataclass(frozen=True)
class Response:
    """Predictions of a classifier under one alteration, as strong as in a shift.

    Attributes
    ----------
    pictures
        Which were altered: the ``"training"`` images as the shift did, the photos back to what the training
        images are like (``"undone"``), or the photos ``"once more"``, where that cannot be done.
    strength
        Of the alteration that was done.
    changed
        Share of the predictions that change, 0..1.
    count
        Images.
    """

    pictures: Pictures
    strength: float
    changed: float
    count: int

    @property
    def verdict(self) -> Literal["cares", "indifferent", "cannot_tell"]:
        """Whether at least `CARES` of the predictions change."""
        if self.count < FEWEST:
            return "cannot_tell"
        return "cares" if self.changed >= CARES else "indifferent"


def respond(
    classifier: Classifier, explanation: Explanation, training: Sequence[Photo], photos: Sequence[Photo]
) -> Response:
    """Alter images as strongly as a shift did, and predict before and after; photos without training images.

    What training images went through cannot be done to them again, so the photos go through it.
    """
    pictures: Pictures = "training"
    chosen, strength = training, explanation.strength
    if explanation.opposite or not training:
        chosen, pictures = photos, "undone"
        if explanation.quantity in _INVERTIBLE:
            strength = float(np.clip(1 / max(strength, 1e-3), 1 / _FARTHEST, _FARTHEST))
        elif not explanation.opposite:
            pictures = "once more"
    alteration = ALTERATIONS[explanation.alteration]
    altered = [alteration.apply(photo, strength) for photo in chosen]
    before, after = (classifier.probabilities(each).argmax(axis=1) for each in (chosen, altered))
    return Response(pictures, strength, float((before != after).mean()), len(chosen))
