"""Images as causes: their properties, tried on others, undone and weighed; images unlike the training's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
from PIL import Image, ImageOps

from kit._arrays import Bools, Int64
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.engines import picture_size
from kit.classifier.first_layers import FirstLayers
from kit.classifier.predictions import Predictions
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.finding import Evidence, Finding, Fix, Photos, Verdict, at_least
from kit.images import Photo
from kit.perturbation.conditions import IMAGE_CAUSES, ImageCause
from kit.perturbation.physics import to_pixels
from kit.perturbation.restoring import balanced, dimmed
from kit.robustness.novelty import FALSE_POSITIVES, novelty_of
from kit.samples import probes

CONTROL_IMAGES = 6
"""Images that a curve is made of: those with the surest predictions."""

BEARABLE_SHARE = 0.75
"""Share of other predictions that are kept below which an amount is too much for the network."""

PRIOR_LOG_ODDS = 0.35
"""Log odds that a property has changed a prediction, before anything is weighed.

These and the weights below are of logistic regressions on photos none of which is bundled.
"""

FALLEN_WEIGHT = 1.2
"""For each nat by which other predictions fall."""

UNSURE_WEIGHT = 0.5
"""For each nat by which this prediction is unsure."""

ROUGH_WEIGHT = 1.0
"""For each nat by which another is ahead once the property is undone roughly."""

EXACT_WEIGHT = 1.9
"""Likewise, where it is undone exactly."""

WRONG_LOG_ODDS = 2.5
"""Log odds that are added where the label says that the answer is wrong: something has made it so."""

NAMED_CHANCE = 0.6
"""Chance that the answer is changed from which on a property is named."""

RULED_OUT_CHANCE = 0.05
"""Chance up to which it is ruled out.

