"""Evidence for every candidate: how much better it explains the pictures than the preprocessing in use.

Two kinds of evidence, in nats. *Distance*: by how much the logarithm of the divergence from the training
statistics falls. *Entropy*: by how much the entropy of the answers falls; where a label is known, its
log-likelihood takes part. Entropy alone never decides: a wrong scale often makes a network more sure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kit.classifier.trial import Truth, entropies
from kit.diagnosis.search.candidates import Candidate
from kit.diagnosis.search.evaluator import Evaluator
from kit.images import Photo
from kit.preprocessing import Preprocessing

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


def by_statistics(
    evaluator: Evaluator, in_use: Preprocessing, candidates: Sequence[Candidate], probes: Sequence[Photo]
) -> tuple[Score, ...]:
    """Score candidates by the training statistics alone, on probe photographs; the best first."""
    base = evaluator.log_distance(probes, in_use)
    scores = []
    for candidate in candidates:
        fall = base - evaluator.log_distance(probes, candidate.preprocessing)
        scores.append(Score(candidate, fall - (0 if candidate.faults else UNEXPLAINED), fall))
    return ranked(scores)


def by_answers(
    evaluator: Evaluator, in_use: Preprocessing, candidates: Sequence[Candidate], photos: Sequence[Photo]
) -> tuple[Score, ...]:
    """Score candidates by the entropy of the answers alone: for changes that the statistics cannot see."""
    scores = []
    for candidate in candidates:
        trial = evaluator.trial(photos, in_use, candidate.preprocessing)
        falls = entropies(trial.before) - entropies(trial.after)
        fall = float(falls.mean())
        error = float(falls.std(ddof=1) / np.sqrt(len(falls))) if len(falls) > 1 else float("inf")
        scores.append(Score(candidate, fall, entropy=fall, spread=error))
    return ranked(scores)


def by_pictures(
    evaluator: Evaluator,
    in_use: Preprocessing,
    candidates: Sequence[Candidate],
    photos: Sequence[Photo],
    labels: Truth = (),
) -> tuple[Score, ...]:
    """Score candidates by all there is on the user's pictures; the best first.

    Parameters
    ----------
    evaluator
        Its first layers may know nothing of training; then labels alone decide.
    in_use
        The preprocessing in use.
    candidates
        What is tried.
    photos
        The user's pictures.
    labels
        Index of the right class of each picture, None where it is not known; empty where none is.
    """
    statistics = evaluator.statistics
    base = evaluator.log_distance(photos, in_use) if statistics else 0.0
    least = LEAST_BESIDE if statistics else LEAST_LIKELIHOOD
    scores = []
    for candidate in candidates:
        trial = evaluator.trial(photos, in_use, candidate.preprocessing, labels)
        gain = 0.0 if candidate.faults else -UNEXPLAINED
        fall = rise = entropy = None
        if statistics:
            fall = base - evaluator.log_distance(photos, candidate.preprocessing)
            entropy = float(entropies(trial.before).mean() - entropies(trial.after).mean())
            gain += fall + ENTROPY_WEIGHT * entropy
        likelihoods = trial.likelihoods(least)
        if likelihoods is not None:
            rise = likelihoods[1] - likelihoods[0]
            gain += (LIKELIHOOD_WEIGHT if statistics else 1.0) * rise
        scores.append(Score(candidate, gain, fall, entropy, rise))
    return ranked(scores)


def ranked(scores: Iterable[Score]) -> tuple[Score, ...]:
    """Return the scores with the largest gain first."""
    return tuple(sorted(scores, key=lambda score: -score.gain))
