"""From scores to findings: what is named, what is only possible, what is ruled out.

Two kinds of network are told apart by measuring. A *photographic* one finds its training statistics on the
probe photographs under at least one candidate; its pipeline is judged by the probes, whatever the user's
pictures show. Any other is judged by the user's pictures.

The thresholds were chosen on EfficientNet-Lite1 with the probes, and on networks for digits and clothes that
were trained for this, with other seeds and widths than those that `tests/benchmarks/diagnosis.py` reports on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from kit.diagnosis.candidates import Candidate, candidates
from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.diagnosis.laboratory import Laboratory
from kit.diagnosis.ordinary import LEAST_PROFILED, ordinary
from kit.diagnosis.probes import probes
from kit.diagnosis.scoring import Labels, Score, by_answers, by_pictures, by_statistics, log_distance
from kit.diagnosis.sensitivity import Equivalent, same_answers
from kit.images import Photo
from kit.preprocessing import Preprocessing

NAMED = 0.2
"""Nats by which a candidate must fall nearer to training on the probes. On Lite1 the smallest of a real fault
is 0.35 (red and blue exchanged), the largest of a healthy pipeline 0.02."""

POSSIBLE = 0.1
"""Nats from which on it is mentioned."""

FAMILIAR = 0.25
"""Largest distance from training, in nats, at which the probes count as what the network knows. On Lite1 it
is 0.04."""

LEAST_SIDE = 64
"""Networks for smaller pictures are not judged by photographs."""

LAYOUT_GAIN, LAYOUT_ERRORS = 0.3, 1.5
"""Fall of the entropy, in nats and in standard errors, from which on exchanged axes are named; the statistics
do not see them. On Lite1 the fall is 0.5 on the probes alone, and -0.5 in a healthy pipeline."""

MARGIN = 0.1
"""Nats by which a cause must lead the next one."""

PROFILED, PROFILED_LEAST = 1.2, 0.15
"""Weighted gain from which on the user's pictures name a cause where the file has a profile: in standard
errors of the mean logarithmic distance of ordinary pictures, and in nats. On eight networks for digits and
clothes, grey and coloured, that were trained to choose it, a healthy pipeline is accused in 0.5, 0 and 0 % of
1,600 draws of 1, 4 and 16 pictures; of the faults, 86, 95 and 99 % are named, and 0.4, 0 and 0 % wrongly."""

PICTURES_NAMED, EACH_FOURFOLD, PICTURES_LEAST = 1.1, 0.35, 0.35
"""The same by moving averages alone: for one picture, what four times as many take from it, and where that
ends. On such networks, a healthy pipeline is accused in 1, 2 and 0 % of draws of 1, 4 and 16 pictures, and
0.3 % of what is named is wrong."""

LABELLED = 0.35
"""Taken from that where labels are known."""

LABELS_ALONE = 3.0
"""The same over the square root of the number of labels, where there are no statistics."""

UNUSUAL = 3.0
"""Standard errors above the profile's mean logarithmic distance from which on nothing is called clean."""

FEW = 4
"""Probes, and pictures of the user's, on which answers are compared."""

FIRSTS = 6
"""Changes that are combined with others where none explains anything alone."""

ROUNDS = 2
"""So many faults at once are looked for."""

ALIKE = 0.05
"""Nats between two candidates' distances from training up to which the statistics do not tell them apart."""

_UNUSUAL = (
    "the first layers receive what is unusual for them, and no change of the preprocessing explains it;"
    " the pictures may be unlike those of the training, by their frame, their background or their light"
)
_GEOMETRY = {"layout"}
_OF_FILES = {"exif", "alpha", "depth"}


@dataclass(frozen=True)
class Search:
    """What the search over candidates came to.

    Attributes
    ----------
    findings
        Named ones first.
    decided
        Whether there was evidence to decide by, so that nothing named means nothing wrong.
    photographic
        Whether photographs are what the network was trained on, as the probes show.
    notes
        What limits the answer, in words.
    equivalents
        Preprocessings that come to the same as the best one.
    """

    findings: tuple[Finding, ...]
    decided: bool
    photographic: bool = False
    notes: tuple[str, ...] = ()
    equivalents: tuple[Equivalent, ...] = ()