Only where it is undone exactly, or other predictions bear it: no remedy that fails is a proof.
"""

UNHARMED_SHARE = 0.9
"""Share of other predictions that are kept, from which on a property is not named."""

RARER_LOG_ODDS = 1.0
"""Log odds, one added to each count, by which a named property is rarer among correctly predicted images."""

COMMON_SHARE = 1 / 3
"""Share of unlabelled images that may have a named property while the preprocessing may be faulty."""

FREQUENT_SHARE = 0.5
"""Share of the images, those known to be predicted correctly left out, that a named property must affect."""

IMAGES_ASKED = 8
"""At most so many of the images with a property, spread over all, are asked about once it is undone."""

TEXTURED_SIDE = 64
"""Pixels below which an image is mostly texture, so that noise, blur and JPEG blocks cannot be measured."""

_LARGE_RATIO = 1.5
"""Shorter side over that of the network, from twice which on images are reduced."""

_LEAST_PROBABILITY = 1e-3
"""Probabilities below count as this."""

_MOST_LEAD_NATS = 2.0
"""Nats up to which another prediction is ahead: further ahead it proves no more."""

_REMEDY = """\
from PIL import Image, ImageOps
from kit.images import as_photos
from kit.robustness import relevelled, restored
better = [{} for photo in as_photos(photos)]
print(classifier.predict(better))"""


def _with_shorter_side(photo: Photo, pixels: int) -> Photo:
    image = Image.fromarray(photo.pixels)
    resized = ImageOps.cover(image, (pixels, pixels), Image.Resampling.BICUBIC)
    return Photo(np.asarray(resized), photo.name)


def unsettling_changes(classifier: Classifier, photo: Photo) -> tuple[str, ...]:
    """Return the names of the slight changes of an image that give it another prediction."""
    pixels = photo.decoded(known_preprocessing(classifier).decoding).pixels
    (present_class,) = classifier.predict(photo).index
    slight_changes = {
        "light": [dimmed(pixels), to_pixels(pixels * 1.5)],
        "colour of the light": [balanced(pixels)[1]],
    }
    names = []
    for name, versions in slight_changes.items():
        predictions = classifier.predict([Photo(version) for version in versions])
        if (predictions.index != present_class).any():
            names.append(name)
    return tuple(names)


def remedy(condition: ImageCause, amount: float) -> Fix:
    """Return what to change, and code that takes this amount out of ``photos`` and asks again."""
    code = _REMEDY.format(condition.call.format(amount))
    return Fix(f"{condition.advice}, or train on such images.", code)


def check_properties(
    classifier: Classifier,
    photos: Photos,
    labels: Int64 | None = None,
    *,
    first_layers: FirstLayers | None = None,
    preprocessing_doubtful: bool = False,
) -> tuple[Finding, ...]:
    """Measure the images, do what is out of the ordinary to others, undo it, and ask the network.

    Parameters
    ----------
    classifier
        With the preprocessing in use, which should be right: these causes are asked for last.
    photos, labels
        At least one, and the index of the right class of each, int64 (photos,), -1 where it is not known.
    first_layers
        With statistics of the training images: what brings images nearer to these is not named.
    preprocessing_doubtful
        Whether a fault of the preprocessing is possible.

    Returns
    -------
    tuple of Finding
        One for each property that is out of the ordinary in some image that is not known to be answered
        rightly. At most one is named: that by which most other predictions fall.
    """
    used = known_preprocessing(classifier)
    decoded = [photo.decoded(used.decoding) for photo in photos]
    factor = _reduction_factor(classifier, decoded)
    colourless = used.channels.startswith("gray")
    reduced = [
        Photo(np.asarray(Image.fromarray(photo.pixels).reduce(factor)), photo.name)
        for photo in decoded
    ]
    predictions = classifier.predict(decoded)
    if labels is not None:
        predictions = replace(predictions, labels=labels)  # -1 where not known
    case = _Case(
        classifier=classifier,
        reduced_photos=reduced,
        reduction_factor=factor,
        predictions=predictions,
        unusual_measures=[
            _unusual_measures(photo, colourless=colourless) for photo in reduced
        ],
        first_layers=first_layers,
        preprocessing_doubtful=preprocessing_doubtful,
    )
    trials = [_Trial(case, condition) for condition in IMAGE_CAUSES.values()]
    suspected = [trial for trial in trials if trial.suspect_measures]
    findings: list[Finding] = []
    for trial in sorted(suspected, key=lambda trial: trial.rank):
        verdict = trial.verdict
        # Only the first by rank is to blame: that by which most other predictions fall.
        if verdict == "named" and any(
            earlier.verdict == "named" for earlier in findings
        ):
            verdict = "possible"
        findings.append(trial.finding(verdict))
    return tuple(findings)


def _reduction_factor(classifier: Classifier, photos: Photos) -> int:
    """Return the factor by which images are reduced: more pixels the network does not see."""
    # A network of open sides takes all pixels there are: nothing is reduced.
    network_side = min(
        filter(None, picture_size(classifier.input_shape)), default=np.inf
    )
    shortest_side = min(min(photo.size) for photo in photos)
    return max(1, int(shortest_side // (_LARGE_RATIO * network_side)))


def _unusual_measures(photo: Photo, *, colourless: bool) -> dict[str, float]:
    """Return the measures, by cause, that are out of the ordinary, without what another of them brings."""
    tiny = min(photo.size) < TEXTURED_SIDE
    measures = {}
    for cause, condition in IMAGE_CAUSES.items():
        # Too small to be measured, or a colour that the network does not see.
        if (tiny and condition.textural) or (
            colourless and condition.group == "colour"
        ):
            continue
        measure = condition.measured(photo.pixels)
        if condition.unusual(measure):
            measures[cause] = measure
    # What comes with another unusual property is no cause of its own.
    side_effects = {
        effect for cause in measures for effect in IMAGE_CAUSES[cause].brings
    }
    return {cause: measures[cause] for cause in measures if cause not in side_effects}


@dataclass(frozen=True, eq=False)
class _Case:
    """The images, reduced by a factor, their predictions, and what is unusual in each: measures by cause."""

    classifier: Classifier
    reduced_photos: Photos
    reduction_factor: int
    predictions: Predictions
    unusual_measures: Sequence[Mapping[str, float]]
    first_layers: FirstLayers | None
    preprocessing_doubtful: bool

    @cached_property
    def correct(self) -> Bools:
        """Whether each image is known to be predicted correctly."""
        return np.asarray(self.predictions.index == self.predictions.labels)

    @cached_property
    def controls(self) -> tuple[list[Photo], Predictions]:
        """At most `CONTROL_IMAGES` images with the surest predictions, and these.

        Out of probes and images that are known to be predicted correctly, at the usual size of the images.
        """
        images = zip(
            self.reduced_photos, self.unusual_measures, self.correct, strict=True
        )
        ordinary = [
            photo for photo, unusual, correct in images if correct and not unusual
        ]
        photos = (*ordinary, *probes())  # with the photos that come with the kit
        predictions = self.classifier.predict(photos)
        surest = np.argsort(-predictions.probability, kind="stable")[:CONTROL_IMAGES]
        # What is done to them, such as a blur of some pixels, depends on their size.
        usual_side = int(np.median([min(photo.size) for photo in self.reduced_photos]))
        resized = [_with_shorter_side(photos[place], usual_side) for place in surest]
        return resized, predictions[surest]


@dataclass(frozen=True, eq=False)
class _Trial:
    """A property, done to other images and undone in those that have it."""

    case: _Case
    condition: ImageCause

    @cached_property
    def unusual_places(self) -> list[int]:
        """Images in which the property is out of the ordinary."""
        cause = self.condition.cause
        images = enumerate(self.case.unusual_measures)
        return [place for place, measures in images if cause in measures]

    @cached_property
    def suspect_measures(self) -> dict[int, float]:
        """Measures, by place, of the images that the property may be to blame for."""
        measures = self.case.unusual_measures
        return {
            place: measures[place][self.condition.cause]
            for place in self.unusual_places
            if not self.case.correct[place]
        }

    @cached_property
    def amounts(self) -> dict[int, float]:
        """How much of it there is, by place, in those that are asked about."""
        # Settings of the perturbation that does it, for at most `IMAGES_ASKED` images, spread over all.
        step = ceil(len(self.suspect_measures) / IMAGES_ASKED)
        pixels = [photo.pixels for photo in self.case.reduced_photos]
        return {
            place: self.condition.amount(self.suspect_measures[place], pixels[place])
            for place in list(self.suspect_measures)[::step]
        }

    @cached_property
    def amount(self) -> float:
        """Median of `amounts`."""
        return float(np.median([*self.amounts.values()]))

    def undone(self, place: int) -> list[Photo]:
        """Return an image without the property, in several ways."""
        pixels = self.case.reduced_photos[place].pixels
        return list(map(Photo, self.condition.undo(pixels, self.amounts[place])))

    @cached_property
    def kept_share(self) -> float:
        """Share of the predictions for other images that are kept once this amount is done to them.

        Of an answer that has become less sure, the share of its probability counts.
        """
        photos, before = self.case.controls
        spoilt = [self.condition.done(photo, self.amount) for photo in photos]
        rows = self.case.classifier.probabilities(spoilt)
        # Of the class that was predicted before.
        probability_after = rows[np.arange(len(photos)), before.index]
        return float(np.minimum(probability_after / before.probability, 1).mean())

    @cached_property
    def rival_lead_nats(self) -> dict[int, float]:
        """Log of the mean probability of the best other class over that of the present one, by place."""
        lead_nats = {}
        for place in self.amounts:
            present_class = self.case.predictions.index[place]
            rows = self.case.classifier.probabilities(self.undone(place))
            # Over the ways to undo the property.
            mean = rows.mean(axis=0) + np.float32(_LEAST_PROBABILITY)
            lead = np.delete(mean, present_class).max() / mean[present_class]
            lead_nats[place] = float(np.log(lead))
        return lead_nats

    @property
    def changed_share(self) -> float:
        """Share of the predictions that change once it is undone."""
        return float(np.mean([nats > 0 for nats in self.rival_lead_nats.values()]))

    @cached_property
    def chance_of_change(self) -> float:
        """How likely it has changed the predictions, 0..1."""
        log_odds = np.median([self._log_odds(place) for place in self.amounts])
        return float(1 / (1 + np.exp(-log_odds)))

    def _log_odds(self, place: int) -> float:
        """Weigh what speaks for a change of the prediction for one image."""
        predictions = self.case.predictions
        probability = predictions.probability[place]
        unsure_nats = np.log(
            (1 - probability + _LEAST_PROBABILITY) / (probability + _LEAST_PROBABILITY)
        )
        lead_nats = self.rival_lead_nats[place]
        lead_log_odds = lead_nats * ROUGH_WEIGHT
        if self.condition.invertible:
            lead_log_odds = (
                np.clip(lead_nats, -_MOST_LEAD_NATS, _MOST_LEAD_NATS) * EXACT_WEIGHT
            )
        # How many of the other predictions fall, as log odds with one added to each count.
        fallen = (1 - self.kept_share) * CONTROL_IMAGES
        fallen_nats = np.log((fallen + 1) / (CONTROL_IMAGES - fallen + 1))
        log_odds = (
            PRIOR_LOG_ODDS
            + FALLEN_WEIGHT * fallen_nats
            + UNSURE_WEIGHT * unsure_nats
            + lead_log_odds
        )
        # Correct predictions are not asked about, so one with a label, not -1, is wrong.
        if predictions.labels[place] >= 0:
            log_odds += WRONG_LOG_ODDS
        # What hardly any other prediction suffers from is never more likely than not.
        return float(log_odds if self.kept_share < UNHARMED_SHARE else min(log_odds, 0))

    @property
    def rank(self) -> tuple[bool, float]:
        """The least comes first: that by which most other predictions fall."""
        # Last is what is undone exactly without a change of most predictions, as it was not to blame.
        return self.condition.invertible and self.changed_share < 0.5, self.kept_share

    @property
    def verdict(self) -> Verdict:
        """The verdict of this property by itself."""
        conclusive = self.condition.invertible or self.kept_share >= BEARABLE_SHARE
        if self.chance_of_change <= RULED_OUT_CHANCE and conclusive:
            return "ruled_out"
        not_correct = int((~self.case.correct).sum())
        frequent = len(self.suspect_measures) >= FREQUENT_SHARE * not_correct
        likely = self.chance_of_change >= NAMED_CHANCE and frequent
        if likely and not self._too_frequent() and not self._undoing_leads_away():
            return "named"
        return "possible"

    def _too_frequent(self) -> bool:
        """Whether a property is too frequent to be to blame; correctly predicted images are the controls."""
        images = len(self.case.correct)
        correct = int(self.case.correct.sum())
        if not correct:
            # A wrong preprocessing makes many images look unusual.
            frequent = len(self.unusual_places) > COMMON_SHARE * images
            return self.case.preprocessing_doubtful and images > 2 and frequent
        # Of the images with the property, those that are not known to be predicted correctly.
        unusual_suspects = len(self.suspect_measures)
        unusual_correct = len(self.unusual_places) - unusual_suspects
        # Odds to have the property: among the suspects, and among the correct ones.
        suspect_odds = (unusual_suspects + 1) / (
            images - correct - unusual_suspects + 1
        )
        correct_odds = (unusual_correct + 1) / (correct - unusual_correct + 1)
        return bool(np.log(suspect_odds / correct_odds) < RARER_LOG_ODDS)

    def _undoing_leads_away(self) -> bool:
        """Whether images without a property lie farther from those of training, which then have it, too."""
        evaluator = Evaluator(self.case.classifier, self.case.first_layers)
        if not evaluator.has_layer_statistics:
            return False
        used = known_preprocessing(self.case.classifier)
        photos = [self.case.reduced_photos[place] for place in self.amounts]
        # One set of all images for each way to undo the property.
        undone_sets = zip(*map(self.undone, self.amounts), strict=True)
        # If that leads away from the statistics of training, the training images had the property, too.
        nearest = min(evaluator.distance(undone, used) for undone in undone_sets)
        return nearest > evaluator.distance(photos, used)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What was measured, for and against."""
        median = float(np.median([*self.suspect_measures.values()]))
        kept_text = f"mean share of its probability that each of {CONTROL_IMAGES} other images keeps"
        changed_text = "share of these predictions that change once it is undone"
        chance_text = "probability that it changed the prediction"
        return (
            Evidence(
                self.condition.unit, median, self.condition.ordinary, supports=True
            ),
            Evidence(
                kept_text,
                self.kept_share,
                BEARABLE_SHARE,
                supports=self.kept_share < BEARABLE_SHARE,
            ),
            Evidence(changed_text, self.changed_share),
            Evidence(
                chance_text,
                self.chance_of_change,
                NAMED_CHANCE,
                supports=self.chance_of_change >= NAMED_CHANCE,
            ),
        )

    def finding(self, verdict: Verdict) -> Finding:
        """Report what was measured."""
        condition = self.condition
        images = len(self.case.reduced_photos)
        amount = self.amount
        if condition.read is not None:
            # Noise and blur that are read from pixels were reduced with the image.
            amount *= self.case.reduction_factor
        which_are = "This image is"
        if images > 1:
            which_are = f"{len(self.suspect_measures)} of {images} images are"
        parameter = condition.parameter.replace("_", " ")
        return Finding(
            cause=condition.cause,
            verdict=verdict,
            summary=f"{which_are} unusually {condition.adjective}: {parameter} {amount:.2g}.",
            evidence=self.evidence,
            cost=self.changed_share * len(self.suspect_measures) / images,
            fix=remedy(condition, amount),
        )


