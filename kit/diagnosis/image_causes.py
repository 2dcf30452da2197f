"""Images as causes: their properties, tried on others, undone and weighed; images unlike the training's."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Self

import numpy as np
from PIL import Image, ImageOps

from kit._arrays import Bools
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.engines import picture_size
from kit.classifier.first_layers import FirstLayers
from kit.classifier.labels import Truth
from kit.classifier.predictions import Predictions
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.finding import Evidence, Finding, Fix, Photos, Verdict, at_least
from kit.images import Photo
from kit.perturbation.conditions import IMAGE_CAUSES, ImageCause
from kit.perturbation.physics import to_pixels
from kit.perturbation.restoring import balanced, dimmed
from kit.robustness.novelty import FALSE_POSITIVES, novelty_of
from kit.samples import probes

COUNT = 6
"""Images that a curve is made of: those with the surest predictions."""

STARTS = 0.75
"""Share of other predictions that are kept below which an amount is too much for the network."""

BEFORE, CURVE, UNSURE, RIVAL, EXACT = 0.35, 1.2, 0.5, 1.0, 1.9
"""Log odds that a property has changed a prediction: before anything is weighed, and for each nat of what is.

How other predictions fall, how unsure this one is, and how far another is ahead once it is undone, roughly or
exactly. Logistic regressions on photos none of which is bundled.
"""

WRONG = 2.5
"""Log odds that are added where the label says that the answer is wrong: something has made it so."""

NAMED, RULED_OUT = 0.6, 0.05
"""Chance that the answer is changed from which on a property is named, and up to which it is ruled out.

