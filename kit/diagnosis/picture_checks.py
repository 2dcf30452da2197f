"""Which properties of the pictures are out of the ordinary, and whether they change this network's answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from PIL import Image

from kit._arrays import Bools, Float32
from kit.classifier import Classifier
from kit.classifier.trial import Truth, hits
from kit.diagnosis.finding import Evidence, Finding, Verdict
from kit.diagnosis.picture_curves import STARTS, Curve, Good
from kit.diagnosis.picture_properties import PROPERTIES, Property
from kit.images import Photo

BEFORE, CURVE, UNSURE, RIVAL, EXACT = -0.7, 0.4, 0.6, 0.9, 3.5
"""Log odds that a property has changed an answer: before anything is weighed, and for each nat of what is.

How other answers fall, how unsure this one is, and how far another is ahead once it is undone, roughly or
exactly.
"""

WRONG = 2.5
"""Log odds that are added where the label says that the answer is wrong: something has made it so."""

NAMED, RULED_OUT = 0.6, 0.05
"""Chance that the answer is changed from which on a property is named, and up to which it is ruled out."""

BORNE = 0.9
"""Share of other answers that are kept, from which on a property is not named."""

MOST = 0.5
"""Share of the pictures, those known to be answered rightly left out, that a named property must affect."""

# Shorter side over that of the network beyond which a picture is reduced: more the network does not see.
_LARGE = 1.5
# Probabilities below count as this.
_LEAST = 1e-3
# Nats up to which another answer is ahead: further ahead it proves no more.
_FAR = 1.5

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
        rightly, the most probable first, which alone may be named.
    """
    used = classifier.preprocessing
    decoded = [photo if used is None else photo.decoded(used.decoding) for photo in photos]
    pictures = [_reduced(photo, min(classifier.input_shape[:2])) for photo in decoded]
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
    case = _Case(classifier, pictures, classifier.probabilities(decoded), labels, unusual)
    found = sorted((_found(case, item) for item in items if case.suspects(item)), key=lambda pair: -pair[0])
    blamed = next((finding for _, finding in found if finding.verdict == "named"), None)
    return tuple(
        replace(one, verdict="possible") if one.verdict == "named" and one is not blamed else one
        for _, one in found
    )


@dataclass(frozen=True, eq=False)
class _Case:
    """The pictures as they are measured, the answers to them, and what is unusual: measures by place."""

    classifier: Classifier
    pictures: Sequence[Photo]
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
        own = [self.pictures[place] for place in np.flatnonzero(self.right) if place not in odd]
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
    amounts = [item.amount(one, case.pictures[place].pixels) for place, one in measures.items()]
    middle = float(np.median(list(measures.values())))
    amount = float(np.median(amounts))
    curve = Curve.of(case.classifier, case.good, item, middle, amount)
    repaired = [
        case.classifier.probabilities(item.undone(case.pictures[place].pixels, each))
        for place, each in zip(measures, amounts, strict=True)
    ]
    odds = [case.log_odds(item, place, curve, rows) for place, rows in zip(measures, repaired, strict=True)]
    chance = float(1 / (1 + np.exp(-np.median(odds))))
    changed = [
        len(rows) > 0 and rows.mean(axis=0).argmax() != case.answers[place].argmax()
        for place, rows in zip(measures, repaired, strict=True)
    ]
    often = len(measures) >= MOST * int((~case.right).sum())
    told = bool(item.undo) or any(case.label(place) is not None for place in measures)
    verdict: Verdict = "named" if chance >= NAMED and often and told else "possible"
    if chance <= RULED_OUT:
        verdict = "ruled_out"
    count = f"{len(measures)} of {len(case.pictures)} pictures are unusually {item.word}"
    finding = Finding(
        item.name,
        verdict,
        f"{count} ({middle:.3g} {item.unit}). {_lies(item, curve)}; {_OUTCOMES[verdict]}.",
        (
            Evidence(f"{item.unit}, median of these pictures", middle, item.ordinary, supports=True),
            Evidence(
                f"share of {len(case.good.photos)} answers to other pictures that are kept at such a measure",
                curve.kept[-1],
                STARTS,
                supports=curve.kept[-1] < STARTS,
            ),
            Evidence("share of these pictures that get another answer once it is undone", np.mean(changed)),
            Evidence("chance that the answer is changed by it", chance, NAMED, supports=chance >= NAMED),
        ),
        cost=float(np.mean(changed)) * len(measures) / len(case.pictures),
        fix=item.remedy(amount),
    )
    return curve.fallen, finding


def _lies(item: Property, curve: Curve) -> str:
    if curve.limit is None:
        return "On other pictures this network bears as much"
    return f"On other pictures this network starts to fail {'below' if item.below else 'above'} {curve.limit:.3g}"


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


def _reduced(photo: Photo, side: int) -> Photo:
    factor = int(min(photo.size) // (_LARGE * side))
    if factor < 2:
        return photo
    return Photo(np.asarray(Image.fromarray(photo.pixels).reduce(factor)), photo.name, photo.decoding)
