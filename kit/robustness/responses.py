"""What a classifier makes of a shift: images altered in the same way, and what its first layers receive."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kit.classifier import Classifier
from kit.classifier.labels import Trial, Truth, known
from kit.images import Photo
from kit.perturbation.alterations import ALTERATIONS
from kit.robustness.attribution import Explanation
from kit.robustness.profile import distances

Pictures = Literal["training", "undone", "once more"]

CARES = 0.05
"""Share of the answers that must change at the strength of the shift.

Answers to training pictures are the last to change, so this is less than what photos lose.
"""

FEWEST = 10
"""Pictures from which that is said."""

_INVERTIBLE = frozenset({"brightness", "contrast", "warmth", "tint", "saturation"})
_FARTHEST = 3.0
_DRAWS, _SEED = 200, 0


@dataclass(frozen=True)
class Response:
    """Predictions of a classifier under one alteration, or several at once, as strong as in a shift.

    Attributes
    ----------
    alteration, strengths
        Key of `kit.perturbation.alterations.ALTERATIONS`; several are joined by "and".
    pictures
        Which were altered: the ``"training"`` images as the shift did, the photos back to what the training
        images are like (``"undone"``), or the photos ``"once more"``, where that cannot be done.
    changed
        Share of the predictions that change, 0..1.
    accuracy
        Share of right predictions before and after; None without labels.
    count
        Images.
    """

    alteration: str
    pictures: Pictures
    strengths: tuple[float, ...]
    changed: float
    accuracy: tuple[float, float] | None
    count: int

    @property
    def verdict(self) -> Literal["cares", "indifferent", "cannot_tell"]:
        """Whether at least `CARES` of the predictions change."""
        if self.count < FEWEST:
            return "cannot_tell"
        return "cares" if self.changed >= CARES else "indifferent"


def respond(
    classifier: Classifier,
    explanations: Sequence[Explanation],
    photos: Sequence[Photo],
    labels: Truth = (),
    *,
    training: bool = False,
) -> Response | None:
    """Alter images as strongly as a shift did, and ask the classifier before and after.

    Several alterations are done to the same images, in the order of
    `kit.perturbation.alterations.ALTERATIONS`: light, colour, lens, noise, file. None where some of them can
    be undone and others cannot. ``training`` says whether these are training images, else photos.
    """
    treatments = {_treatment(one, training=training) for one in explanations}
    if len(treatments) > 1:
        return None
    (pictures,) = treatments
    order = list(ALTERATIONS)
    steps = sorted(explanations, key=lambda one: order.index(one.alteration), reverse=pictures == "undone")
    strengths = tuple(_strength(one, pictures) for one in steps)
    altered = list(photos)
    for one, strength in zip(steps, strengths, strict=True):
        altered = [ALTERATIONS[one.alteration].apply(photo, strength) for photo in altered]
    trial = Trial(classifier.probabilities(photos), classifier.probabilities(altered), labels)
    labelled = len(known(labels)[0])
    return Response(
        " and ".join(one.alteration for one in steps),
        pictures,
        strengths,
        float(trial.changed.mean()),
        (trial.right[0] / labelled, trial.right[1] / labelled) if labelled else None,
        len(photos),
    )


def _strength(explanation: Explanation, pictures: Pictures) -> float:
    if pictures == "undone" and not explanation.opposite:
        return float(np.clip(1 / max(explanation.strength, 1e-3), 1 / _FARTHEST, _FARTHEST))
    return explanation.strength


def _treatment(explanation: Explanation, *, training: bool) -> Pictures:
    # What training images went through cannot be done to them again, so the photos go through it.
    if explanation.opposite:
        return "undone"
    if training:
        return "training"
    return "undone" if explanation.quantity in _INVERTIBLE else "once more"


def layer_distance(classifier: Classifier, photos: Sequence[Photo]) -> tuple[float, float] | None:
    """Divergence of what the first layers receive from the training images, beside what is usual.

    Returns
    -------
    distance
        In nats, the mean over the first layers of `kit.robustness.profile.distances`.
    usual
        The 95th percentile of the same for as many images drawn from the profile of training images; NaN
        without one. None in place of both where nothing is known of the training images.
    """
    layers = classifier.first_layers
    if layers is None or not layers.source:
        return None
    tensors = np.concatenate([classifier.tensor(photo) for photo in photos])
    distance = float(distances(layers.measure(tensors).mean(axis=0), layers).mean())
    if layers.profile is None:
        return distance, float("nan")
    generator = np.random.default_rng(_SEED)
    draws = generator.integers(len(layers.profile), size=(_DRAWS, len(photos)))
    usual = [float(distances(layers.profile[draw].mean(axis=0), layers).mean()) for draw in draws]
    return distance, float(np.quantile(usual, 0.95))