Ruled out is only what is undone exactly, or what other predictions bear: no remedy that fails is a proof.
"""

BORNE = 0.9
"""Share of other predictions that are kept, from which on a property is not named."""

RARER = 1.0
"""Log odds, one added to each count, by which a named property is rarer among correctly predicted images."""

COMMON = 1 / 3
"""Share of unlabelled images that may have a named property while the preprocessing may be faulty."""

MOST = 0.5
"""Share of the images, those known to be predicted correctly left out, that a named property must affect."""

ASKED = 8
"""At most so many of the images with a property, spread over all, are asked about once it is undone."""

_LARGE = 1.5
"""Shorter side over that of the network, from twice which on images are reduced."""

_LEAST = 1e-3
"""Probabilities below count as this."""

_FAR = 2.0
"""Nats up to which another prediction is ahead: further ahead it proves no more."""

_REMEDY = """\
from PIL import Image, ImageOps
from kit.images import as_photos
from kit.robustness import relevelled, restored
better = [{} for photo in as_photos(photos)]
print(classifier.predict(better))"""


def _resized(photo: Photo, side: int) -> Photo:
    resized = ImageOps.cover(
        Image.fromarray(photo.pixels), (side, side), Image.Resampling.BICUBIC
    )
    return Photo(np.asarray(resized), photo.name)


def unsettled(classifier: Classifier, photo: Photo) -> tuple[str, ...]:
    """Return the names of the slight changes of an image that give it another prediction."""
    pixels = photo.decoded(known_preprocessing(classifier).decoding).pixels
    (present,) = classifier.predict(photo).index
    changes = {
        "light": [dimmed(pixels), to_pixels(pixels * 1.5)],
        "colour of the light": [balanced(pixels)[1]],
    }
    names = []
    for name, versions in changes.items():
        predictions = classifier.predict([Photo(version) for version in versions])
        if (predictions.index != present).any():
            names.append(name)
    return tuple(names)


def remedy(cause: ImageCause, amount: float) -> Fix:
    """Return what to change, and code that takes this amount out of ``photos`` and asks again."""
    code = _REMEDY.format(cause.call.format(amount))
    return Fix(f"{cause.advice}, or train on such images.", code)


def check_properties(
    classifier: Classifier,
    photos: Photos,
    labels: Truth = (),
    *,
    first_layers: FirstLayers | None = None,
    doubtful: bool = False,
) -> tuple[Finding, ...]:
    """Measure the images, do what is out of the ordinary to others, undo it, and ask the network.

    Parameters
    ----------
    classifier
        With the preprocessing in use, which should be right: these causes are asked for last.
    photos, labels
        At least one, and the index of the right class of each, None where it is not known.
    first_layers
        With statistics of the training images: what brings images nearer to these is not named.
    doubtful
        Whether a fault of the preprocessing is possible.

    Returns
    -------
    tuple of Finding
        One for each property that is out of the ordinary in some image that is not known to be answered
        rightly. At most one is named: that by which most other predictions fall.
    """
    used = known_preprocessing(classifier)
    decoded = [photo.decoded(used.decoding) for photo in photos]
    factor = _reduction(classifier, decoded)
    pictures = [
        Photo(np.asarray(Image.fromarray(photo.pixels).reduce(factor)), photo.name)
        for photo in decoded
    ]
    case = _Case(
        classifier=classifier,
        pictures=pictures,
        factor=factor,
        predictions=classifier.predict(decoded, labels or None),
        unusual=_unusual(pictures, grey=used.channels.startswith("gray")),
        first_layers=first_layers,
        doubtful=doubtful,
    )
    suspected = [cause for cause in IMAGE_CAUSES.values() if case.suspects(cause)]
    trials = [_Trial.of(case, cause) for cause in suspected]
    findings: list[Finding] = []
    for trial in sorted(trials, key=lambda trial: trial.rank):
        verdict = trial.verdict
        # One is to blame: that by which most other predictions fall.
        if verdict == "named" and any(
            finding.verdict == "named" for finding in findings
        ):
            verdict = "possible"
        findings.append(trial.finding(verdict))
    return tuple(findings)


def _reduction(classifier: Classifier, photos: Photos) -> int:
    """Return the factor by which images are reduced: more pixels the network does not see."""
    side = min(filter(None, picture_size(classifier.input_shape)), default=np.inf)
    shortest = min(min(photo.size) for photo in photos)
    return max(1, int(shortest // (_LARGE * side)))


def _unusual(pictures: Photos, *, grey: bool) -> dict[str, dict[int, float]]:
    """Return the measures, by cause and place, of the images in which a property is out of the ordinary.

    Without those that another property brings; nothing about colours for a network that takes grey.
    """
    unusual: dict[str, dict[int, float]] = {name: {} for name in IMAGE_CAUSES}
    for place, photo in enumerate(pictures):
        measures = {}
        for name, cause in IMAGE_CAUSES.items():
            if min(photo.size) < cause.least_side or (cause.coloured and grey):
                continue
            measure = cause.measured(photo.pixels)
            if cause.unusual(measure):
                measures[name] = measure
        brought = {other for name in measures for other in IMAGE_CAUSES[name].brings}
        for name in measures.keys() - brought:
            unusual[name][place] = measures[name]
    return unusual


@dataclass(frozen=True, eq=False)
class _Case:
    """The images, reduced by a factor, and what is unusual in them: measures by cause and place."""

    classifier: Classifier
    pictures: Photos
    factor: int
    predictions: Predictions
    unusual: Mapping[str, Mapping[int, float]]
    first_layers: FirstLayers | None
    doubtful: bool

    @cached_property
    def right(self) -> Bools:
        """Whether each image is known to be predicted correctly."""
        return np.asarray(self.predictions.index == self.predictions.labels)

    @cached_property
    def good(self) -> tuple[list[Photo], Predictions]:
        """At most `COUNT` images with the surest predictions, and these.

        Out of probes and images that are known to be predicted correctly, at the usual size of the images.
        """
        odd = {place for measures in self.unusual.values() for place in measures}
        right = np.flatnonzero(self.right).tolist()
        own = [self.pictures[place] for place in right if place not in odd]
        photos = (*own, *probes())
        predictions = self.classifier.predict(photos)
        surest = np.argsort(-predictions.probability, kind="stable")[:COUNT]
        side = int(np.median([min(photo.size) for photo in self.pictures]))
        return [_resized(photos[place], side) for place in surest], predictions[surest]

    def kept(self, cause: ImageCause, amount: float) -> float:
        """Share of the predictions for other images that are kept once this amount is done to them.

        Of an answer that has become less sure, the share of its probability counts.
        """
        photos, before = self.good
        spoilt = [cause.done(photo, amount) for photo in photos]
        rows = self.classifier.probabilities(spoilt)
        after = rows[np.arange(len(photos)), before.index]
        return float(np.minimum(after / before.probability, 1).mean())

    def suspects(self, cause: ImageCause) -> dict[int, float]:
        """Return the measures, by place, of the images that a property may be to blame for."""
        unusual = self.unusual[cause.cause].items()
        return {place: measure for place, measure in unusual if not self.right[place]}

    def farther(self, cause: ImageCause, amounts: Mapping[int, float]) -> bool:
        """Whether images without a property lie farther from those of training, which then have it, too."""
        evaluator = Evaluator(self.classifier, self.first_layers)
        if not evaluator.statistics:
            return False
        used = known_preprocessing(self.classifier)
        photos = [self.pictures[place] for place in amounts]
        undone = [self.undone(cause, place, amounts[place]) for place in amounts]
        ways = zip(*undone, strict=True)
        nearest = min(evaluator.distance(way, used) for way in ways)
        return nearest > evaluator.distance(photos, used)

    def undone(self, cause: ImageCause, place: int, amount: float) -> list[Photo]:
        """Return the image at a place without a property, in several ways."""
        return list(map(Photo, cause.undo(self.pictures[place].pixels, amount)))

    def ordinary(self, cause: ImageCause) -> bool:
        """Whether a property is too frequent to be to blame; correctly predicted images are the controls."""
        unusual = self.unusual[cause.cause]
        count = len(self.right)
        controls = int(self.right.sum())
        if not controls:
            return self.doubtful and count > 2 and len(unusual) > COMMON * count
        unusual_controls = int(self.right[list(unusual)].sum())
        unusual_suspects = len(unusual) - unusual_controls
        odds = (unusual_suspects + 1) / (count - controls - unusual_suspects + 1)
        usual_odds = (unusual_controls + 1) / (controls - unusual_controls + 1)
        return bool(np.log(odds / usual_odds) < RARER)

    def log_odds(
        self, cause: ImageCause, place: int, *, kept: float, ahead: float
    ) -> float:
        """Weigh what speaks for a change of an answer, where another is `ahead` once a property is undone."""
        sure = self.predictions.probability[place]
        unsure = np.log((1 - sure + _LEAST) / (sure + _LEAST))
        rival = ahead * RIVAL
        if cause.exact:
            rival = min(max(ahead, -_FAR), _FAR) * EXACT
        lost = (1 - kept) * COUNT
        fallen = np.log((lost + 1) / (COUNT - lost + 1))
        odds = BEFORE + CURVE * fallen + UNSURE * unsure + rival
        if self.predictions.labels[place] >= 0:
            odds += WRONG
        return float(odds if kept < BORNE else min(odds, 0))

    def ahead(self, cause: ImageCause, place: int, amount: float) -> float:
        """Return the log of the mean probability of the best other class over that of the present one."""
        undone = self.undone(cause, place, amount)
        present = self.predictions.index[place]
        mean = self.classifier.probabilities(undone).mean(axis=0) + np.float32(_LEAST)
        return float(np.log(np.delete(mean, present).max() / mean[present]))


@dataclass(frozen=True, eq=False)
class _Trial:
    """A property, done to other images and undone in those that have it.

    Attributes
    ----------
    measures
        By place, of the images that it may be to blame for.
    amounts
        By place, of those that were asked about once it is undone.
    amount, kept
        Median of these, and the share of other predictions that bear it.
    changed, chance
        Share of the predictions that change once it is undone, and how likely it has changed them.
    """

    case: _Case
    cause: ImageCause
    measures: Mapping[int, float]
    amounts: Mapping[int, float]
    amount: float
    kept: float
    changed: float
    chance: float

    @classmethod
    def of(cls, case: _Case, cause: ImageCause) -> Self:
        """Try a property."""
        measures = case.suspects(cause)
        step = ceil(len(measures) / ASKED)
        amounts = {
            place: cause.amount(measures[place], case.pictures[place].pixels)
            for place in list(measures)[::step]
        }
        amount = float(np.median([*amounts.values()]))
        kept = case.kept(cause, amount)
        ahead = {place: case.ahead(cause, place, amounts[place]) for place in amounts}
        odds = [
            case.log_odds(cause, place, kept=kept, ahead=lead)
            for place, lead in ahead.items()
        ]
        return cls(
            case=case,
            cause=cause,
            measures=measures,
            amounts=amounts,
            amount=amount,
            kept=kept,
            changed=float(np.mean([lead > 0 for lead in ahead.values()])),
            chance=float(1 / (1 + np.exp(-np.median(odds)))),
        )

    @property
    def rank(self) -> tuple[bool, float]:
        """The least comes first: that by which most other predictions fall."""
        # What is undone exactly should have changed the prediction.
        return self.cause.exact and self.changed < 0.5, self.kept

    @cached_property
    def verdict(self) -> Verdict:
        """The verdict of this property by itself."""
        case = self.case
        if self.chance <= RULED_OUT and (self.cause.exact or self.kept >= STARTS):
            return "ruled_out"
        frequent = len(self.measures) >= MOST * int((~case.right).sum())
        blamed = (
            self.chance >= NAMED
            and frequent
            and not case.ordinary(self.cause)
            and not case.farther(self.cause, self.amounts)
        )
        return "named" if blamed else "possible"

    def finding(self, verdict: Verdict) -> Finding:
        """Report what was measured."""
        cause = self.cause
        count = len(self.case.pictures)
        amount = self.amount
        if cause.name in {"noise", "edge_share"}:
            # Measured in pixels of the reduced image.
            amount *= self.case.factor
        images = "This image is"
        if count > 1:
            images = f"{len(self.measures)} of {count} images are"
        summary = (
            f"{images} unusually {cause.adjective}: {cause.parameter} {amount:.2g}."
        )
        return Finding(
            cause=cause.cause,
            verdict=verdict,
            summary=summary,
            evidence=self.evidence,
            cost=self.changed * len(self.measures) / count,
            fix=remedy(cause, amount),
        )

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What was measured, for and against."""
        median = float(np.median([*self.measures.values()]))
        others = f"share of predictions for {COUNT} other images that stay"
        undone = "share of these predictions that change once it is undone"
        chance = "probability that it changed the prediction"
        return (
            Evidence(self.cause.unit, median, self.cause.ordinary, supports=True),
            Evidence(others, self.kept, STARTS, supports=self.kept < STARTS),
            Evidence(undone, self.changed),
            Evidence(chance, self.chance, NAMED, supports=self.chance >= NAMED),
        )


