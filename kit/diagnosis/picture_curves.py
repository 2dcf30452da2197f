"""How much of a property a network bears: it is done to pictures that this network answers well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kit._arrays import Float32
from kit.classifier import Classifier
from kit.diagnosis.picture_properties import Property
from kit.images import Photo
from kit.samples import probes

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
