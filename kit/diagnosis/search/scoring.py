"""Evidence for every candidate: how much better it explains the pictures than the preprocessing in use.

Two kinds of evidence, in nats. *Distance*: by how much the logarithm of the divergence from the training
statistics falls. *Entropy*: by how much the entropy of the answers falls; where a label is known, its
log-likelihood takes part. Entropy alone never decides: a wrong scale often makes a network more sure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kit.diagnosis.search.candidates import Candidate
from kit.diagnosis.search.evaluator import Laboratory
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.robustness.reference.activation_distance import Vector, distances

ENTROPY_WEIGHT = 0.5
"""Weight of entropy beside distance. Chosen, as all numbers here, on EfficientNet-Lite1 and on networks for
digits and clothes that are trained for this only; none of them is reported on."""

LIKELIHOOD_WEIGHT = 0.5
"""Weight of a known label's log-likelihood beside distance."""

UNEXPLAINED = 0.15
"""Taken from candidates from which no fault of the catalogue leads to the preprocessing in use."""

LEAST_LIKELIHOOD, LEAST_BESIDE = 1e-6, 0.05
"""Probabilities below count as this: one label that is wrong must not outvote all pictures. The second where
there are statistics beside the labels: a network that is very sure of a wrong answer says no more than one
that is just wrong."""

Labels = Sequence[int | None]


@dataclass(frozen=True)
class Score:
    """What speaks for one candidate, compared with the preprocessing in use.

    Attributes
    ----------
    candidate
        The candidate.
    gain
        Weighted sum of the parts, in nats; above 0 where the candidate explains more.
    distance
        Fall of the logarithm of the distance from the training statistics; None without statistics.
    entropy
        Fall of the mean entropy; None where it takes no part.
    likelihood
        Rise of the mean log-likelihood of the labels; None without labels.
    spread
        Standard error of the entropy's fall over the pictures; None where it takes no part.
    """

    candidate: Candidate
    gain: float
    distance: float | None = None
    entropy: float | None = None
    likelihood: float | None = None
    spread: float | None = None


def log_distance(laboratory: Laboratory, photos: Sequence[Photo], preprocessing: Preprocessing) -> float:
    """Return the mean logarithm of the distance from training.

    By a profile: over the photos, each by itself. By moving averages: over the layers, the photos pooled.
    """
    layers, ordinary = laboratory.first_layers, laboratory.ordinary
    if layers is None:
        raise ValueError("Expected a network whose first layers can be read, received another")
    moments = laboratory.moments(photos, preprocessing)
    if ordinary is None:
        parts = distances(moments.mean(axis=0), layers)
    else:
        parts = ordinary.distances(moments, laboratory.features(photos, preprocessing))
    return float(np.log(parts + 1e-12).mean())


def by_statistics(
    laboratory: Laboratory, in_use: Preprocessing, candidates: Sequence[Candidate], probes: Sequence[Photo]
) -> tuple[Score, ...]:
    """Score candidates by the training statistics alone, on probe photographs; the best first."""
    base = log_distance(laboratory, probes, in_use)
    scores = []
    for candidate in candidates:
        fall = base - log_distance(laboratory, probes, candidate.preprocessing)
        scores.append(Score(candidate, fall - (0 if candidate.faults else UNEXPLAINED), fall))
    return _ranked(scores)


def by_answers(
    laboratory: Laboratory, in_use: Preprocessing, candidates: Sequence[Candidate], photos: Sequence[Photo]
) -> tuple[Score, ...]:
    """Score candidates by the entropy of the answers alone: for changes that the statistics cannot see."""
    base = entropies(laboratory.answers(photos, in_use))
    scores = []
    for candidate in candidates:
        falls = base - entropies(laboratory.answers(photos, candidate.preprocessing))
        fall = float(falls.mean())
        error = float(falls.std(ddof=1) / np.sqrt(len(falls))) if len(falls) > 1 else float("inf")
        scores.append(Score(candidate, fall, entropy=fall, spread=error))
    return _ranked(scores)


def by_pictures(
    laboratory: Laboratory,
    in_use: Preprocessing,
    candidates: Sequence[Candidate],
    photos: Sequence[Photo],
    labels: Labels | None = None,
) -> tuple[Score, ...]:
    """Score candidates by all there is on the user's pictures; the best first.

    Parameters
    ----------
    laboratory
        Its first layers may know nothing of training; then labels alone decide.
    in_use
        The preprocessing in use.
    candidates
        What is tried.
    photos
        The user's pictures.
    labels
        Index of the right class of each picture, None where it is not known.
    """
    statistics = laboratory.first_layers is not None and laboratory.first_layers.source != ""
    base = log_distance(laboratory, photos, in_use) if statistics else 0.0
    answers = laboratory.answers(photos, in_use)
    least = LEAST_BESIDE if statistics else LEAST_LIKELIHOOD
    sureness, likelihood = entropies(answers).mean(), _likelihood(answers, labels, least)
    scores = []
    for candidate in candidates:
        answers = laboratory.answers(photos, candidate.preprocessing)
        gain = 0.0 if candidate.faults else -UNEXPLAINED
        fall = rise = entropy = None
        if statistics:
            fall = base - log_distance(laboratory, photos, candidate.preprocessing)
            entropy = float(sureness - entropies(answers).mean())
            gain += fall + ENTROPY_WEIGHT * entropy
        reached = _likelihood(answers, labels, least)
        if likelihood is not None and reached is not None:
            rise = reached - likelihood
            gain += (LIKELIHOOD_WEIGHT if statistics else 1.0) * rise
        scores.append(Score(candidate, gain, fall, entropy, rise))
    return _ranked(scores)


def entropies(answers: Vector) -> Vector:
    """Return the entropy of each row of probabilities, in nats."""
    result: Vector = -(answers * np.log(np.maximum(answers, 1e-12))).sum(axis=1)
    return result


def _likelihood(answers: Vector, labels: Labels | None, least: float) -> float | None:
    """Mean log-likelihood of the labels that are known, none below the logarithm of `least`."""
    known = [(row, label) for row, label in enumerate(labels or ()) if label is not None]
    if not known:
        return None
    rows, columns = zip(*known, strict=True)
    return float(np.log(np.maximum(answers[list(rows), list(columns)], least)).mean())


def _ranked(scores: Sequence[Score]) -> tuple[Score, ...]:
    return tuple(sorted(scores, key=lambda score: -score.gain))
