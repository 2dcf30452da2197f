"""Which properties of the pictures are out of the ordinary, and whether they change the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from kit._arrays import Bools, Float32
from kit.classifier import Classifier
from kit.classifier.runtime.shapes import picture_size
from kit.classifier.trial import Truth, hits
from kit.diagnosis.finding import Evidence, Finding, Verdict
from kit.diagnosis.picture_curves import COUNT, STARTS, Curve, Good
from kit.diagnosis.picture_properties import PROPERTIES, Property
from kit.images import Photo

BEFORE, CURVE, UNSURE, RIVAL, EXACT = -0.25, 0.6, 0.45, 1.3, 3.8
"""Log odds that a property has changed an answer: before anything is weighed, and for each nat of what is.

How other answers fall, how unsure this one is, and how far another is ahead once it is undone, roughly or
exactly. A logistic regression on photographs none of which is bundled.
"""

WRONG = 2.5
"""Log odds that are added where the label says that the answer is wrong: something has made it so."""

NAMED, RULED_OUT = 0.6, 0.05
"""Chance that the answer is changed from which on a property is named, and up to which it is ruled out.

Ruled out is only what is undone exactly, or what other answers bear: no remedy that fails is a proof.
"""

BORNE = 0.9
"""Share of other answers that are kept, from which on a property is not named."""

MOST = 0.5
"""Share of the pictures, those known to be answered rightly left out, that a named property must affect."""

ASKED = 8
"""At most so many of the pictures with a property, spread over all, are asked about once it is undone."""

# Shorter side over that of the network, from twice which on pictures are reduced.
_LARGE = 1.5
# Probabilities below count as this.
_LEAST = 1e-3
# Nats up to which another answer is ahead: further ahead it proves no more.
_FAR = 1.5

_KEPT = "share of answers to {} other pictures that are kept at as much"
_CHANGED = "share of these pictures for which another answer is ahead once it is undone"
_CHANCE = "chance that it changed the answer, median of these pictures"
_OUTCOMES: dict[Verdict, str] = {
    "named": "it most probably changed the answer",
    "possible": "it may have changed the answer",
    "ruled_out": "here the answer stands",
}


def check_properties(
    classifier: Classifier, photos: Sequence[Photo], labels: Truth = ()
) -> tuple[Finding, ...]:
    """Measure the pictures, do what is out of the ordinary to others, undo it, and ask the network.

    Parameters
    ----------
    classifier
        With the preprocessing in use, which should be right: these causes are asked for last.
    photos
        At least one.
    labels
        Index of the right class of each, None where it is not known; empty where none is.

    Returns
    -------
    tuple of Finding
        One for each property that is out of the ordinary in some picture that is not known to be answered
        rightly. At most one is named: that by which most other answers fall.
    """
    used = classifier.preprocessing
    decoded = [photo if used is None else photo.decoded(used.decoding) for photo in photos]
    # More pixels than these the network does not see.
    seen = min((side for side in picture_size(classifier.input_shape) if side is not None), default=0)
    shorter = min(min(photo.size) for photo in decoded)
    factor = max(1, int(shorter // (_LARGE * seen))) if seen else 1
    pictures = [_reduced(photo, factor) for photo in decoded]
    grey = used is not None and used.channels.startswith("gray")
    items = [item for item in PROPERTIES.values() if not (item.coloured and grey)]
    unusual = {item.name: _unusual(item, pictures) for item in items}
    for item in items:
        for other in item.brings:
            unusual[other] = {
                place: one for place, one in unusual[other].items() if place not in unusual[item.name]
            }
    if not any(unusual.values()):
        return ()
    case = _Case(classifier, pictures, factor, classifier.probabilities(decoded), labels, unusual)
    found = sorted((_found(case, item) for item in items if case.suspects(item)), key=lambda pair: -pair[0])
    blamed = next((finding for _, finding in found if finding.verdict == "named"), None)
    return tuple(_second(one) if one.verdict == "named" and one is not blamed else one for _, one in found)


def _second(finding: Finding) -> Finding:
    """Return what would be named if another property did not explain the answers better."""
    summary = finding.summary.replace(_OUTCOMES["named"], _OUTCOMES["possible"])
    return replace(finding, verdict="possible", summary=summary)


@dataclass(frozen=True, eq=False)
class _Case:
    """The pictures, reduced by a factor, the answers to them, and what is unusual: measures by place."""

    classifier: Classifier
    pictures: Sequence[Photo]
    factor: int
    answers: Float32
    labels: Truth
    unusual: Mapping[str, Mapping[int, float]]

    @cached_property
    def right(self) -> Bools:
        """Whether each picture is known to be answered rightly."""
        return hits(self.answers, self.labels)

    @cached_property
    def good(self) -> Good:
        """Pictures that are answered well: those known to be, and probes."""
        odd = {place for measures in self.unusual.values() for place in measures}
        own = [self.pictures[place] for place in np.flatnonzero(self.right).tolist() if place not in odd]
        return Good.of(self.classifier, own, int(np.median([min(photo.size) for photo in self.pictures])))

    def suspects(self, item: Property) -> dict[int, float]:
        """Return the measures, by place, of the pictures that a property may be to blame for."""
        return {place: one for place, one in self.unusual[item.name].items() if not self.right[place]}

    def label(self, place: int) -> int | None:
        """Return the right class of a picture; None where it is not known."""
        return self.labels[place] if self.labels else None

    def log_odds(self, item: Property, place: int, curve: Curve, repaired: Float32) -> float:
        """Weigh what speaks for an answer that a property has changed.

        Parameters
        ----------
        item
            The property.
        place
            Of the picture.
        curve
            Whether other answers fall by as much of it.
        repaired
            float32, (N, classes): answers once it is undone, in several ways.
        """
        answer = self.answers[place]
        present = int(answer.argmax())
        unsure = np.log((1 - answer[present] + _LEAST) / (answer[present] + _LEAST))
        ahead = _ahead(repaired, present)
        weight = min(max(ahead, -_FAR), _FAR) * EXACT if item.exact else ahead * RIVAL
        odds = BEFORE + CURVE * curve.fallen + UNSURE * unsure + weight
        if self.label(place) is not None:
            odds += WRONG
        return float(odds if curve.kept[-1] < BORNE else min(odds, 0))


def _found(case: _Case, item: Property) -> tuple[float, Finding]:
    """Return log odds that other answers fall by as much of a property, and the finding about it."""
    measures = case.suspects(item)
    places = list(measures)[:: -(-len(measures) // ASKED)]
    amounts = {place: item.amount(measures[place], case.pictures[place].pixels) for place in places}
    amount = float(np.median(list(amounts.values())))
    curve = Curve.of(case.classifier, case.good, item, amount)
    repaired = {
        place: case.classifier.probabilities(item.undone(case.pictures[place].pixels, each))
        for place, each in amounts.items()
    }
    odds = [case.log_odds(item, place, curve, rows) for place, rows in repaired.items()]
    chance = float(1 / (1 + np.exp(-np.median(odds))))
    often = len(measures) >= MOST * int((~case.right).sum())
    # What cannot be undone needs a wrong answer and others that mostly fall as well.
    labelled = any(case.label(place) is not None for place in measures)
    provable = item.undo is not None or (labelled and curve.fallen > 0)
    verdict: Verdict = "named" if chance >= NAMED and often and provable else "possible"
    if chance <= RULED_OUT and (item.exact or curve.kept[-1] >= STARTS):
        verdict = "ruled_out"
    changed = float(
        np.mean([_ahead(rows, int(case.answers[place].argmax())) > 0 for place, rows in repaired.items()])
    )
    finding = Finding(
        item.name,
        verdict,
        f"{_which(len(measures), len(case.pictures))} unusually {item.word}, as of"
        f" {item.told(amount, case.factor)}. {_lies(item, curve, case.factor)}; {_OUTCOMES[verdict]}.",
        (
            _median_measure(item, list(measures.values())),
            Evidence(_KEPT.format(COUNT), curve.kept[-1], STARTS, supports=curve.kept[-1] < STARTS),
            Evidence(_CHANGED, changed),
            Evidence(_CHANCE, chance, NAMED, supports=chance >= NAMED),
        ),
        cost=changed * len(measures) / len(case.pictures),
        fix=item.remedy(amount, case.factor),
    )
    return curve.fallen, finding


def _which(some: int, of: int) -> str:
    return "This picture is" if of == 1 else f"{some} of {of} pictures are"


def _median_measure(item: Property, measures: Sequence[float]) -> Evidence:
    text = f"{item.unit}, median of these pictures"
    return Evidence(text, float(np.median(measures)), item.ordinary, supports=True)


def _lies(item: Property, curve: Curve, factor: int) -> str:
    if curve.limit is None:
        return "On other pictures this network bears as much"
    if not item.parameter:
        return f"Of other answers {curve.kept[-1]:.0%} are kept like this"
    beyond = "above" if curve.amounts[-1] > curve.amounts[0] else "below"
    return f"On other pictures this network starts to fail {beyond} {item.scaled(curve.limit, factor):.2g}"


def _ahead(rows: Float32, present: int) -> float:
    """Return the log of the mean probability of the strongest other class over that of the present one."""
    if not len(rows):
        return 0.0
    mean = rows.mean(axis=0) + np.float32(_LEAST)
    return float(np.log(np.delete(mean, present).max() / mean[present]))


def _unusual(item: Property, pictures: Sequence[Photo]) -> dict[int, float]:
    """Return the measures, by place, of the pictures in which a property is out of the ordinary."""
    measures = {
        place: item.measure(photo.pixels)
        for place, photo in enumerate(pictures)
        if min(photo.size) >= item.least_side
    }
    return {place: measure for place, measure in measures.items() if item.unusual(measure)}


def _reduced(photo: Photo, factor: int) -> Photo:
    if factor == 1:
        return photo
    return Photo(np.asarray(Image.fromarray(photo.pixels).reduce(factor)), photo.name, photo.decoding)