SURE = 0.01
"""Chance, with ordinary images, at which images are named as out of distribution."""

_UNLIKE: dict[Verdict, str] = {
    "named": "{} of {} images are unlike those of training: no class fits.",
    "possible": "{} of {} images are rather unlike those of training.",
    "ruled_out": "The images are like those of training.",
}


def out_of_distribution(classifier: Classifier, photos: Photos) -> Finding | None:
    """Measure whether photos are unlike the training images, by the classifier's `kit.fit_novelty`.

    Ask this after the preprocessing was found to be right: a wrong one makes every image unlike them.

    Returns
    -------
    Finding or None
        Cause ``"out_of_distribution"``: named where so many of the photos lie above the threshold for a
        false-positive rate of `SURE` that ordinary photos would do so in as few cases or fewer; possible
        likewise with `FALSE_POSITIVES`; else ruled out. None without a novelty.
    """
    novelty = novelty_of(classifier)
    if novelty is None:
        return None
    chances = novelty.chances(novelty.scores(photos))
    count = len(chances)
    evidence = []
    for rate in (FALSE_POSITIVES, SURE):
        # A chance is a share of held-back images: it is compared as such, not by its last bit.
        limit = rate + 1e-9
        above = int((chances <= limit).sum())
        needed = next(
            number
            for number in range(count + 2)
            if at_least(number, count, rate) <= limit
        )
        text = f"images farther from training than {1 - rate:.0%} of held-back ones"
        evidence.append(Evidence(text, above, needed, supports=above >= needed))
    unusual, sure = evidence
    verdict: Verdict = "ruled_out"
    if unusual.supports:
        verdict = "possible"
    if sure.supports:
        verdict = "named"
    summary = _UNLIKE[verdict].format(unusual.value, count)
    return Finding("out_of_distribution", verdict, summary, (unusual, sure))
