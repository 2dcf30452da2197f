"""What each preprocessing fault costs a classifier on images whose class is known."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import Labels, known_classes
from kit.images import Pictures, as_photos
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault


@dataclass(frozen=True)
class Cost:
    """Answers of a classifier under one fault, beside those without it.

    Attributes
    ----------
    fault, title
        Name in the catalogue, ``""`` for the preprocessing as in training; what is done instead.
    right, changed
        Shares of the images, 0..1, that are predicted rightly, and otherwise than without the fault.
    probability, confidence
        Mean softmax probabilities, 0..1, of the right class and of the predicted one.
    wrong_and_sure
        Share of the images, 0..1, predicted wrongly with a softmax probability above 0.5.
    """

    fault: str
    title: str
    right: float
    changed: float
    probability: float
    confidence: float
    wrong_and_sure: float


class Costs(tuple[Cost, ...], Result):
    """The costs of several faults, in order."""

    __slots__ = ()

    def _report(self) -> Iterator[str | Result]:
        shares = ("right", "changed", "confidence", "wrong_and_sure")
        rows = [
            (item.title, *(f"{getattr(item, share):.0%}" for share in shares))
            for item in self
        ]
        yield Table(
            ("preprocessing", "correct", "changed", "confidence", "wrong and sure"),
            rows,
            "<>>>>",
        )

    __repr__ = Result.__str__


def fault_costs(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels,
    *,
    progress: Progress = True,
) -> Costs:
    """Measure every fault that changes the classifier's preprocessing, the most expensive first.

    Parameters
    ----------
    photos, labels
        Images (`kit.images.photo`) and the class that each shows, by index or name.
    progress
        True for a bar once two seconds have passed; or a function that gets each fault as a line of text.

    Returns
    -------
    Costs
        The first is the preprocessing as in training; the others follow, those with the fewest correct
        predictions first, then the lowest probability of the right class.

    Raises
    ------
    ValueError
        If the preprocessing is unknown, or the labels do not fit the photos.
    """
    check_first(classifier)
    photos = as_photos(photos)
    trained = known_preprocessing(classifier)
    truth = known_classes(labels, classifier.class_names, len(photos))
    untouched = classifier.probabilities(photos).argmax(axis=1)

    def cost(name: str, title: str, preprocessing: Preprocessing) -> Cost:
        rows = classifier.probabilities(photos, preprocessing=preprocessing)
        top, confidence = rows.argmax(axis=1), rows.max(axis=1)
        right, own = top == truth, rows[np.arange(len(rows)), truth]
        shares = right, top != untouched, own, confidence, ~right & (confidence > 0.5)
        return Cost(name, title, *(float(each.mean()) for each in shares))

    # Two faults can come to the same: without a divisor, no mean and standard deviation is no scaling at all.
    distinct: dict[Preprocessing, Fault] = {}
    for fault in CATALOGUE.values():
        distinct.setdefault(fault.apply(trained), fault)
    distinct.pop(trained, None)
    steps = Steps(distinct.items(), "Measuring faults", "fault", progress)
    costs = [
        cost(fault.name, f"{STEPS[fault.step]}: {fault.title}", faulty)
        for faulty, fault in steps
    ]
    costs.sort(key=lambda item: (item.right, item.probability))
    return Costs((cost("", "as in training", trained), *costs))
