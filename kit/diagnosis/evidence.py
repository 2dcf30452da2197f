"""What speaks for and against a candidate, in nats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf, log, sqrt

import numpy as np

from kit._arrays import Float64
from kit.classifier.labels import Trial, Truth, entropies, hits, known
from kit.diagnosis.candidates import Candidate, Evaluator, candidates, explained
from kit.diagnosis.finding import Evidence, at_least
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import Scaling, affine
from kit.robustness.profile import Profile
from kit.samples import typical

AGAINST = -0.6
"""Nats of the user's own pictures at which a candidate is out of the question: they would lie half as near
again to training as they do."""


CLOSE = 8.0
"""The order of channels is judged by smaller differences than all else: another order of the same channels is
as probable before as after, so that only what lies nearer counts. Where a candidate brings pictures as near
as chance lets those of the training, this part of that distance is the floor."""


@dataclass(frozen=True)
class Vote:
    """What one source says of a candidate.

    Attributes
    ----------
    text
        What was measured, in words.
    gain
        What it is worth, in nats; below 0 where it speaks against the candidate.
    measured
        The number itself, in the unit that the text names.
    at_home
        Whether the candidate makes what the source looks at as usual as in training; None where the source
        cannot tell.
    veto
        Whether it alone keeps the candidate from being named.
    """

    text: str
    gain: float
    measured: float
    at_home: bool | None = None
    veto: bool = False


@dataclass(frozen=True, eq=False)
class Averages:
    """Pictures against the moving averages of BatchNorm layers, or those of a profile.

    Attributes
    ----------
    evaluator
        Of a network with such averages.
    photos
        The user's, or probe photographs.
    told
        What they are, in words.
    weight
        Of the gain.
    floor
        Distance, in nats, that pictures as in training reach by chance: below, nearer is no better.
    home
        Distance up to which pictures count as those of the training; None where another source tells better.
    binding
        Whether they may forbid a candidate.
    close
        Distance up to which pictures lie as near as chance lets pictures of the training; see `CLOSE`.
    weights
        float64 (photos,); the same for each by default.
    """

    evaluator: Evaluator
    photos: tuple[Photo, ...]
    told: str
    weight: float
    floor: float
    home: float | None
    binding: bool
    close: float = 0.0
    weights: Float64 | None = None

    def away(self, preprocessing: Preprocessing) -> float:
        """Return the distance from training, in nats."""
        return self.evaluator.distance(self.photos, preprocessing, self.weights)

    def at_home(self, preprocessing: Preprocessing) -> bool | None:
        """Whether the pictures are as usual as in training; None where another source tells better."""
        return None if self.home is None else self.away(preprocessing) <= self.home

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        before, after = self.away(in_use), self.away(candidate.preprocessing)
        close = candidate.step == "channels" and after <= self.close
        floor = self.close / CLOSE if close else self.floor
        gain = self.weight * log((before + floor) / (after + floor))
        text = f"distance of {self.told} from the averages of training, in nats; {before:.3g} as it is"
        home = self.at_home(candidate.preprocessing)
        return Vote(text, gain, after, home, veto=self.binding and gain < AGAINST)


@dataclass(frozen=True, eq=False)
class Ordinary:
    """The user's pictures against a profile of training pictures, each by itself.

    Attributes
    ----------
    evaluator
        Of a network with a profile.
    profile
        What is ordinary.
    photos
        The user's.
    """

    evaluator: Evaluator
    profile: Profile
    photos: tuple[Photo, ...]
    told: str = "a profile of training pictures"

    ERRORS = 3.0
    """Standard errors of the mean of so many pictures that a name needs, and up to which they are usual."""

    @property
    def error(self) -> float:
        """Standard error, in nats, of the mean logarithm of the distance of so many training pictures."""
        return self.profile.scatter / sqrt(len(self.photos))

    @property
    def weight(self) -> float:
        """Of a nat: as many errors of the mean as a name needs are worth a name; never more than 1."""
        return min(1.0, NAMED / (self.ERRORS * max(self.error, 1e-6)))

    def away(self, preprocessing: Preprocessing) -> float:
        """Return the mean logarithm of the distance from the profile."""
        return float(self._each(preprocessing).mean())

    def _each(self, preprocessing: Preprocessing) -> Float64:
        return self.evaluator.log_profile_distances(self.photos, preprocessing, self.profile)

    def at_home(self, preprocessing: Preprocessing) -> bool:
        """Whether the pictures are as usual as in training."""
        usual = max(log(self.profile.limit), self.profile.typical + self.ERRORS * self.error)
        return self.away(preprocessing) <= usual

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        before, after = (
            max(self.away(each), self.profile.typical) for each in (in_use, candidate.preprocessing)
        )
        gain = max(self.weight * (before - after), self._paired(in_use, candidate))
        text = (
            "mean logarithmic distance of these pictures from the profile of training pictures;"
            f" {before:.2f} as it is, {self.profile.typical:.2f} for training pictures"
        )
        return Vote(text, gain, after, self.at_home(candidate.preprocessing), gain < AGAINST)

    def _paired(self, in_use: Preprocessing, candidate: Candidate) -> float:
        """Return what another order of channels is worth, by how many standard errors pictures lie nearer.

        Only where it makes them wholly usual; minus infinity for all else, and for fewer than `PAIRED`.
        """
        count = len(self.photos)
        right = candidate.preprocessing
        usual = self.profile.typical + 2 * self.error
        if candidate.step != "channels" or count < self.PAIRED or self.away(right) > usual:
            return -inf
        before, after = (self._each(preprocessing) for preprocessing in (in_use, right))
        nearer = before - after
        error = max(float(nearer.std()) / sqrt(count), 1e-3)
        errors = float(nearer.mean()) / error * sqrt((count - 2) / count)
        return NAMED * min(errors / self.ERRORS, self.MOST)

    PAIRED = 4
    MOST = 1.5


@dataclass(frozen=True, eq=False)
class Answers:
    """How sure the network is of its answers; never much, since a wrong scale often makes it more sure.

    Averages over a picture do not see that its axes are exchanged: for this the answers count more, and those
    to probe photographs, where photographs are what the network knows, count as well.
    """

    evaluator: Evaluator
    photos: tuple[Photo, ...]
    probes: tuple[Photo, ...]
    told: str = ""

    WEIGHT, OF_LAYOUT = 0.2, 0.5
    """Of a nat of entropy."""

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        layout = candidate.step == "layout"
        photos = (*self.probes, *self.photos) if layout else self.photos
        trial = self.evaluator.trial(photos, in_use, candidate.preprocessing)
        fall = float(np.mean(entropies(trial.before) - entropies(trial.after)))
        weight = self.OF_LAYOUT if layout else self.WEIGHT
        return Vote("fall of the answers' mean entropy, in nats", weight * fall, fall)


@dataclass(frozen=True, eq=False)
class Labels:
    """The right classes, where they are known; whatever makes them worse is out of the question.

    A probability below `LEAST` counts as this: a network that is very sure of a wrong answer says no more
    than one that is just wrong.
    """

    evaluator: Evaluator
    photos: tuple[Photo, ...]
    labels: Truth
    told: str = "your labels"

    LEAST = 0.05
    WEIGHT = 0.7
    ENOUGH = 16
    """Labels that count in full; fewer are met by chance too easily."""

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        trial = self.evaluator.trial(self.photos, in_use, candidate.preprocessing, self.labels)
        before, after = trial.likelihoods(self.LEAST) or (0.0, 0.0)
        count = len(known(self.labels)[0])
        more = trial.regained
        text = f"more of {count} labelled pictures that are answered rightly"
        weight = self.WEIGHT * min(1.0, sqrt(count / self.ENOUGH))
        return Vote(text, weight * (after - before), more, veto=more < 0)


Source = Averages | Ordinary | Answers | Labels

NAMED = 0.5
"""Nats of all sources together that name a cause."""


def rarity(in_use: Preprocessing, candidate: Candidate) -> Vote:
    """Return what is known before any picture: some steps hardly any training has.

    Parameters
    ----------
    in_use
        The preprocessing that is suspected.
    candidate
        The one that may have been the one in training.
    """
    fewer = _oddities(in_use) - _oddities(candidate.preprocessing)
    gain = ODD * fewer - (0 if candidate.faults else UNEXPLAINED)
    return Vote("steps fewer that hardly any training has", gain, fewer)


ODD, UNEXPLAINED = 0.6, 0.35
"""Nats for each step that hardly any training has, and for a change that no fault of the catalogue makes."""


def _oddities(preprocessing: Preprocessing) -> float:
    return (
        float(preprocessing.invert)
        + float(preprocessing.layout in {"transposed", "reshaped"})
        + float(preprocessing.thumbnail is not None)
        + float(preprocessing.cast is not None)
        + 0.6 * float(preprocessing.channels == "gray_rgb")
        + 0.5 * float(preprocessing.fit == "letterbox")
        + 0.5 * max(len(preprocessing.scaling) - 1, 0)
    )


def spoken(sources: Sequence[Source], in_use: Preprocessing, candidate: Candidate) -> tuple[Vote, ...]:
    """Return the votes of all sources on a candidate, and that of its rarity last."""
    return (*(source.vote(in_use, candidate) for source in sources), rarity(in_use, candidate))


FAMILIAR = 0.15
"""Largest distance, in nats, at which probe photographs count as what the network knows."""

NATIVE, LEAST = 0.04, 0.01
"""Distance, in nats, up to which these photographs count in full, half of it beyond, and the smallest that
counts as nearer for them."""

LEAST_SIDE = 64
"""Networks for smaller pictures are not judged by photographs."""

CHANCE, ALWAYS = 0.4, 0.05
"""Distance from training, in nats, that one picture has by chance (a share of it where there are more), and
that pictures have from small differences of their source."""

AT_HOME = 0.5
"""Distance from the averages, in nats, up to which pictures count as those of the training."""

BY_CHANCE = 0.05
"""Chance of as many right answers by guessing up to which labels alone say that nothing is wrong."""

SAME = 0.02
"""Largest difference in a probability up to which two preprocessings come to the same."""

ALIKE = 0.05
"""Nats between two candidates' gains up to which the evidence does not tell them apart."""

