"""What each preprocessing fault costs a classifier on images whose class is known."""

from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from kit._reporting import Progress, Report, Result, Steps, Table
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import Labels
from kit.classifier.predictions import Predictions
from kit.images.photo import Pictures, as_photos
from kit.preprocessing.faults import STEPS, alternatives


@dataclass(frozen=True)
class Cost:
    """Predictions of a classifier under one fault, beside those without it.

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

    def _report(self) -> Report:
        head = ("preprocessing", "correct", "changed", "confidence", "wrong and sure")
        shares = attrgetter("right", "changed", "confidence", "wrong_and_sure")
        rows = [(cost.title, *map("{:.0%}".format, shares(cost))) for cost in self]
        yield Table(head, rows)

    __repr__ = Result.__str__


def fault_costs(
    classifier: Classifier,
    photos: Pictures,
    labels: Labels,
    *,
    progress: Progress = True,
) -> Costs:
    """Measure every fault that changes the classifier's preprocessing, the most expensive first.

    The preprocessing as in training comes before them. Of faults with equally many correct predictions, the
    one with the lowest probability of the right class is first.

    Parameters
    ----------
    photos, labels
        Images (`kit.images.photo`) and the class that each shows, by index or name.
    progress
        True for a bar once two seconds have passed; or a function that gets each fault as a line of text.

    Raises
    ------
    ValueError
        If the preprocessing is unknown, or the labels do not fit the photos.
    """
    check_first(classifier)
    photos = as_photos(photos)
    as_in_training = known_preprocessing(classifier)
    untouched = classifier.predict(photos, labels)

    def cost(fault: str, title: str, predictions: Predictions) -> Cost:
        wrong = ~predictions.correct
        label_probabilities = predictions.probabilities[
            np.arange(len(photos)), predictions.labels
        ]
        return Cost(
            fault=fault,
            title=title,
            right=float(predictions.correct.mean()),
            changed=float(predictions.changed(untouched).mean()),
            probability=float(label_probabilities.mean()),
            confidence=float(predictions.probability.mean()),
            wrong_and_sure=float((wrong & (predictions.probability > 0.5)).mean()),
        )

    costs = []
    for fault in Steps(alternatives(as_in_training), "Measuring faults", progress):
        faulty = fault.apply(as_in_training)
        predictions = classifier.predict(photos, labels, preprocessing=faulty)
        title = f"{STEPS[fault.step]}: {fault.title}"
        costs.append(cost(fault.name, title, predictions))
    # The fewest correct ones come first, so the most expensive fault; before all, what is without one.
    costs.sort(key=attrgetter("right", "probability"))
    return Costs((cost("", "as in training", untouched), *costs))