def search(
    laboratory: Laboratory, in_use: Preprocessing, photos: Sequence[Photo], labels: Labels | None = None
) -> Search:
    """Try every candidate, put the best right, and look once more.

    Parameters
    ----------
    laboratory
        Of the network.
    in_use
        The preprocessing that is suspected.
    photos, labels
        The user's pictures, and the index of the class of each where known.
    """
    judged = _Judge(laboratory, tuple(photos), labels, in_use)
    if not judged.able:
        reason = (
            "the file holds no statistics of training pictures, and no label is given: save the classifier"
            " with training pictures, or pass reference= or labels="
        )
        return Search((), decided=False, notes=(reason,))
    current = in_use
    named: list[Finding] = []
    doubtful: list[Finding] = []
    first: tuple[Score, ...] = ()
    steps: set[str] = set()
    for _ in range(ROUNDS):
        ranked = [score for score in judged.scores(current) if score.candidate.step not in steps]
        first = first or tuple(ranked)
        verdict = judged.verdict(ranked)
        if verdict is None:
            break
        best = ranked[0]
        finding = judged.finding(best, ranked, verdict, current)
        if verdict != "named":
            doubtful.append(finding)
            break
        named.append(finding)
        steps.add(best.candidate.step)
        current = best.candidate.preprocessing
    if not named:
        together = judged.together(in_use, first)
        if together is not None:
            named, current = together
            doubtful = []
    if len(named) > 1:
        named = [replace(one, fix=_fix(in_use, current, one.cause)) for one in named]
    told = {finding.cause for finding in (*named, *doubtful)}
    told |= {other for finding in (*named, *doubtful) for other in finding.equivalent}
    findings = (*named, *doubtful, *judged.ruled_out(first, told))
    usual = judged.usual(in_use)
    return Search(
        findings,
        decided=bool(named) or (judged.settled(first) and usual),
        notes=() if usual or named else (_UNUSUAL,),
        photographic=judged.photographic,
        equivalents=judged.equivalents(current),
    )