ENOUGH = 4
"""Pictures on which they must."""

FEW = 4
"""Probes, and pictures of the user's, on which answers are compared."""

_OF_FILES = {"exif", "alpha", "depth"}


@dataclass(frozen=True)
class Score:
    """What speaks for and against one candidate, compared with the preprocessing in use.

    Attributes
    ----------
    candidate
        The candidate.
    votes
        One of each source.
    """

    candidate: Candidate
    votes: tuple[Vote, ...]

    @property
    def gain(self) -> float:
        """Nats of all sources together; above 0 where the candidate explains more."""
        return sum(vote.gain for vote in self.votes)

    @property
    def measured(self) -> float:
        """The same without what is known before any picture."""
        return sum(vote.gain for vote in self.votes[:-1])

    @property
    def at_home(self) -> bool:
        """Whether some source finds its pictures as usual as in training; True where none can tell."""
        told = [vote.at_home for vote in self.votes if vote.at_home is not None]
        return any(told) or not told

    @property
    def vetoed(self) -> bool:
        """Whether a source forbids it."""
        return any(vote.veto for vote in self.votes)


@dataclass(frozen=True, eq=False)
class Grounds:
    """The evidence that there is for one network and some pictures.

    Attributes
    ----------
    evaluator
        Of the network.
    photos, labels
        The user's pictures, and the index of the class of each where known.
    sources
        What judges.
    probes
        Photographs of the kit that judge the pipeline beside the user's pictures; empty where photographs are
        not what the network knows.
    """

    evaluator: Evaluator
    photos: tuple[Photo, ...]
    labels: Truth
    sources: tuple[Source, ...]
    probes: tuple[Photo, ...] = ()

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
        seen = tuple(photos)
        probing = _probing(evaluator, in_use, seen)
        sources: list[Source] = [*_pictured(evaluator, seen), *probing]
        probes = probing[0].photos if probing else ()
        sources.append(Answers(evaluator, seen, probes))
        if known(labels)[0]:
            sources.append(Labels(evaluator, seen, labels))
        return cls(evaluator, seen, labels, tuple(sources), probes)

    def as_in_training(self, in_use: Preprocessing) -> bool:
        """Whether a profile finds the pictures as usual as nine in ten training pictures."""
        judges = [source for source in self.sources if isinstance(source, Ordinary)]
        return any(judge.away(in_use) <= log(judge.profile.limit) for judge in judges)

    @property
    def known_labels(self) -> int:
        """How many labels are known."""
        return len(known(self.labels)[0])

    def vote_of_labels(self, score: Score) -> Vote:
        """Return what the labels say of a candidate; nothing where there are none."""
        votes = zip(self.sources, score.votes, strict=False)
        silent = Vote("no labels", 0.0, 0.0)
        return next((vote for source, vote in votes if isinstance(source, Labels)), silent)

    def judged_by(self, score: Score | None) -> str:
        """Return a sentence that says what there was to judge by, and what decided for a score."""
        told = " and ".join(source.told for source in self.sources if source.told)
        if not told:
            return "Judged by how sure the network is of its answers, which names nothing."
        sentence = f"Judged by {told}."
        if score is None:
            return sentence
        votes = [
            (source.told, vote.gain)
            for source, vote in zip(self.sources, score.votes, strict=False)
            if source.told
        ]
        most, _ = max(votes, key=lambda pair: pair[1])
        others = " and ".join(name for name, gain in votes if name != most and gain < 0)
        if len(votes) > 1:
            sentence = f"{sentence} {most[0].upper()}{most[1:]} decided."
        return f"{sentence} Against it: {others}." if others else f"{sentence} Nothing contradicts it."

    def score(self, in_use: Preprocessing, candidate: Candidate) -> Score:
        """Weigh one candidate against the preprocessing in use."""
        return Score(candidate, spoken(self.sources, in_use, candidate))

    def scores(self, in_use: Preprocessing) -> tuple[Score, ...]:
        """Weigh every candidate that makes a difference; the best first."""
        found = [self.score(in_use, candidate) for candidate in self.tried(in_use)]
        return tuple(sorted(found, key=lambda score: -score.gain))

    def tried(self, in_use: Preprocessing) -> list[Candidate]:
        """Return the candidates that make a difference, without those that evidence cannot single out."""
        photos = self.photos[:FEW]
        before = self.evaluator.tensors(photos, in_use)
        found = []
        for candidate in _loud(in_use):
            tensors = self.evaluator.tensors(photos, candidate.preprocessing)
            # Another shape would not fit the network.
            if tensors.shape == before.shape and not np.array_equal(tensors, before):
                found.append(candidate)
        return found

    def usual(self, in_use: Preprocessing) -> bool:
        """Whether some source finds its pictures as usual as in training; True where none can tell."""
        judges = (source for source in self.sources if isinstance(source, Averages | Ordinary))
        told = [home for source in judges if (home := source.at_home(in_use)) is not None]
        return any(told) or not told

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

    def equivalence(self, one: Preprocessing, other: Preprocessing, apart: float) -> float | None:
        """Return the largest difference of a probability; None where the two can be told apart.

        Parameters
        ----------
        one, other
            Two preprocessings.
        apart
            How many nats of evidence lie between them.
        """
        photos = (*self.probes[:FEW], *self.photos[:FEW]) if self.probes else self.photos
        if abs(apart) > ALIKE or len(photos) < ENOUGH:
            return None
        difference = self.evaluator.trial(photos, one, other).largest
        return difference if difference <= SAME else None


