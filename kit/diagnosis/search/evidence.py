"""What a pipeline can be judged by: probe photographs, a profile, the user's pictures and labels.

Two kinds of network are told apart by measuring. A *photographic* one finds its training statistics on the
probe photographs under at least one candidate; its pipeline is judged by the probes, whatever the user's
pictures show. Any other is judged by the user's pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, sqrt

import numpy as np

from kit.classifier.trial import Trial, Truth, hits, known
from kit.diagnosis.finding import at_least
from kit.diagnosis.search.candidates import Candidate, candidates
from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.scoring import Score, by_answers, by_pictures, by_statistics, ranked
from kit.diagnosis.search.thresholds import ALIKE, BY_CHANCE, ENOUGH, FAMILIAR, NAMED, SAME, UNUSUAL, needed
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.robustness.reference.profile import Profile
from kit.samples import probes

ROUNDS = 2
"""So many faults at once are looked for."""

LEAST_SIDE = 64
"""Networks for smaller pictures are not judged by photographs."""

FEW = 4
"""Probes, and pictures of the user's, on which answers are compared."""

_GEOMETRY = {"layout"}
_OF_FILES = {"exif", "alpha", "depth"}


@dataclass(frozen=True, eq=False)
class Grounds:
    """The evidence that there is for one network and some pictures.

    Attributes
    ----------
    evaluator
        Of the network.
    photos, labels
        The user's pictures, and the index of the class of each where known.
    photographic
        Whether photographs are what the network was trained on, as the probes show.
    """

    evaluator: Evaluator
    photos: tuple[Photo, ...]
    labels: Truth
    photographic: bool

    @classmethod
    def of(
        cls, evaluator: Evaluator, in_use: Preprocessing, photos: Sequence[Photo], labels: Truth = ()
    ) -> "Grounds":
        """Find out what there is.

        Parameters
        ----------
        evaluator
            Of the network.
        in_use
            The preprocessing that is suspected.
        photos, labels
            The user's pictures, and the index of the class of each where known.
        """
        averaged = cls(evaluator.by_averages(), tuple(photos), labels, photographic=True)
        if _is_photographic(averaged, in_use):
            return averaged
        # Moving averages are of augmented pictures; a profile is of what is met in use.
        return replace(averaged, evaluator=evaluator.by_profile(), photographic=False)

    @property
    def known_labels(self) -> int:
        """How many labels are known."""
        return len(known(self.labels)[0])

    @property
    def ordinary(self) -> Profile | None:
        """What is ordinary by the profile, where that is what the pictures are judged by."""
        return None if self.photographic else self.evaluator.ordinary

    @property
    def needed(self) -> float:
        """The weighted gain on the user's pictures that names a cause, in nats."""
        return needed(
            len(self.photos), self.known_labels, self.ordinary, statistics=self.evaluator.statistics
        )

    def scores(self, in_use: Preprocessing) -> tuple[Score, ...]:
        """Score every candidate that makes a difference; the best first."""
        tried = self.tried(in_use)
        if not self.photographic:
            return by_pictures(self.evaluator, in_use, tried, self.photos, self.labels)
        scores = by_statistics(self.evaluator, in_use, tried, probes())
        if scores and scores[0].gain >= NAMED:
            return scores
        unseen = [candidate for candidate in tried if candidate.step in _GEOMETRY]
        by_entropy = by_answers(self.evaluator, in_use, unseen, (*probes(), *self.photos))
        seen = [score for score in scores if score.candidate.step not in _GEOMETRY]
        return ranked((*seen, *by_entropy))

    def tried(self, in_use: Preprocessing) -> list[Candidate]:
        """Return the candidates that make a difference, without those that evidence cannot single out."""
        photos = probes()[:1] if self.photographic else self.photos[:FEW]
        before = self.evaluator.tensors(photos, in_use)
        return [
            candidate
            for candidate in candidates(in_use)
            if not candidate.quiet
            and candidate.step not in _OF_FILES
            and not np.array_equal(self.evaluator.tensors(photos, candidate.preprocessing), before)
        ]

    def usual(self, in_use: Preprocessing) -> bool:
        """Whether the pictures are as usual as those of the profile, as far as that can be told."""
        if self.ordinary is None:
            return True
        away = self.evaluator.log_distance(self.photos, in_use)
        error = self.ordinary.scatter / sqrt(len(self.photos))
        return away <= self.ordinary.typical + UNUSUAL * error

    def trial(self, before: Preprocessing, after: Preprocessing) -> Trial:
        """Return the answers to the user's pictures under one preprocessing, and under another."""
        return self.evaluator.trial(self.photos, before, after, self.labels)

    def convincing(self, in_use: Preprocessing) -> bool:
        """Whether the evidence can say that nothing is wrong: more than as many labels met by chance."""
        if self.evaluator.statistics:
            return True
        answers = self.evaluator.answers(self.photos, in_use)
        right = int(hits(answers, self.labels).sum())
        return at_least(right, self.known_labels, 1 / max(answers.shape[1], 2)) <= BY_CHANCE

    def equivalence(self, one: Preprocessing, other: Preprocessing) -> float | None:
        """Return the largest difference of a probability; None where the two can be told apart."""
        photos = (*probes()[:FEW], *self.photos[:FEW]) if self.photographic else self.photos
        if self.evaluator.statistics:
            seen = probes() if self.photographic else photos
            here, there = (self.evaluator.log_distance(seen, each) for each in (one, other))
            if abs(here - there) > ALIKE:
                return None
        if len(photos) < ENOUGH:
            return None
        difference = self.evaluator.trial(photos, one, other).largest
        return difference if difference <= SAME else None


def _is_photographic(averaged: Grounds, in_use: Preprocessing) -> bool:
    evaluator = averaged.evaluator
    layers, size = evaluator.first_layers, in_use.size
    if layers is None or layers.means is None or size is None or min(size) < LEAST_SIDE or not probes():
        return False
    current, profile = in_use, evaluator.profiled
    for _ in range(ROUNDS):
        if evaluator.log_distance(probes(), current) < log(FAMILIAR):
            break
        scores = by_statistics(evaluator, current, averaged.tried(current), probes())
        current = scores[0].candidate.preprocessing
    familiar = evaluator.log_distance(probes(), current) < log(FAMILIAR)
    if not familiar or profile is None:
        return familiar
    # A profile, if there is one, must take photographs for what the network was trained on.
    moments, features = evaluator.moments(probes(), current), evaluator.features(probes(), current)
    return bool(np.log(profile.distances(moments, features)).mean() <= log(profile.limit))
