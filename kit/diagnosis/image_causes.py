"""Image properties as causes: measured, tried on other images, undone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from kit._arrays import Bools, Float32, Pixels
from kit.classifier import Classifier
from kit.classifier.engines import picture_size
from kit.classifier.labels import Truth, hits
from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.images import Photo, properties
from kit.images.properties import bright_level, relevelled
from kit.perturbation import PARAMETERS, Perturbation
from kit.robustness.restoring import (
    blur_radius,
    compression_quality,
    noise_deviation,
    without_blocks,
    without_blur,
    without_noise,
)
from kit.samples import probes

_TRAINING = "or add such pictures to the training pictures."
ADVICE = {
    "dark": f"Brighten the pictures, {_TRAINING}",
    "bright": f"Expose less, since what is cut off at white stays lost, {_TRAINING}",
    "low_contrast": f"Spread the levels, {_TRAINING}",
    "noisy": f"Remove the noise, {_TRAINING}",
    "blurred": f"Sharpen, or focus better, since detail that is lost stays lost, {_TRAINING}",
    "jpeg": f"Save with a higher quality, {_TRAINING}",
    "grayscale": f"Use the colour originals, {_TRAINING}",
}
"""By the name of the property."""

_DIMMED = 0.65
_CODE = """\
from kit.images import as_photos
from kit.robustness import relevelled, restored
better = [{} for photo in as_photos(photos)]
for row in classifier.probabilities(better):
    print(classifier.top(row, 3))"""


def code(parameter: str, amount: float) -> str:
    """Return lines that take an amount of a perturbation out of ``photos`` and ask ``classifier`` again."""
    light = parameter in {"brightness", "contrast"}
    return _CODE.format(
        "relevelled(photo, (31, 204))" if light else f"restored(photo, {parameter}={amount:.3g})"
    )


def brightened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Bring the light of a dark picture back."""
    bright = max(bright_level(pixels), 1.0)
    return [_times(pixels, 204 / bright), _times(pixels, 160 / bright), _spread(pixels, 31, 204)]


