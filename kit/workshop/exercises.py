"""Self-checks for the notebooks: each says whether an answer is right, and if not, why not."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kit._arrays import Pixels
from kit.classifier import Classifier, known_preprocessing
from kit.images import Photo
from kit.perturbation import Perturbation
from kit.workshop.answers import number, told
from kit.workshop.delivery import Delivery
from kit.workshop.mystery import Mystery

__all__ = ["Delivery", "Mystery", "camera_folder", "check_brightness", "check_noise", "check_temperature"]
__all__ += ["somebodys_script"]


def somebodys_script(classifier: Classifier) -> Classifier:
    """Return a classifier as somebody's script uses it; what is wrong there is to be found."""
    return classifier.using(known_preprocessing(classifier).replace(channels="bgr", scaling="0..1"))


def camera_folder(pictures: Pixels) -> Path:
    """Return a new folder of pictures as a camera gives them; what is different about it is to be found.

    Parameters
    ----------
    pictures
        uint8 (N, H, W) or (N, H, W, 3); not changed. The files are PNG, named by the place.
    """
    folder = Path(tempfile.mkdtemp())
    camera = Perturbation(brightness=0.55, noise=14, seed=3)
    for place, pixels in enumerate(pictures):
        taken = camera.apply(Photo.from_array(pixels)).pixels
        Image.fromarray(taken[..., 0] if pixels.ndim == 2 else taken).save(folder / f"{place:04}.png")
    return folder


def check_brightness(classifier: Classifier, photo: Photo, answer: Any, step: float = 0.1) -> str:
    """Check the lowest brightness at which the classifier still gives its untouched answer.

    Parameters
    ----------
    classifier, photo
        What the question is about.
    answer
        Brightness factor, to one decimal, as a number or text; None while the question is open.
    step
        Distance to the next darker try.

    Returns
    -------
    str
        One line: passed, or what does not hold.
    """
    if answer is None:
        return "Open: set answer to a brightness factor with one decimal, such as 0.7."
    brightness = number(answer)
    if brightness is None:
        return f"Not yet: a brightness factor is a number such as 0.7, and {told(answer)} is not."
    if not step <= brightness <= 1 or abs(brightness / step - round(brightness / step)) > 1e-6:
        return f"Not yet: asked for is a factor of {step}, {2 * step:g} … or 1, and {told(answer)} is none."

    def top(factor: float) -> str:
        row = classifier.probabilities(photo, Perturbation(brightness=round(factor, 4)))[0]
        return classifier.class_names[int(row.argmax())]

    untouched, survived = top(1), top(brightness)
    if survived != untouched:
        return f"Not yet: at {brightness:g} the answer is {survived}, no longer {untouched}; try brighter."
    darker = round(brightness - step, 4)
    if darker > 0 and top(darker) == untouched:
        return f"Not yet: {untouched} survives a darker picture than {brightness:g}."
    return f"Passed: {untouched} at {brightness:g}, something else one step darker."


def check_noise(classifier: Classifier, photo: Photo, answer: Any) -> str:
    """Check a noise that the classifier's untouched answer just survives.

    Parameters
    ----------
    classifier, photo
        What the question is about.
    answer
        Standard deviation in whole 8-bit levels, 0..99, as a number or text; None while the question is open.

    Returns
    -------
    str
        One line: passed, or what does not hold.
    """
    if answer is None:
        return "Open: set answer to a noise in whole levels, such as 12."
    noise = number(answer)
    if noise is None or noise not in range(100):
        return f"Not yet: noise is a whole number of levels from 0 to 99, and {told(answer)} is not."
    noises = (0, int(noise), int(noise) + 1)
    rows = (classifier.probabilities(photo, Perturbation(noise=each))[0] for each in noises)
    untouched, survived, lost = (classifier.class_names[row.argmax()] for row in rows)
    if survived != untouched:
        return f"Not yet: at {noise:g} levels the answer is {survived}; try less."
    if lost == untouched:
        return f"Not yet: {untouched} survives {noise + 1:g} levels, too; try more than {noise:g}."
    return f"Passed: {untouched} at {noise:g} levels, {lost} at {noise + 1:g}."


def check_temperature(rows: Any, labels: Any, answer: Any) -> str:
    """Check the temperature, to one decimal, with the least negative log-likelihood.

    Parameters
    ----------
    rows
        float32, shape (N, classes): softmax probabilities.
    labels
        Shape (N,): index of the right class.
    answer
        To one decimal, as a number or text; None while the question is open.

    Returns
    -------
    str
        One line: passed, or which way to go.
    """
    from kit.validation.calibration import fit_temperature  # noqa: PLC0415 (only this check needs it)

    if answer is None:
        return "Open: set answer to a temperature with one decimal, such as 1.1."
    temperature = number(answer)
    if temperature is None:
        return f"Not yet: a temperature is a number such as 1.1, and {told(answer)} is not."
    if temperature <= 0:
        return f"Not yet: a temperature is above 0, and {temperature:g} is not."
    best = fit_temperature(np.asarray(rows), np.asarray(labels))
    if abs(temperature - best) > 0.1:
        direction = "higher" if temperature < best else "lower"
        what = f"a {direction} temperature than {temperature:g}"
        return f"Not yet: the right answers become more probable at {what}."
    return f"Passed: the least negative log-likelihood is at {best:.1f}."