def _pictured(evaluator: Evaluator, photos: tuple[Photo, ...]) -> list[Source]:
    """Return what judges the user's own pictures: a profile, if there is one, before averages."""
    sources: list[Source] = []
    profile, layers = evaluator.profile, evaluator.first_layers
    if profile is not None:
        sources.append(Ordinary(evaluator, profile, photos))
    if layers is not None and layers.means is not None:
        count = len(photos)
        told = f"your picture{'' if count == 1 else 's'}"
        alone = profile is None
        weight, home = (1.0, AT_HOME) if alone else (0.5, None)
        chance = CHANCE / count
        sources.append(
            Averages(evaluator, photos, told, weight, chance + ALWAYS, home, alone, close=2 * chance)
        )
    return sources


def _probing(evaluator: Evaluator, in_use: Preprocessing, seen: tuple[Photo, ...]) -> list[Averages]:
    """Return photographs as a source, where the network is at home with them under some preprocessing."""
    layers, size = evaluator.first_layers, in_use.size
    averaged = layers is not None and (layers.means is not None or evaluator.profile is not None)
    if not averaged or size is None or min(size) < LEAST_SIDE:
        return []
    photos, weights = typical(without=seen)
    if not photos:
        return []
    tried = [in_use, *(one.preprocessing for one in _loud(in_use))]
    shape = evaluator.tensors(photos[:1], in_use).shape
    tried = [each for each in tried if evaluator.tensors(photos[:1], each).shape == shape]
    nearest = min(evaluator.distance(photos, each, weights) for each in tried)
    if nearest > FAMILIAR:
        return []
    told = f"{len(photos)} photographs of the kit"
    weight, floor = (1.0 if nearest <= NATIVE else 0.5), max(nearest, LEAST)
    return [Averages(evaluator, photos, told, weight, floor, FAMILIAR, False, weights=weights)]