SURE_CHANCE = 0.01
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
        false-positive rate of `SURE_CHANCE` that ordinary photos do so in as few cases or fewer; possible
        likewise with `FALSE_POSITIVES`; else ruled out. None without a novelty.
    """
    novelty = novelty_of(classifier)
    if novelty is None:
        return None
    # Of each photo, the share of held-back training images that lie as far from training.
    chances = novelty.chances(novelty.scores(photos))
    images = len(chances)
    evidence = []
    for rate in (FALSE_POSITIVES, SURE_CHANCE):
        # A chance is a share of held-back images: it is compared as such, not by its last bit.
        limit = rate + 1e-9
        unlike = int((chances <= limit).sum())
        # The least number of images that ordinary ones reach with no more than this chance.
        needed = next(
            number
            for number in range(images + 2)
            if at_least(number, images, rate) <= limit
        )
        text = f"images farther from training than {1 - rate:.0%} of held-back ones"
        evidence.append(Evidence(text, unlike, needed, supports=unlike >= needed))
    weak, strong = evidence
    verdict: Verdict = "ruled_out"
    if weak.supports:
        verdict = "possible"
    if strong.supports:
        verdict = "named"
    summary = _UNLIKE[verdict].format(weak.value, images)
    return Finding("out_of_distribution", verdict, summary, (weak, strong))
