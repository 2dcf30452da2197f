"""Whether a classifier cares: its answers over an alteration, and what its first layers receive."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kit.classifier import Classifier
from kit.classifier.trial import Trial, Truth, known
from kit.images import Photo
from kit.perturbation.alterations import ALTERATIONS, Alteration
from kit.robustness.reference.activation_distance import distances
from kit.robustness.shifts.attribution import Explanation

CARES = 0.05
"""Share of the answers that must change at the strength of the shift.

Answers to training pictures are the last to change, so this is less than what photos lose.
"""

FEWEST = 10
"""Pictures from which that is said."""

_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
_INVERTIBLE = frozenset({"brightness", "contrast", "warmth", "tint", "saturation"})
_FARTHEST = 3.0
_SEED = 0
_DRAWS = 200


@dataclass(frozen=True)
class Response:
    """Answers of a classifier over the range of one alteration, or of several at once.

    Attributes
    ----------
    alteration
        Key of `kit.perturbation.alterations.ALTERATIONS`; several are joined by "and".
    pictures
        Which were altered: the ``"training"`` ones as the shift did, the photos back to what the training
        pictures are like (``"undone"``), or the photos ``"once more"``, where that cannot be done.
    strengths
        From none to that of the shift; of several alterations, the part 0..1 of the way there.
    changed
        Share of the answers that differ from those to the pictures as they are, for each strength.
    accuracy
        Share of right answers for each strength; None without labels.
    count
        Pictures.
    """

    alteration: str
    pictures: Literal["training", "undone", "once more"]
    strengths: tuple[float, ...]
    changed: tuple[float, ...]
    accuracy: tuple[float, ...] | None
    count: int

    @property
    def verdict(self) -> Literal["cares", "indifferent", "cannot_tell"]:
        """Whether at least `CARES` of the answers change at the full strength."""
        if self.count < FEWEST:
            return "cannot_tell"
        return "cares" if self.changed[-1] >= CARES else "indifferent"


def respond(
    classifier: Classifier,
    explanations: Sequence[Explanation],
    photos: Sequence[Photo],
    labels: Truth = (),
    *,
    training: bool = False,
) -> Response | None:
    """Alter pictures from nothing to the strength of a shift and ask the classifier each time.

    Parameters
    ----------
    classifier
        With the preprocessing in use.
    explanations
        Of the shift, at least one. Several are done to the same pictures, in the order of
        `kit.perturbation.alterations.ALTERATIONS`: light, colour, lens, noise, file.
    photos
        At least one.
    labels
        Index of the right class of each, None where it is not known; empty where none is.
    training
        Whether these are training pictures; else they are the photos.

    Returns
    -------
    Response
        None where some of several can be undone and others cannot.
    """
    treatments = {_treatment(one, training=training) for one in explanations}
    if len(treatments) > 1:
        return None
    (pictures,) = treatments
    order = list(ALTERATIONS)
    steps = sorted(
        ((ALTERATIONS[one.alteration], _full(one, pictures)) for one in explanations),
        key=lambda step: order.index(step[0].name),
        reverse=pictures == "undone",
    )
    strengths = [
        [alteration.neutral + part * (full - alteration.neutral) for alteration, full in steps]
        for part in _FRACTIONS
    ]
    answers = [
        classifier.probabilities(
            [_altered(photo, [item for item, _ in steps], chosen) if place else photo for photo in photos]
        )
        for place, chosen in enumerate(strengths)
    ]
    trials = [Trial(answers[0], answer, labels) for answer in answers]
    labelled = len(known(labels)[0])
    return Response(
        " and ".join(alteration.name for alteration, _ in steps),
        pictures,
        tuple(each[0] for each in strengths) if len(steps) == 1 else _FRACTIONS,
        tuple(float(trial.changed.mean()) for trial in trials),
        tuple(trial.right[1] / labelled for trial in trials) if labelled else None,
        len(photos),
    )


def _altered(photo: Photo, alterations: Sequence[Alteration], strengths: Sequence[float]) -> Photo:
    for alteration, strength in zip(alterations, strengths, strict=True):
        photo = alteration.apply(photo, strength)
    return photo


def _full(explanation: Explanation, pictures: str) -> float:
    if pictures == "undone" and not explanation.opposite:
        return float(np.clip(1 / max(explanation.strength, 1e-3), 1 / _FARTHEST, _FARTHEST))
    return explanation.strength


def _treatment(explanation: Explanation, *, training: bool) -> Literal["training", "undone", "once more"]:
    # What training pictures went through cannot be done to them again, so the photos go through it.
    if explanation.opposite:
        return "undone"
    if training:
        return "training"
    return "undone" if ALTERATIONS[explanation.alteration].quantity in _INVERTIBLE else "once more"


def layer_distance(classifier: Classifier, photos: Sequence[Photo]) -> tuple[float, float] | None:
    """Divergence of what the first layers receive from the training pictures, beside what is usual.

    Parameters
    ----------
    classifier
        With the preprocessing in use.
    photos
        At least one.

    Returns
    -------
    distance
        In nats, mean over the first layers of `distances`: the Kullback-Leibler
        divergence from the pictures to the moving averages of BatchNorm, or to the profile of training
        pictures.
    usual
        The 95th percentile of the same for as many pictures drawn from that profile; NaN where the file has
        no profile. None where nothing is known of the training pictures.
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
