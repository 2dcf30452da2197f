"""Images as causes: their properties, tried on others, undone and weighed; images unlike the training's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from kit._arrays import Bools, Float32, Float64, Int64
from kit.classifier.classifier import Classifier, known_preprocessing
from kit.classifier.engines import picture_size
from kit.classifier.first_layers import FirstLayers
from kit.classifier.predictions import Predictions
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.finding import (
    Evidence,
    Finding,
    Fix,
    Photos,
    Verdict,
    any_named,
    chance_of_at_least,
)
from kit.images.photo import Photo
from kit.perturbation.alterations import ImageCause
from kit.perturbation.conditions import IMAGE_CAUSES
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

FREQUENT_SHARE = 0.5
"""Share of the images, those known to be predicted correctly left out, that a named property must affect."""

IMAGES_ASKED = 8
"""At most so many of the images with a property, spread over all, are asked about once it is undone."""

TEXTURED_SIDE = 64
"""Pixels below which an image is mostly texture, so that noise, blur and JPEG blocks cannot be measured."""

_LARGE_RATIO = 1.5
"""Shorter side over that of the network, from twice which on images are reduced."""

_SMOOTHING = 1e-3
"""Is added to probabilities before their logarithm, so that none weighs without limit."""

_MOST_LEAD_NATS = 2.0
"""Nats up to which another prediction is ahead: further ahead it proves no more."""

_REMEDY = """\
from PIL import Image, ImageOps
from kit.images.photo import as_photos
from kit.robustness import relevelled, restored
better = [{} for photo in as_photos(photos)]
print(classifier.predict(better))"""


def _with_shorter_side(photo: Photo, pixels: int) -> Photo:
    image = Image.fromarray(photo.pixels)
    # In proportion, so that it covers such a square; nothing is cut off.
    resized = ImageOps.cover(image, (pixels, pixels), Image.Resampling.BICUBIC)
    return Photo(np.asarray(resized), photo.name)


def remedy(condition: ImageCause, amount: float) -> Fix:
    """Return what to change, and code that takes this amount out of ``photos`` and asks again."""
    # `call` is Python for one `photo`, with a place for the amount.
    code = _REMEDY.format(condition.call.format(amount))
    return Fix(f"{condition.advice}, or train on such images.", code)


def check_properties(
    classifier: Classifier,
    photos: Photos,
    labels: Int64 | None = None,
    *,
    first_layers: FirstLayers | None = None,
) -> tuple[Finding, ...]:
    """Measure the images, do what is out of the ordinary to others, undo it, and ask the network.

    Returns a finding for each property that is out of the ordinary in some image that is not known to be
    predicted correctly. At most one is named: the first by `_Trial.rank`.

    Parameters
    ----------
    classifier
        With the preprocessing in use, which should be right: these causes are asked for last.
    photos, labels
        At least one, and the index of the right class of each, int64 (photos,), -1 where it is not known.
    first_layers
        With statistics of the training images: what brings images nearer to these is not named.
    """
    used = known_preprocessing(classifier)
    # As the preprocessing in use decodes files; a photo that is decoded so already stays as it is.
    decoded = [photo.decoded(used.decoding) for photo in photos]
    factor = _reduction_factor(classifier, decoded)
    colourless = used.channels.startswith("gray")
    # Without the pixels that the network does not see anyway.
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
    )
    # Each property is done to other images, and undone in those that have it and may be predicted wrongly;
    # None where no image may be. Where undoing leads away from training, `first_layers` forbid to name it.
    trials = filter(None, map(partial(_trial_of, case), IMAGE_CAUSES.values()))
    findings: list[Finding] = []
    for trial in sorted(trials, key=lambda trial: trial.rank):
        verdict = trial.verdict
        # Only the first by rank is to blame: that by which most other predictions fall.
        if verdict == "named" and any_named(findings):
            verdict = "possible"
        findings.append(_finding(case, trial, verdict))
    return tuple(findings)


def _reduction_factor(classifier: Classifier, photos: Photos) -> int:
    """Return the factor by which images are reduced: more pixels the network does not see."""
    # A network without a fixed input size takes all pixels there are: nothing is reduced.
    network_side = min(
        filter(None, picture_size(classifier.input_shape)), default=np.inf
    )
    shortest_side = min(min(photo.size) for photo in photos)
    # Rounded down, so that each side keeps at least `_LARGE_RATIO` times those that the network takes.
    return max(1, int(shortest_side // (_LARGE_RATIO * network_side)))


def _unusual_measures(photo: Photo, *, colourless: bool) -> dict[str, float]:
    """Return the measures, by cause, that are out of the ordinary, without what another of them brings."""
    is_tiny = min(photo.size) < TEXTURED_SIDE
    measures = {}
    for cause, condition in IMAGE_CAUSES.items():
        # Too small to be measured, or a colour that the network does not see.
        if (is_tiny and condition.textural) or (
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

    def unusual_by_place(self, cause: str) -> dict[int, float]:
        """Return the measures of a property, by place, where it is out of the ordinary."""
        images = enumerate(self.unusual_measures)
        return {place: unusual[cause] for place, unusual in images if cause in unusual}

    @cached_property
    def known_correct(self) -> Bools:
        """Whether each image is known to be predicted correctly."""
        # An unknown label, -1, equals no class.
        return np.asarray(self.predictions.index == self.predictions.labels)

    @cached_property
    def controls(self) -> tuple[list[Photo], Predictions]:
        """At most `CONTROL_IMAGES` images with the surest predictions, and these.

        Out of probes and images that are known to be predicted correctly, at the usual size of the images.
        """
        images = zip(
            self.reduced_photos, self.unusual_measures, self.known_correct, strict=True
        )
        ordinary = [
            photo for photo, unusual, correct in images if correct and not unusual
        ]
        photos = (*ordinary, *probes())  # with the photos that come with the kit
        predictions = self.classifier.predict(photos)
        surest = np.argsort(-predictions.probability, kind="stable")[:CONTROL_IMAGES]
        # What is done to them, such as a blur of some pixels, depends on their size. The predictions
        # stay those for the photos as they come.
        usual_side = int(np.median([min(photo.size) for photo in self.reduced_photos]))
        resized = [_with_shorter_side(photos[place], usual_side) for place in surest]
        return resized, predictions[surest]


class _Trial(NamedTuple):
    """What came of a property that was done to other images, and undone in those that have it.

    `suspect_measures` are of the images that have the property and are not known to be predicted correctly;
    `amount` is the setting of the perturbation that does it; for all else see `_trial_of` and `_finding`.
    """

    condition: ImageCause
    suspect_measures: Sequence[float]
    amount: float
    kept_share: float
    changed_share: float
    chance: float
    verdict: Verdict

    @property
    def rank(self) -> tuple[bool, float]:
        """The least comes first: that by which most other predictions fall."""
        # Last is what is undone exactly without a change of most predictions, as it was not to blame.
        return self.condition.invertible and self.changed_share < 0.5, self.kept_share


def _trial_of(case: _Case, condition: ImageCause) -> _Trial | None:
    """Do a property to other images, undo it in those that have it; None where no image is suspected."""
    measures = case.unusual_by_place(condition.cause)
    suspect_places = [place for place in measures if not case.known_correct[place]]
    if not suspect_places:
        return None
    # At most `IMAGES_ASKED` images, spread over all.
    places_asked = suspect_places[:: ceil(len(suspect_places) / IMAGES_ASKED)]
    amounts = []
    # For each image, several ways to undo it.
    undone_photos = []
    for place in places_asked:
        pixels = case.reduced_photos[place].pixels
        amount = condition.amount(measures[place], pixels)
        amounts.append(amount)
        undone_photos.append(list(map(Photo, condition.undo(pixels, amount))))
    # The property is done to control images: the share of their probability that these keep.
    kept_share = _share_kept_by_controls(case, condition, float(np.median(amounts)))
    predictions = case.predictions[np.array(places_asked)]
    # Probabilities once it is undone: for each image asked about the mean over the ways, float32 (classes,).
    undone_rows = [
        case.classifier.probabilities(ways).mean(axis=0) for ways in undone_photos
    ]
    rival_lead_nats = np.array(
        list(map(_rival_lead_nats, predictions.index, undone_rows))
    )
    chance = _chance_that_property_changed_predictions(
        predictions,
        rival_lead_nats,
        undone_exactly=condition.invertible,
        kept_share=kept_share,
    )
    verdict: Verdict = "possible"
    if chance <= RULED_OUT_CHANCE:
        # Undoing only roughly proves nothing where it fails.
        if condition.invertible or kept_share >= BEARABLE_SHARE:
            verdict = "ruled_out"
    elif (
        chance >= NAMED_CHANCE
        and len(suspect_places) >= FREQUENT_SHARE * (~case.known_correct).sum()
        and not _is_too_frequent_among_correct(case, len(measures), len(suspect_places))
        and not _undoing_leads_away_from_training(case, places_asked, undone_photos)
        and not (
            condition.invertible and _meets_no_label(undone_rows, predictions.labels)
        )
    ):
        verdict = "named"
    return _Trial(
        condition=condition,
        suspect_measures=[measures[place] for place in suspect_places],
        amount=float(np.median(amounts)),
        kept_share=kept_share,
        changed_share=float((rival_lead_nats > 0).mean()),
        chance=chance,
        verdict=verdict,
    )


def _finding(case: _Case, trial: _Trial, verdict: Verdict) -> Finding:
    """Report what was measured."""
    condition, suspect_measures, amount, kept_share, changed_share, chance, _ = trial
    kept_text = f"mean share of its probability that each of {CONTROL_IMAGES} other images keeps"
    changed_text = "share of these predictions that change once it is undone"
    chance_text = "probability that it changed the prediction"
    evidence = (
        Evidence(
            condition.unit,
            float(np.median(suspect_measures)),
            condition.ordinary,
            supports=True,
        ),
        Evidence(
            kept_text, kept_share, BEARABLE_SHARE, supports=kept_share < BEARABLE_SHARE
        ),
        Evidence(changed_text, changed_share),
        Evidence(chance_text, chance, NAMED_CHANCE, supports=chance >= NAMED_CHANCE),
    )
    image_count = len(case.reduced_photos)
    if condition.read is not None:
        # Noise and blur that are read from pixels were reduced with the image.
        amount *= case.reduction_factor
    which_are = "This image is"
    if image_count > 1:
        unusual_count = len(case.unusual_by_place(condition.cause))
        which_are = f"{unusual_count} of {image_count} images are"
    parameter = condition.parameter.replace("_", " ")
    return Finding(
        cause=condition.cause,
        verdict=verdict,
        summary=f"{which_are} unusually {condition.adjective}: {parameter} {amount:.2g}.",
        evidence=evidence,
        fix=remedy(condition, amount),
    )


def _share_kept_by_controls(case: _Case, condition: ImageCause, amount: float) -> float:
    """Return the share of the predictions for other images that is kept once this amount is done to them.

    Of an answer that has become less sure, the share of its probability counts.
    """
    photos, predictions_before = case.controls
    spoilt_photos = [condition.done(photo, amount) for photo in photos]
    rows = case.classifier.probabilities(spoilt_photos)
    # Of the class that was predicted before.
    probability_after = rows[np.arange(len(photos)), predictions_before.index]
    return float(
        np.minimum(probability_after / predictions_before.probability, 1).mean()
    )


def _rival_lead_nats(present_class: int, undone_row: Float32) -> float:
    """Return by how many nats the best other class leads the present one once the property is undone."""
    # Below 0 where the present class still leads.
    row = undone_row + np.float32(_SMOOTHING)
    return float(np.log(np.delete(row, present_class).max() / row[present_class]))


def _chance_that_property_changed_predictions(
    predictions: Predictions,
    rival_lead_nats: Float64,  # once the property is undone
    *,
    undone_exactly: bool,
    kept_share: float,  # by other images that it is done to
) -> float:
    """Return how likely a property has changed these predictions, 0..1."""
    unsure = 1 - predictions.probability + _SMOOTHING
    unsure_nats = np.log(unsure / (predictions.probability + _SMOOTHING))
    lead_log_odds = rival_lead_nats * ROUGH_WEIGHT
    if undone_exactly:
        capped_nats = np.clip(rival_lead_nats, -_MOST_LEAD_NATS, _MOST_LEAD_NATS)
        lead_log_odds = capped_nats * EXACT_WEIGHT
    # How many of the other predictions fall, in parts too, since `kept_share` is a mean share of probability;
    # as log odds with one added to each count.
    fallen = (1 - kept_share) * CONTROL_IMAGES
    fallen_nats = np.log((fallen + 1) / (CONTROL_IMAGES - fallen + 1))
    log_odds = (
        PRIOR_LOG_ODDS
        + FALLEN_WEIGHT * fallen_nats
        + UNSURE_WEIGHT * unsure_nats
        + lead_log_odds
        # Correct predictions are not asked about, so one with a label, not -1, is wrong.
        + np.where(predictions.labels >= 0, WRONG_LOG_ODDS, 0)
    )
    if kept_share >= UNHARMED_SHARE:
        # What hardly any other prediction suffers from is never more likely than not.
        log_odds = np.minimum(log_odds, 0)
    # It decides the verdict alone; the order of the findings is that of `_Trial.rank`.
    return float(1 / (1 + np.exp(-np.median(log_odds))))


def _meets_no_label(undone_rows: Sequence[Float32], labels: Int64) -> bool:
    """Whether images with labels are all predicted wrongly once the property is undone, too."""
    predicted = np.argmax(undone_rows, axis=1)
    # Of severely altered images, one in four is missed so: of three, all are by chance in one of 64.
    return bool((labels >= 0).sum() >= 3 and not (labels == predicted).any())


def _is_too_frequent_among_correct(
    case: _Case, unusual_count: int, suspect_count: int
) -> bool:
    """Whether a property is too frequent to be to blame; correctly predicted images are the controls."""
    image_count = len(case.known_correct)
    correct_count = int(case.known_correct.sum())
    if not correct_count:
        return False
    # Odds to have the property: among those not known to be correct, and among the correct ones; one is
    # added to each count, so that none is 0.
    suspect_odds = (suspect_count + 1) / (
        image_count - correct_count - suspect_count + 1
    )
    correct_odds = (unusual_count - suspect_count + 1) / (
        correct_count - unusual_count + suspect_count + 1
    )
    # The limit is above 0: as frequent among correct images is too frequent, and so is only a little rarer.
    return bool(np.log(suspect_odds / correct_odds) < RARER_LOG_ODDS)


def _undoing_leads_away_from_training(
    case: _Case, places: Sequence[int], undone_photos: Sequence[Photos]
) -> bool:
    """Whether images without a property lie farther from those of training, which then have it, too."""
    evaluator = Evaluator(case.classifier, case.first_layers)
    if not evaluator.has_layer_statistics:
        return False
    used = known_preprocessing(case.classifier)
    photos = [case.reduced_photos[place] for place in places]
    # One set of all images for each way to undo the property, of as many ways as all of them have.
    undone_sets = zip(*undone_photos, strict=False)
    nearest_distance = min(
        evaluator.distance_from_training(undone_set, used) for undone_set in undone_sets
    )
    return nearest_distance > evaluator.distance_from_training(photos, used)


SURE_CHANCE = 0.01
"""Chance, with ordinary images, at which images are named as out of distribution."""

_UNLIKE: dict[Verdict, str] = {
    "named": "{} of {} images are unlike those of training: no class fits.",
    "possible": "{} of {} images are rather unlike those of training.",
    "ruled_out": "The images are like those of training.",
}


def out_of_distribution(classifier: Classifier, photos: Photos) -> Finding | None:
    """Measure whether photos are unlike the training images, by the classifier's `kit.fit_novelty`.

    Ask this after the preprocessing was found to be right: a wrong one makes every image unlike them. The
    cause ``"out_of_distribution"`` is named where so many of the photos lie above the threshold for a
    false-positive rate of `SURE_CHANCE` that ordinary photos do so in as few cases or fewer; possible
    likewise with `FALSE_POSITIVES`; else ruled out. None without a novelty.
    """
    novelty = novelty_of(classifier)
    if novelty is None:
        return None
    # Of each photo, the share of held-back training images that lie as far from training.
    chances = novelty.chances(novelty.scores(photos))
    image_count = len(chances)
    evidence = []
    for rate in (FALSE_POSITIVES, SURE_CHANCE):
        # A chance is a share of held-back images: it is compared as such, not by its last bit.
        limit = rate + 1e-9
        unlike_count = int((chances <= limit).sum())
        # The least number of images that ordinary ones reach with no more than this chance.
        needed = next(
            number
            # One more than all images has the chance 0.
            for number in range(image_count + 2)
            if chance_of_at_least(number, image_count, rate) <= limit
        )
        text = f"images farther from training than {1 - rate:.0%} of held-back ones"
        evidence.append(
            Evidence(text, unlike_count, needed, supports=unlike_count >= needed)
        )
    weak, strong = evidence
    verdict: Verdict = "ruled_out"
    if weak.supports:
        verdict = "possible"
    if strong.supports:
        verdict = "named"
    summary = _UNLIKE[verdict].format(weak.value, image_count)
    return Finding("out_of_distribution", verdict, summary, (weak, strong))