def _loud(in_use: Preprocessing) -> list[Candidate]:
    """Return the candidates that evidence can single out."""
    return [one for one in candidates(in_use) if not one.quiet and one.step not in _OF_FILES]


TRIALS = 48
"""Scalings that are tried at most."""

FEW_ESTIMATION = 6
"""Pictures that they are tried on: the question is one of two numbers."""

BETTER = 0.5
"""Nats by which two numbers that were fitted must explain more than a known scaling."""

KNOWN = 0.1
"""Nats that the evidence may fall by within what is told as known."""

LIGHT, LIFTED = (0.5, 2.1), 0.4
"""Factors on the levels of a picture, and the share of their range by which its middle moves, that its light
and contrast may have of their own."""

_STEPS = (0.15, 0.3)
_DIGITS = 3


@dataclass(frozen=True)
class Estimate:
    """A scaling ``(x / 255 - mean) / std`` with what is known of it.

    Attributes
    ----------
    score
        Of the candidate with this scaling.
    mean, std
        As shares of 255.
    margins
        By how much mean and std may differ before the evidence falls by `KNOWN` nats.
    """

    score: Score
    mean: float
    std: float
    margins: tuple[float, float]

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What is known of the two numbers."""
        return tuple(
            Evidence(
                f"estimated {name} of the scaling, as a share of 255, known to about ± {margin:.2g}", value
            )
            for name, value, margin in zip(("mean", "std"), (self.mean, self.std), self.margins, strict=True)
        )


def estimated(grounds: Grounds, in_use: Preprocessing, ranked: Sequence[Score]) -> Estimate | None:
    """Estimate a scaling where the first layers receive the wrong numbers and no known scaling mends it.

    Parameters
    ----------
    grounds
        What judges.
    in_use
        The preprocessing that is suspected.
    ranked
        The scores of the candidates, the best first.

    Returns
    -------
    Estimate or None
        None where the pictures are usual as they are, where nothing is known of the training pictures, or
        where what is found explains no more than a known scaling.
    """
    best = next((score for score in ranked if score.candidate.step == "scaling"), None)
    judges = _judges(grounds)
    explained_otherwise = bool(ranked) and ranked[0] is not best and ranked[0].at_home
    if best is None or not judges or explained_otherwise or grounds.usual(in_use) or _settled(judges, best):
        return None
    start = _line(best.candidate.preprocessing)

    def worth(point: Float64) -> float:
        return _nearness(judges, _scaled(in_use, point))

    from scipy.optimize import minimize  # noqa: PLC0415 (heavy, and seldom needed)

    simplex = start + np.array([(0, 0), (_STEPS[0], 0), (0, _STEPS[1])])
    options = {"initial_simplex": simplex, "maxfev": TRIALS, "xatol": 0.005, "fatol": 0.01}
    search = minimize(lambda point: -worth(point), start, method="Nelder-Mead", options=options)
    found = np.asarray(search.x, np.float64)
    candidate = explained("scaling", _scaled(in_use, found), in_use)
    nearer = worth(found) - _nearness(judges, best.candidate.preprocessing)
    if nearer < BETTER or _as_light(in_use, candidate.preprocessing):
        return None
    score = grounds.score(in_use, candidate)
    margins = tuple(_margin(worth, found, step) for step in ((0.1, 0.0), (0.0, 0.1)))
    (scaling,) = candidate.preprocessing.scaling
    mean, std = (float(np.mean(value or 0.0)) for value in (scaling.mean, scaling.std))
    return Estimate(score, mean, std, (margins[0], margins[1] * std))


def _judges(grounds: Grounds) -> list[Averages | Ordinary]:
    """Return the sources that see scalings, on few pictures each."""
    found = [source for source in grounds.sources if isinstance(source, Averages | Ordinary)]
    return [
        replace(source, photos=source.photos[:FEW_ESTIMATION]) if source.photos is grounds.photos else source
        for source in found
    ]


def _nearness(judges: Sequence[Averages | Ordinary], preprocessing: Preprocessing) -> float:
    """Return how near to training pictures lie, in nats, counted as for a name but without a floor."""
    return -sum(
        judge.weight
        * (judge.away(preprocessing) if isinstance(judge, Ordinary) else log(judge.away(preprocessing)))
        for judge in judges
    )


def _settled(judges: Sequence[Averages | Ordinary], best: Score) -> bool:
    """Whether a known scaling brings the pictures as near as chance lets training pictures come."""
    right = best.candidate.preprocessing
    return all(
        judge.away(right) <= (judge.floor if isinstance(judge, Averages) else judge.profile.typical)
        for judge in judges
    )


def _as_light(in_use: Preprocessing, right: Preprocessing) -> bool:
    """Whether other light or contrast of the pictures would do the same as this change of the scaling."""
    (mean, std), (middle, wanted) = _line(in_use), _line(right)
    gain = float(np.exp(std - wanted))
    moved = gain * (0.5 - middle) + mean - 0.5
    return LIGHT[0] < gain < LIGHT[1] and abs(moved) <= LIFTED


def _line(preprocessing: Preprocessing) -> Float64:
    """Return mean and the logarithm of std, as shares of 255, of a scaling."""
    slope, offset = (float(np.mean(part)) for part in affine(preprocessing.scaling))
    return np.array([-offset / slope / 255, np.log(1 / slope / 255)])


def _scaled(in_use: Preprocessing, point: Float64) -> Preprocessing:
    mean, std = round(float(point[0]), _DIGITS), max(round(float(np.exp(point[1])), _DIGITS), 10**-_DIGITS)
    return in_use.replace(scaling=Scaling(255.0, mean, std), cast=None)


def _margin(worth: Callable[[Float64], float], found: Float64, step: tuple[float, float]) -> float:
    """Return how far along a step the evidence falls by `KNOWN` nats, by a parabola through three points."""
    size = max(step)
    here = worth(found)
    fall = here - (worth(found + np.array(step)) + worth(found - np.array(step))) / 2
    return float(size * np.sqrt(KNOWN / max(fall, 1e-3)))