def contrasted(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Spread the levels."""
    return [_spread(pixels, *levels) for levels in ((31, 204), (31, 170), (60, 190))]


def darkened(pixels: Pixels, _amount: float) -> list[Pixels]:
    """Take light from a picture that is too bright, and even its levels out."""
    equalized = np.asarray(ImageOps.equalize(Image.fromarray(pixels)))
    dimmed = _times(pixels, _DIMMED)
    return [_times(equalized, _DIMMED), dimmed[:, ::-1], _shrunk(dimmed)]


def cleaned(pixels: Pixels, amount: float) -> list[Pixels]:
    """Remove noise."""
    # To a network, detail that goes does more harm than noise that stays.
    less, more = (without_noise(pixels, share * amount) for share in (0.4, 0.7))
    return [less, more[:, ::-1], _shrunk(more)]


def deblurred(pixels: Pixels, amount: float) -> list[Pixels]:
    """Sharpen, by two filters."""
    masked = ImageFilter.UnsharpMask(radius=3, percent=200, threshold=0)
    twice = np.asarray(Image.fromarray(pixels).filter(masked).filter(masked))
    return [twice, without_blur(pixels, amount), _shrunk(without_blur(pixels, 0.8 * amount))]


def smoothed(pixels: Pixels, amount: float) -> list[Pixels]:
    """Smooth the blocks of JPEG, or show them elsewhere."""
    return [without_blocks(pixels, amount)[:, ::-1], pixels[:, ::-1], _shrunk(pixels)]


def _spread(pixels: Pixels, dark: float, bright: float) -> Pixels:
    return relevelled(Photo(pixels), (dark, bright)).pixels


def _times(pixels: Pixels, factor: float) -> Pixels:
    result: Pixels = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)[pixels]
    return result


def _shrunk(pixels: Pixels) -> Pixels:
    """Show a picture at 0.7 of its size amid its mirror images: what is left of noise and blur shrinks."""
    height, width = pixels.shape[:2]
    tall, wide = (max(1, round(0.7 * side)) for side in (height, width))
    small = Image.fromarray(pixels).resize((wide, tall), Image.Resampling.BICUBIC)
    top, left = (height - tall) // 2, (width - wide) // 2
    edges = ((top, height - tall - top), (left, width - wide - left), (0, 0))
    return np.pad(np.asarray(small), edges, "symmetric")


TEXTURED = 64
"""Pixels a side below which a picture is little but texture, so that noise, blur and JPEG blocks cannot be
told."""


@dataclass(frozen=True)
class Property:
    """One property, the limit of what is ordinary, and how it is done and undone.

    Attributes
    ----------
    name
        Cause that it stands for, such as ``"dark"``.
    measured
        Key of `kit.images.properties.PROPERTIES`.
    ordinary
        Measure beyond which a picture is out of the ordinary.
    below
        Whether that is below this measure, and not above.
    parameter
        Of a `Perturbation`, which does it; empty where colour is taken away.
    amounts
        Pairs of a measure and the setting of `parameter` that brings photographs to it.
    undo
        Takes it out of a picture, given the setting; None where that cannot be done.
    read
        Reads the setting from the pixels, where they tell it better than the measure does.
    least_side
        Pixels a side that a picture needs for it.
    exact
        Whether undoing it brings back all but the rounding.
    brings
        Properties that come with it and are no causes of their own beside it.
    coloured
        Whether it says something only where the network takes colour.
    """

    name: str
    measured: str
    ordinary: float
    below: bool = False
    parameter: str = ""
    amounts: tuple[tuple[float, float], ...] = ()
    undo: Callable[[Pixels, float], list[Pixels]] | None = None
    read: Callable[[Pixels], float] | None = None
    least_side: int = 0
    exact: bool = False
    brings: tuple[str, ...] = ()
    coloured: bool = False

    def remedy(self, amount: float, factor: int = 1) -> Fix:
        """Return what to change, and code that takes this amount out."""
        lines = "" if self.undo is None else code(self.parameter, self.scaled(amount, factor))
        return Fix(ADVICE[self.name], lines)

    @property
    def word(self) -> str:
        """What such pictures are."""
        return _WORDS.get(self.name, self.name)

    @property
    def unit(self) -> str:
        """Of the measure, in words."""
        return properties.PROPERTIES[self.measured].unit

    def scaled(self, amount: float, factor: int) -> float:
        """Return the amount before a picture was reduced by a factor."""
        return amount * factor if self.parameter in {"noise", "blur"} else amount

    def told(self, amount: float, factor: int) -> str:
        """Return the amount before a picture was reduced, in words."""
        if not self.parameter:
            return "no colour"
        parameter = PARAMETERS[self.parameter]
        label = parameter.name.replace("jpeg_", "JPEG ")
        return f"{label} {self.scaled(amount, factor):.2g} {parameter.unit}".strip()

    def measure(self, pixels: Pixels) -> float:
        """Measure uint8 pixels (H, W, 3), every one of them."""
        sample = properties.Sample(Photo(pixels), window=None)
        return properties.PROPERTIES[self.measured].measure(sample)

    def unusual(self, value: float) -> bool:
        """Return whether a measure is out of the ordinary."""
        return value < self.ordinary if self.below else value > self.ordinary

    def amount(self, value: float, pixels: Pixels | None = None) -> float:
        """Return the setting that brings photographs to a measure; that of the pixels where they tell it."""
        if self.read is not None and pixels is not None:
            return self.read(pixels)
        measures, amounts = np.array(self.amounts or ((0, 0),)).T
        return float(np.interp(value, measures, amounts))

    def undone(self, pixels: Pixels, amount: float) -> list[Photo]:
        """Return the pictures that come of taking this amount out of uint8 pixels (H, W, 3)."""
        return [] if self.undo is None else [Photo(each) for each in self.undo(pixels, amount)]

    def done(self, photo: Photo, amount: float) -> Photo:
        """Return a photo to which this amount is done."""
        if not self.parameter:
            grey = Image.fromarray(photo.pixels).convert("L").convert("RGB")
            return Photo(np.asarray(grey), photo.name)
        setting = round(amount) if PARAMETERS[self.parameter].kind == "whole" else amount
        return Perturbation.from_dict({self.parameter: setting}).apply(photo)


_WORDS = {
    "low_contrast": "low in contrast",
    "jpeg": "compressed",
    "grayscale": "grey, where the network takes colour",
}
_DARK = ((10, 0.05), (20, 0.1), (41, 0.2), (82, 0.4), (123, 0.6), (204, 1))
_BRIGHT = ((0, 1), (0.14, 1.25), (0.3, 1.5), (0.4, 1.75), (0.43, 2), (0.45, 2.5), (0.55, 3))
_FLAT = ((0.04, 0.05), (0.08, 0.1), (0.16, 0.2), (0.32, 0.4), (0.74, 1))
_NOISE = ((0, 0), (10, 10), (19.3, 20), (27.6, 30), (39.3, 45), (49.6, 60), (62.4, 80), (73.5, 100))
_BLUR = ((0.03, 8), (0.05, 5), (0.06, 4), (0.08, 3), (0.11, 2), (0.15, 1.5), (0.2, 1), (0.41, 0))
_BLOCKS = ((1.2, 60), (2, 30), (2.9, 20), (3.2, 15), (4.3, 10), (5.9, 7), (8, 5), (27, 2))


_ROWS = (
    Property("dark", "bright_level", 105, True, "brightness", _DARK, brightened, exact=True),
    Property("bright", "clipping", 0.08, False, "brightness", _BRIGHT, darkened, brings=("low_contrast",)),
    Property("low_contrast", "range", 0.25, True, "contrast", _FLAT, contrasted, exact=True),
    Property("noisy", "noise", 8, False, "noise", _NOISE, cleaned, noise_deviation, TEXTURED),
    Property("blurred", "sharpness", 0.2, True, "blur", _BLUR, deblurred, blur_radius, TEXTURED),
    Property(
        "jpeg",
        "block_edges",
        1.6,
        False,
        "jpeg_quality",
        _BLOCKS,
        smoothed,
        compression_quality,
        TEXTURED,
    ),
    Property("grayscale", "colour", 2.0, True, coloured=True),
)
PROPERTIES: Mapping[str, Property] = MappingProxyType({item.name: item for item in _ROWS})
"""Every property by its name."""


COUNT = 6
"""Pictures that a curve is made of: those with the surest answers."""

STARTS = 0.75
"""A network starts to fail where less than this share of the answers is kept."""


@dataclass(frozen=True, eq=False)
class Good:
    """Pictures that a network answers well, and its answers.

    Attributes
    ----------
    photos
        At most `COUNT`.
    answers
        float32, (N, classes): softmax probabilities, the highest of which is taken for right.
    """

    photos: Sequence[Photo]
    answers: Float32

    @classmethod
    def of(cls, classifier: Classifier, own: Sequence[Photo], side: int) -> "Good":
        """Choose the surest of probes and one's own, and bring their shorter side to `side` pixels."""
        known = (*own, *probes())
        answers = classifier.probabilities(known)
        surest = np.argsort(-answers.max(axis=1), kind="stable")[:COUNT]
        return cls([_resized(known[place], side) for place in surest], answers[surest])

    def kept(self, classifier: Classifier, item: Property, amount: float) -> float:
        """Share 0..1 of the answers that are kept once this amount of a property is done to the pictures.

        Of an answer that has become less sure, the share of its probability counts. Half where there are no
        pictures.
        """
        if not self.photos:
            return 0.5
        changed = classifier.probabilities([item.done(photo, amount) for photo in self.photos])
        chosen = np.arange(len(self.photos)), self.answers.argmax(axis=1)
        return float(np.minimum(changed[chosen] / self.answers[chosen], 1).mean())


@dataclass(frozen=True)
class Curve:
    """Share of the answers that are kept, as a function of the amount of a property.

    Attributes
    ----------
    amounts
        From the last that is ordinary to that of the pictures.
    kept
        Shares 0..1.
    """

    amounts: tuple[float, ...]
    kept: tuple[float, ...]

    @classmethod
    def of(cls, classifier: Classifier, good: Good, item: Property, amount: float) -> "Curve":
        """Do an amount, and half of it where the network fails by then."""
        ordinary = item.amount(item.ordinary)
        kept = good.kept(classifier, item, amount)
        if kept >= STARTS:
            return cls((ordinary, amount), (1.0, kept))
        half = (ordinary + amount) / 2
        return cls((ordinary, half, amount), (1.0, good.kept(classifier, item, half), kept))

    @property
    def fallen(self) -> float:
        """Log odds that an answer is lost at the last amount."""
        lost = (1 - self.kept[-1]) * COUNT
        return float(np.log((lost + 1) / (COUNT - lost + 1)))

    @property
    def limit(self) -> float | None:
        """Amount from which on the network starts to fail; None where it does not up to the last one."""
        for place in range(1, len(self.kept)):
            before, after = self.kept[place - 1 : place + 1]
            if after < STARTS <= before:
                return float(np.interp(-STARTS, (-before, -after), self.amounts[place - 1 : place + 1]))
        return None


def _resized(photo: Photo, side: int) -> Photo:
    scale = side / min(photo.size)
    if scale == 1:
        return photo
    height, width = (max(1, round(scale * length)) for length in photo.size)
    pixels = np.asarray(Image.fromarray(photo.pixels).resize((width, height), Image.Resampling.BICUBIC))
    return Photo(pixels, photo.name)


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
