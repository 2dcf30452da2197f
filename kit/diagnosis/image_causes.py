"""Images as causes: their properties, tried on others, undone and weighed; images unlike the training's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image, ImageOps

from kit._arrays import Bools
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.engines import picture_size
from kit.classifier.first_layers import FirstLayers
from kit.classifier.labels import Truth
from kit.classifier.predictions import Predictions
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.finding import Evidence, Finding, Photos, Verdict, at_least
from kit.diagnosis.image_properties import PROPERTIES, WORDS, Property, slight
from kit.images import Photo
from kit.images.properties import PROPERTIES as MEASURES
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

# Shorter side over that of the network, from twice which on images are reduced.
_LARGE = 1.5
# Probabilities below count as this.
_LEAST = 1e-3
# Nats up to which another prediction is ahead: further ahead it proves no more.
_FAR = 2.0


def _resized(photo: Photo, side: int) -> Photo:
    resized = ImageOps.cover(
        Image.fromarray(photo.pixels), (side, side), Image.Resampling.BICUBIC
    )
    return Photo(np.asarray(resized), photo.name)


def unsettled(classifier: Classifier, photo: Photo) -> tuple[str, ...]:
    """Return the names of the slight changes of an image that give it another prediction."""
    pixels = photo.decoded(known_preprocessing(classifier).decoding).pixels
    (present,) = classifier.predict(photo).index
    tried = {
        name: classifier.predict(list(map(Photo, done))).index
        for name, done in slight(pixels).items()
    }
    return tuple(name for name, index in tried.items() if (index != present).any())


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
    # More pixels than these the network does not see.
    seen = min(filter(None, picture_size(classifier.input_shape)), default=np.inf)
    factor = max(1, int(min(min(photo.size) for photo in decoded) // (_LARGE * seen)))
    pictures = [
        Photo(np.asarray(Image.fromarray(one.pixels).reduce(factor)), one.name)
        for one in decoded
    ]
    grey = used.channels.startswith("gray")
    items = [item for item in PROPERTIES.values() if not (item.coloured and grey)]
    unusual = {item.name: _unusual(item, pictures) for item in items}
    for item in items:
        for name in unusual.keys() & item.brings:
            brought = unusual[name].keys() & unusual[item.name]
            unusual[name] = {
                place: one
                for place, one in unusual[name].items()
                if place not in brought
            }
    case = _Case(
        classifier,
        pictures,
        factor,
        classifier.predict(decoded, labels or None),
        unusual,
        first_layers,
        doubtful,
    )
    found = sorted(
        (_found(case, item) for item in items if case.suspects(item)),
        key=lambda pair: pair[0],
    )
    # One is to blame: that by which most other predictions fall.
    others = [one for _, one in found if one.verdict == "named"][1:]
    return tuple(
        replace(one, verdict="possible") if one in others else one for _, one in found
    )


def _unusual(item: Property, pictures: Photos) -> dict[int, float]:
    """Return the measures, by place, of the images in which a property is out of the ordinary."""
    large = {
        place: photo
        for place, photo in enumerate(pictures)
        if min(photo.size) >= item.least_side
    }
    measures = {place: item.measure(photo.pixels) for place, photo in large.items()}
    return {
        place: measure for place, measure in measures.items() if item.unusual(measure)
    }


@dataclass(frozen=True, eq=False)
class _Case:
    """The images, reduced by a factor, the predictions to them, and what is unusual: measures by place."""

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
        own = [
            self.pictures[place]
            for place in np.flatnonzero(self.right).tolist()
            if place not in odd
        ]
        photos = (*own, *probes())
        predictions = self.classifier.predict(photos)
        surest = np.argsort(-predictions.probability, kind="stable")[:COUNT]
        side = int(np.median([min(photo.size) for photo in self.pictures]))
        return [_resized(photos[place], side) for place in surest], predictions[surest]

    def kept(self, item: Property, amount: float) -> float:
        """Share of the predictions for other images that are kept once this amount is done to them.

        Of an answer that has become less sure, the share of its probability counts.
        """
        photos, before = self.good
        changed = self.classifier.probabilities(
            [item.done(photo, amount) for photo in photos]
        )
        after = changed[np.arange(len(photos)), before.index]
        return float(np.minimum(after / before.probability, 1).mean())

    def suspects(self, item: Property) -> dict[int, float]:
        """Return the measures, by place, of the images that a property may be to blame for."""
        return {
            place: one
            for place, one in self.unusual[item.name].items()
            if not self.right[place]
        }

    def farther(self, item: Property, amounts: Mapping[int, float]) -> bool:
        """Whether images without a property lie farther from those of training, which then have it, too."""
        evaluator = Evaluator(self.classifier, self.first_layers)
        if not evaluator.statistics:
            return False
        used = known_preprocessing(self.classifier)
        photos = [self.pictures[place] for place in amounts]
        undone = [
            map(Photo, item.undo(photo.pixels, amount))
            for photo, amount in zip(photos, amounts.values(), strict=True)
        ]
        ways = list(zip(*undone, strict=True))
        nearest = min(evaluator.distance(way, used) for way in ways)
        return nearest > evaluator.distance(photos, used)

    def ordinary(self, item: Property) -> bool:
        """Whether a property is too frequent to be to blame; correctly predicted images are the controls."""
        unusual, count, controls = (
            self.unusual[item.name],
            len(self.right),
            int(self.right.sum()),
        )
        if not controls:
            return self.doubtful and count > 2 and len(unusual) > COMMON * count
        having = int(self.right[list(unusual)].sum())
        suspects = len(unusual) - having, count - controls
        odds, usual = (
            (part + 1) / (whole - part + 1)
            for part, whole in (suspects, (having, controls))
        )
        return bool(np.log(odds / usual) < RARER)

    def log_odds(self, item: Property, place: int, kept: float, ahead: float) -> float:
        """Weigh what speaks for a change of an answer, where another is `ahead` once a property is undone."""
        sure = self.predictions.probability[place]
        unsure = np.log((1 - sure + _LEAST) / (sure + _LEAST))
        weight = min(max(ahead, -_FAR), _FAR) * EXACT if item.exact else ahead * RIVAL
        lost = (1 - kept) * COUNT
        fallen = np.log((lost + 1) / (COUNT - lost + 1))
        odds = (
            BEFORE
            + CURVE * fallen
            + UNSURE * unsure
            + weight
            + WRONG * (self.predictions.labels[place] >= 0)
        )
        return float(odds if kept < BORNE else min(odds, 0))

    def ahead(self, item: Property, place: int, amount: float) -> float:
        """Return the log of the mean probability of the best other class over that of the present one."""
        undone = [
            Photo(each) for each in item.undo(self.pictures[place].pixels, amount)
        ]
        present = self.predictions.index[place]
        mean = self.classifier.probabilities(undone).mean(axis=0) + np.float32(_LEAST)
        return float(np.log(np.delete(mean, present).max() / mean[present]))


def _found(case: _Case, item: Property) -> tuple[tuple[bool, float], Finding]:
    """Return its rank, the share of other predictions that bear as much of a property, and the finding."""
    measures = case.suspects(item)
    places = list(measures)[:: -(-len(measures) // ASKED)]
    amounts = [
        item.amount(measures[place], case.pictures[place].pixels) for place in places
    ]
    amount = float(np.median(amounts))
    kept = case.kept(item, amount)
    ahead = [
        case.ahead(item, place, each)
        for place, each in zip(places, amounts, strict=True)
    ]
    odds = [
        case.log_odds(item, place, kept, each)
        for place, each in zip(places, ahead, strict=True)
    ]
    chance = float(1 / (1 + np.exp(-np.median(odds))))
    often = len(measures) >= MOST * int((~case.right).sum())
    blamed = (
        chance >= NAMED
        and often
        and not case.ordinary(item)
        and not case.farther(item, dict(zip(places, amounts, strict=True)))
    )
    verdict: Verdict = "named" if blamed else "possible"
    if chance <= RULED_OUT and (item.exact or kept >= STARTS):
        verdict = "ruled_out"
    changed = float((np.array(ahead) > 0).mean())
    whole = amount * case.factor if item.name in {"noisy", "blurred"} else amount
    count, median = len(case.pictures), float(np.median([*measures.values()]))
    evidence = (
        Evidence(MEASURES[item.measured].unit, median, item.ordinary, True),
        Evidence(
            f"share of predictions for {COUNT} other images that stay",
            kept,
            STARTS,
            kept < STARTS,
        ),
        Evidence("share of these predictions that change once it is undone", changed),
        Evidence(
            "probability that it changed the prediction", chance, NAMED, chance >= NAMED
        ),
    )
    which = "This image is" if count == 1 else f"{len(measures)} of {count} images are"
    summary = f"{which} unusually {WORDS[item.name][0]}: {item.parameter} {whole:.2g}."
    cost = changed * len(measures) / count
    finding = Finding(item.name, verdict, summary, evidence, cost, item.remedy(whole))
    # What is undone exactly should have changed the prediction.
    return (item.exact and changed < 0.5, kept), finding


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
    count, evidence = len(chances), []
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
        evidence.append(Evidence(text, above, needed, above >= needed))
    unusual, sure = evidence
    verdict: Verdict = (
        "named" if sure.supports else "possible" if unusual.supports else "ruled_out"
    )
    summary = _UNLIKE[verdict].format(unusual.value, count)
    return Finding("out_of_distribution", verdict, summary, (unusual, sure))