class _Judge:
    """Knows which evidence there is, and how much of it is enough."""

    def __init__(
        self, laboratory: Laboratory, photos: tuple[Photo, ...], labels: Labels | None, in_use: Preprocessing
    ) -> None:
        self._laboratory, self._photos, self._labels = laboratory, photos, labels
        taps = laboratory.taps
        self._statistics = taps is not None and taps.source != ""
        labelled = any(label is not None for label in labels or ())
        self.able = self._statistics or labelled
        self.photographic = self._is_photographic(in_use)
        if taps is not None and taps.profile is not None and not self.photographic:
            # Moving averages are of augmented pictures; a profile is of what is met in use.
            laboratory.taps = replace(taps, means=None, variances=None)

    def _is_photographic(self, in_use: Preprocessing) -> bool:
        taps, size = self._laboratory.taps, in_use.size
        if taps is None or taps.means is None or size is None or min(size) < LEAST_SIDE or not probes():
            return False
        current = in_use
        for _ in range(ROUNDS):
            if log_distance(self._laboratory, probes(), current) < np.log(FAMILIAR):
                return self._by_profile(current)
            ranked = by_statistics(self._laboratory, current, self._tried(current), probes())
            current = ranked[0].candidate.preprocessing
        familiar = log_distance(self._laboratory, probes(), current) < np.log(FAMILIAR)
        return bool(familiar) and self._by_profile(current)

    def _by_profile(self, right: Preprocessing) -> bool:
        """Whether a profile, if there is one, takes photographs for what the network was trained on."""
        taps = self._laboratory.taps
        if taps is None or taps.profile is None or len(taps.profile) < LEAST_PROFILED:
            return True
        known, seen = ordinary(taps), probes()
        moments, features = self._laboratory.moments(seen, right), self._laboratory.features(seen, right)
        away = np.log(known.distances(moments, features))
        return bool(away.mean() <= np.log(known.limit))

    def _tried(self, in_use: Preprocessing) -> list[Candidate]:
        """Candidates that make a difference, without those that evidence cannot single out."""
        photos = probes()[:1] if getattr(self, "photographic", True) and probes() else self._photos[:4]
        before = self._laboratory.tensors(photos, in_use)
        return [
            candidate
            for candidate in candidates(in_use)
            if not candidate.quiet
            and candidate.step not in _OF_FILES
            and not np.array_equal(self._laboratory.tensors(photos, candidate.preprocessing), before)
        ]

    def scores(self, in_use: Preprocessing) -> tuple[Score, ...]:
        """Score what is tried; the best first."""
        tried = self._tried(in_use)
        if not self.photographic:
            return by_pictures(self._laboratory, in_use, tried, self._photos, self._labels)
        seen = [candidate for candidate in tried if candidate.step not in _GEOMETRY]
        unseen = [candidate for candidate in tried if candidate.step in _GEOMETRY]
        scores = by_statistics(self._laboratory, in_use, [*seen, *unseen], probes())
        if scores and scores[0].gain >= NAMED:
            return scores
        by_entropy = by_answers(self._laboratory, in_use, unseen, (*probes(), *self._photos))
        rest = [score for score in scores if score.candidate.step not in _GEOMETRY]
        return tuple(sorted((*rest, *by_entropy), key=lambda score: -score.gain))

    def verdict(self, ranked: Sequence[Score]) -> Verdict | None:
        """Return what can be said of the first; None where nothing speaks against what is in use."""
        if not ranked:
            return None
        best = ranked[0]
        named, possible = self.thresholds(best)
        if best.gain < possible:
            return None
        if best.spread is not None and best.gain < LAYOUT_ERRORS * best.spread:
            return None
        rival = self._rival(best, ranked)
        ahead = rival is None or best.gain - rival.gain >= MARGIN
        return "named" if best.gain >= named and ahead and self._familiar(best) else "possible"

    def _familiar(self, best: Score) -> bool:
        """Whether the candidate brings the pictures among what the profile calls ordinary."""
        reached = self._reached(best)
        return reached is None or reached.supports is True

    def usual(self, in_use: Preprocessing) -> bool:
        """Whether the pictures are as usual as those of the profile, as far as that can be told."""
        ordinary = self._laboratory.ordinary
        if ordinary is None or self.photographic:
            return True
        away = log_distance(self._laboratory, self._photos, in_use)
        return bool(away <= ordinary.typical + UNUSUAL * ordinary.scatter / np.sqrt(len(self._photos)))

    def _reached(self, best: Score) -> Evidence | None:
        ordinary = self._laboratory.ordinary
        if ordinary is None or self.photographic:
            return None
        away = float(np.exp(log_distance(self._laboratory, self._photos, best.candidate.preprocessing)))
        text = "distance from the profile when it is changed; up to the largest among training pictures"
        return Evidence(text, away, ordinary.limit, supports=away <= ordinary.limit)

    def together(
        self, in_use: Preprocessing, ranked: Sequence[Score]
    ) -> tuple[list[Finding], Preprocessing] | None:
        """Look for two changes of which neither explains anything alone.

        Returns
        -------
        tuple or None
            A finding for each of the two, and the preprocessing with both.
        """
        if not self._statistics or (not self.photographic and self.settled(ranked)):
            return None
        needed = NAMED if self.photographic else 2 * self._needed()
        pairs = sorted(self._pairs(ranked), key=lambda pair: -pair[0].gain - pair[1].gain)
        if not pairs:
            return None
        first, second = pairs[0]
        gain, right = first.gain + second.gain, second.candidate.preprocessing
        causes = {first.candidate.cause, second.candidate.cause}
        others = [
            one.gain + other.gain
            for one, other in pairs
            if {one.candidate.cause, other.candidate.cause} != causes
            and self._alike(right, other.candidate.preprocessing) is None
        ]
        lead = gain - max(others, default=-np.inf)
        if gain < needed or gain - ranked[0].gain < needed or lead < MARGIN or not self._familiar(second):
            return None
        evidence = [Evidence("gain of both changes together, in nats", gain, needed, supports=True)]
        evidence.append(Evidence("gain of the best change alone", ranked[0].gain))
        cost = self._cost(in_use, right)
        findings = []
        for score, before in ((first, in_use), (second, first.candidate.preprocessing)):
            cause = score.candidate.cause
            changes = "; ".join(_difference(before, score.candidate.preprocessing))
            summary = f"One of two causes, neither of which explains anything alone. Put right by: {changes}."
            fix = _fix(in_use, right, cause)
            findings.append(Finding(cause, "named", summary, tuple(evidence), cost, fix))
        return findings, right

    def _pairs(self, ranked: Sequence[Score]) -> list[tuple[Score, Score]]:
        """Return pairs of changes; on photographs only those that hide each other, colour and polarity."""
        if not self.photographic:
            return [
                (first, second)
                for first in ranked[:FIRSTS]
                for second in self.scores(first.candidate.preprocessing)[:FIRSTS]
                if second.candidate.step != first.candidate.step
            ]
        return [
            (first, second)
            for first in ranked
            if first.candidate.step == "polarity"
            for second in by_statistics(
                self._laboratory,
                first.candidate.preprocessing,
                [
                    candidate
                    for candidate in self._tried(first.candidate.preprocessing)
                    if candidate.step == "channels"
                ],
                probes(),
            )
        ]

    def settled(self, ranked: Sequence[Score]) -> bool:
        """Whether the preprocessing in use explains the pictures as well as anything that is tried."""
        return not ranked or ranked[0].gain < POSSIBLE

    def equivalents(self, right: Preprocessing) -> tuple[Equivalent, ...]:
        """Return the candidates that neither statistics nor answers tell from `right`."""
        found = []
        for candidate in self._tried(right):
            difference = self._alike(right, candidate.preprocessing)
            if difference is not None:
                change = "; ".join(_difference(right, candidate.preprocessing))
                found.append(Equivalent(change, candidate.cause, difference))
        return tuple(found)

    def _alike(self, one: Preprocessing, other: Preprocessing) -> float | None:
        """Return the largest difference of a probability; None where the two can be told apart."""
        photos = (*probes()[:FEW], *self._photos[:FEW]) if self.photographic else self._photos
        if self._statistics:
            seen = probes() if self.photographic else photos
            distances = [log_distance(self._laboratory, seen, each) for each in (one, other)]
            if abs(distances[0] - distances[1]) > ALIKE:
                return None
        return same_answers(self._laboratory, one, other, photos)

    def thresholds(self, score: Score) -> tuple[float, float]:
        """Return the gains from which on the score names its cause, and from which on it is mentioned."""
        if not self.photographic:
            named = self._needed()
            return named, 0.6 * named
        return (NAMED, POSSIBLE) if score.spread is None else (LAYOUT_GAIN, LAYOUT_GAIN)

    def _needed(self) -> float:
        """Return the gain on the user's pictures that names a cause."""
        known = sum(label is not None for label in self._labels or ())
        if not self._statistics:
            return float(LABELS_ALONE / np.sqrt(known))
        ordinary = self._laboratory.ordinary
        if ordinary is not None:
            return max(PROFILED * ordinary.scatter / sqrt(len(self._photos)), PROFILED_LEAST)
        needed = PICTURES_NAMED - EACH_FOURFOLD * float(np.log(len(self._photos)) / np.log(4))
        return max(needed - (LABELLED if known else 0.0), PICTURES_LEAST)

    def _rival(self, best: Score, ranked: Sequence[Score]) -> Score | None:
        """Return the best of another cause that can be told from this one at all."""
        same = {best.candidate.cause, *best.candidate.equivalent}
        for score in ranked:
            if same & {score.candidate.cause, *score.candidate.equivalent} or score is best:
                continue
            close = best.gain - score.gain < MARGIN
            pair = (best.candidate.preprocessing, score.candidate.preprocessing)
            if not close or self._alike(*pair) is None:
                return score
        return None

    def finding(
        self, best: Score, ranked: Sequence[Score], verdict: Verdict, in_use: Preprocessing
    ) -> Finding:
        """Put one score into words and numbers."""
        candidate = best.candidate
        rival = self._rival(best, ranked)
        evidence = list(self._evidence(best))
        if rival is not None:
            lead = best.gain - rival.gain
            text = f"lead over the next cause, {rival.candidate.cause}, in nats"
            evidence.append(Evidence(text, lead, MARGIN, supports=lead >= MARGIN))
        reached = self._reached(best)
        if reached is not None:
            evidence.append(reached)
        changes = "; ".join(_difference(in_use, candidate.preprocessing))
        return Finding(
            candidate.cause,
            verdict,
            f"The network sees what it was trained on when this is changed: {changes}.",
            tuple(evidence),
            self._cost(in_use, candidate.preprocessing),
            _fix(in_use, candidate.preprocessing, candidate.cause),
            self._same_causes(best, ranked),
        )

    def _same_causes(self, best: Score, ranked: Sequence[Score]) -> tuple[str, ...]:
        """Return other causes that come to the same, by what they do or on this network."""
        causes = dict.fromkeys(best.candidate.equivalent)
        for score in ranked:
            close = best.gain - score.gain < MARGIN
            pair = (best.candidate.preprocessing, score.candidate.preprocessing)
            if score is not best and close and self._alike(*pair) is not None:
                causes.setdefault(score.candidate.cause)
        causes.pop(best.candidate.cause, None)
        return tuple(causes)

    def _evidence(self, score: Score) -> list[Evidence]:
        named, _ = self.thresholds(score)
        where = f"{len(probes())} probe photographs" if self.photographic else f"{len(self._photos)} pictures"
        if score.spread is not None:
            where = f"{len(probes())} probe photographs and {len(self._photos)} pictures"
        found = []
        if not self.photographic:
            found.append(
                Evidence(
                    f"weighted gain on {where}, in nats", score.gain, named, supports=score.gain >= named
                )
            )
        parts = (
            ("fall of the logarithmic distance from the training statistics", score.distance),
            ("fall of the answers' mean entropy", score.entropy),
            ("rise of the labels' mean log-likelihood", score.likelihood),
        )
        for text, value in parts:
            if value is not None:
                limit = named if self.photographic else None
                supports = score.gain >= named if self.photographic else value > 0
                found.append(Evidence(f"{text} on {where}, in nats", value, limit, supports=supports))
        return found

    def _cost(self, in_use: Preprocessing, right: Preprocessing) -> float:
        before = self._laboratory.answers(self._photos, in_use).argmax(axis=1)
        after = self._laboratory.answers(self._photos, right).argmax(axis=1)
        return float((before != after).mean())

    def ruled_out(self, ranked: Sequence[Score], told: set[str]) -> list[Finding]:
        """Return each other cause whose best candidate explains no more than the preprocessing in use."""
        found: dict[str, Finding] = {}
        for score in ranked:
            cause = score.candidate.cause
            if cause in told or cause in found:
                continue
            told.add(cause)
            if score.gain < self.thresholds(score)[1]:
                summary = "Changing this brings the network no nearer to what it was trained on."
                found[cause] = Finding(cause, "ruled_out", summary, tuple(self._evidence(score)))
        return list(found.values())


def _difference(in_use: Preprocessing, right: Preprocessing) -> list[str]:
    before, after = in_use.describe(), right.describe()
    changed = [line for line in after if line not in before]
    return changed or [line for line in before if line not in after]


def _fix(in_use: Preprocessing, right: Preprocessing, cause: str) -> Fix:
    changes = "; ".join(_difference(in_use, right))
    return Fix(
        f"Prepare pictures as in training: {changes} ({cause} put right).",
        f"classifier.preprocessing = kit.{right!r}",
        right,
    )
