"""Self-checks for the notebooks: each says whether an answer is right, and if not, why not."""

from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.images import Photo
from kit.perturbation import Perturbation
from kit.workshop.delivery import Delivery
from kit.workshop.mystery import Mystery

__all__ = ["Delivery", "Mystery", "check_brightness", "check_noise", "check_temperature"]


def check_brightness(classifier: Classifier, photo: Photo, answer: float | None, step: float = 0.1) -> str:
    """Check the lowest brightness at which the classifier still gives its untouched answer.

    Parameters
    ----------
    classifier, photo
        What the question is about.
    answer
        Brightness factor, to one decimal; None while the question is open.
    step
        Distance to the next darker try.

    Returns
    -------
    str
        One line: passed, or what does not hold.
    """
    if answer is None:
        return "Open: set answer to a brightness factor with one decimal, such as 0.7."
    if not step <= answer <= 1:
        return f"Not yet: a darker picture has a factor between {step} and 1, and {answer} is not."

    def top(brightness: float) -> int:
        probabilities = classifier.probabilities(photo, Perturbation(brightness=round(brightness, 4)))
        return int(probabilities[0].argmax())

    untouched = classifier.class_names[top(1)]
    if top(answer) != top(1):
        return f"Not yet: at {answer} the answer is no longer {untouched}; try brighter."
    if answer - step > 0 and top(answer - step) == top(1):
        return f"Not yet: {untouched} survives a darker picture than {answer}."
    return f"Passed: {untouched} at {answer}, something else one step darker."


def check_noise(classifier: Classifier, photo: Photo, answer: float | None) -> str:
    """Check a noise that the classifier's untouched answer just survives.

    Parameters
    ----------
    classifier, photo
        What the question is about.
    answer
        Standard deviation in whole 8-bit levels, 0..99; None while the question is open.

    Returns
    -------
    str
        One line: passed, or what does not hold.
    """
    if answer is None:
        return "Open: set answer to a noise in whole levels, such as 12."
    if answer not in range(100):
        return f"Not yet: noise is a whole number of levels from 0 to 99, and {answer} is not."
    noises = (0, answer, answer + 1)
    rows = (classifier.probabilities(photo, Perturbation(noise=noise))[0] for noise in noises)
    untouched, survived, lost = (classifier.class_names[row.argmax()] for row in rows)
    if survived != untouched:
        return f"Not yet: at {answer} levels the answer is {survived}; try less."
    if lost == untouched:
        return f"Not yet: {untouched} survives {answer + 1} levels, too."
    return f"Passed: {untouched} at {answer} levels, {lost} at {answer + 1}."


def check_temperature(rows: Any, labels: Any, answer: float | None) -> str:
    """Check the temperature, to one decimal, with the least negative log-likelihood.

    Parameters
    ----------
    rows
        float32, shape (N, classes): softmax probabilities.
    labels
        Shape (N,): index of the right class.
    answer
        To one decimal; None while the question is open.

    Returns
    -------
    str
        One line: passed, or which way to go.
    """
    from kit.validation.calibration.temperature import fit_temperature  # noqa: PLC0415 (only this check needs it)

    if answer is None:
        return "Open: set answer to a temperature with one decimal, such as 1.1."
    if answer <= 0:
        return f"Not yet: a temperature is above 0, and {answer} is not."
    best = fit_temperature(np.asarray(rows), np.asarray(labels))
    if abs(answer - best) > 0.1:
        direction = "higher" if answer < best else "lower"
        return f"Not yet: the right answers become more probable at a {direction} temperature than {answer}."
    return f"Passed: the least negative log-likelihood is at {best:.1f}."
