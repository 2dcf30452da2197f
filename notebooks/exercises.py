"""Self-checks for the lessons: each says whether an answer is right, and if not, why not.

In a checkout this module is installed beside `kit`, so that a lesson finds it in whatever folder it lies.
"""

import reprlib
import tempfile
from collections import Counter
from numbers import Real
from pathlib import Path

import numpy as np
from PIL import Image

import kit
from kit._checking import letters, nearest, require
from kit.images.photo import as_photos  # noqa: F401 (lesson 02 opens what it is given)
from kit.robustness import relevelled
from kit.validation.calibration import fit_temperature

_MYSTERIES = ("double_scaling", "inverted", "imagenet_mean_std")
# The class of clothes that are delivered, None for all, and what was done to their images.
_DELIVERIES = (
    (None, kit.Perturbation(noise=80)),
    (9, kit.Perturbation(brightness=0.15)),
    (8, kit.Perturbation()),
)
_DELIVERED = 64
REMEDIES = ("leave", "levels", "adapt")
_CHOICES = ", ".join(map(repr, REMEDIES))
_TIED = 0.05
"""Share of correct predictions by which a remedy may be behind the best one and still pass."""


def _row(fault):
    return f"{kit.faults.STEPS[fault.step]}: {fault.title}"


_CAUSES = Counter(fault.cause for fault in kit.faults.CATALOGUE.values())
FAULTS = {
    word: fault
    for fault in kit.faults.CATALOGUE.values()
    for word in (_row(fault), fault.title, fault.name, fault.cause)
    if word != fault.cause or _CAUSES[word] == 1
}
"""Each fault by the words that a mystery takes: its cause among them, where no other fault has that."""


# Of every lesson, before its first exercise.
require("matplotlib")


def needs(*modules):
    """Raise a ModuleNotFoundError that says how to install what a lesson needs besides, in its first cell."""
    require(*modules)


def _numbered(what, choices, number):
    if number not in range(1, len(choices) + 1):
        raise ValueError(
            f"Expected the number of a {what} as a whole number 1..{len(choices)}, received {number!r}"
        )
    return choices[number - 1]


def _no_number(answer, rule, fits):
    """Say why an answer is no number that can be checked; empty where it is one."""
    if answer is None:
        return f"Not answered yet: set answer to {rule}."
    number = _number(answer)
    if number is not None and fits(number):
        return ""
    return f"Not yet: use {rule}, instead of {_quoted(answer)}."


def _number(answer):
    """Return an answer as a float, in quotation marks too; None where it is no number."""
    if isinstance(answer, bool) or not isinstance(answer, Real | str):
        return None
    try:
        return float(answer.replace(",", ".") if isinstance(answer, str) else answer)
    except ValueError:
        return None


def _tenths(low, high):
    return lambda number: low <= number <= high and round(10 * number, 5) % 1 == 0


def _quoted(answer):
    return " ".join(reprlib.repr(answer).split())[:60]


def somebodys_script(classifier):
    """Return a classifier as somebody's script uses it; what is wrong there is to be found."""
    trained = classifier.preprocessing
    return classifier.using(trained.replace(channels="bgr", scaling="0..1"))


def camera_folder(images):
    """Return a new folder of PNG files as a camera gives them; what is different about them is to be found.

    Parameters
    ----------
    images
        uint8 (N, H, W).
    """
    folder = Path(tempfile.mkdtemp())
    camera = kit.Perturbation(brightness=0.55, noise=14, seed=3)
    for place, pixels in enumerate(images):
        shot = camera.apply(kit.Photo.from_array(pixels)).pixels[..., 0]
        Image.fromarray(shot).save(folder / f"{place:04}.png")
    return folder


def check_brightness(classifier, photo, answer):
    """Check the lowest brightness, in steps of 0.1, that does not change the prediction; return one line."""
    rule = "one decimal from 0.1 to 1.0, such as 0.7"
    refused = _no_number(answer, rule, _tenths(0.1, 1))
    if refused:
        return refused
    factor = _number(answer)
    beyond = round(factor - 0.1, 4)
    return _last(classifier, photo, "brightness", answer=factor, beyond=beyond)


def check_noise(classifier, photo, answer):
    """Check a noise, in whole levels from 0 to 99, that the prediction just survives; return one line."""
    rule = "a whole number of levels from 0 to 99, such as 12"
    refused = _no_number(answer, rule, lambda levels: levels in range(100))
    if refused:
        return refused
    levels = _number(answer)
    return _last(classifier, photo, "noise", answer=levels, beyond=levels + 1)


def _last(classifier, photo, parameter, *, answer, beyond):
    """Say whether this is the last step that leaves the prediction as it is."""

    def predicted(**change):
        changed = kit.Perturbation(**change)
        return classifier.predict(photo, perturbation=changed).label[0]

    untouched = predicted()
    survived = predicted(**{parameter: answer})
    lost = predicted(**{parameter: beyond})
    if survived != untouched:
        return f"Not yet: at {answer:g} it is {survived}, no longer {untouched}; change less."
    if lost == untouched:
        return f"Not yet: {untouched} survives {beyond:g}, too; change more."
    return f"Passed: {untouched} at {answer:g}, {lost} at {beyond:g}."


def check_temperature(rows, labels, answer):
    """Check the temperature, to one decimal, with the least negative log-likelihood; return one line.

    Parameters
    ----------
    rows
        float32, shape (N, classes): softmax probabilities.
    labels
        Shape (N,): index of the right class.
    answer
        A number; None is not answered yet.
    """
    rule = "one decimal from 0.1 to 10.0, such as 1.1"
    refused = _no_number(answer, rule, _tenths(0.1, 10))
    if refused:
        return refused
    temperature = _number(answer)
    best = fit_temperature(np.asarray(rows), np.asarray(labels))
    if abs(temperature - best) > 0.1:
        direction = "higher" if temperature < best else "lower"
        return f"Not yet: a {direction} temperature than {temperature:g} fits better."
    return f"Passed: the least negative log-likelihood is at {best:.1f}."


class Mystery:
    """A preprocessing with an unnamed fault: one of three, put into that of `classifier`."""

    def __init__(self, classifier, number):
        name = _numbered("mystery", _MYSTERIES, number)
        self._trained = classifier.preprocessing
        self._fault = kit.faults.CATALOGUE[name]
        self._faulty = self._fault.apply(self._trained)

    def tensor(self, photo):
        """Return what the network is fed: float32 (1, H, W, C)."""
        return self._faulty.apply(photo)

    def seen(self, photo):
        """Return what the network takes it for: uint8 (H, W, 3)."""
        return self._trained.image(self.tensor(photo))

    def check(self, answer):
        """Check a fault, by one of `FAULTS`; return one line: passed, or what speaks against it."""
        if answer is None:
            return "Not answered yet: set answer to a row of the table of costs, such as 'Scaling: to 0..1'."
        named = _matching(answer, FAULTS)
        if named is None:
            hint = nearest(answer, FAULTS) if isinstance(answer, str) else ""
            if hint and letters(answer) in map(letters, kit.faults.STEPS.values()):
                hint = "; write the whole row, step and fault."
            return f"Not yet: {_quoted(answer)} is no row of the table of costs{hint or '.'}"
        preprocessing = named.apply(self._trained)
        if preprocessing == self._faulty:
            return f"Passed: {_titled(named)}."
        near = "the step is right, and " if named.step == self._fault.step else ""
        photo = kit.samples.photo("espresso.jpg")
        expected = _figures(preprocessing.apply(photo))
        actual = _figures(self.tensor(photo))
        return f"Not yet, {_titled(named)}: {near}{photo.name} would be {expected}; the mystery is {actual}."


def _matching(answer, words):
    """Return what a word stands for, however it is written; None for another answer."""
    if not isinstance(answer, str):
        return None
    return {letters(word): meaning for word, meaning in words.items()}.get(
        letters(answer)
    )


def _figures(tensor):
    means = ", ".join(f"{mean:.3g}" for mean in tensor.mean(axis=(0, 1, 2)))
    return f"{tensor.min():.3g} to {tensor.max():.3g} (channel means {means})"


def _titled(fault):
    return f'"{_row(fault)}"'


class Delivery:
    """Images from somewhere else, without labels and origin, and a choice of remedies.

    Parameters
    ----------
    classifier
        A classifier of clothes, as the bundled one for Fashion-MNIST.
    levels
        To which ``"levels"`` brings the images back; see `kit.robustness.usual_levels`.
    number
        1, 2 or 3.
    """

    def __init__(self, classifier, levels, number):
        clothes, change = _numbered("delivery", _DELIVERIES, number)
        labels = np.array(kit.samples.labels("fashion_mnist"))
        chosen = np.ones(len(labels), bool) if clothes is None else labels == clothes
        places = np.flatnonzero(chosen)[:_DELIVERED].tolist()
        self._classifier = classifier
        self._levels = levels
        self._labels = labels[places]
        photos = kit.samples.photos("fashion_mnist")
        changed = change.apply_to_all(photos[place] for place in places)
        self.photos = tuple(
            kit.Photo(photo.pixels, f"picture_{index:02d}")
            for index, photo in enumerate(changed)
        )

    def check(self, answer):
        """Check the choice of a remedy; return one line: passed, or how many it gets right."""
        if answer is None:
            return f"Not answered yet: set answer to one of {_CHOICES}."
        chosen = _matching(answer, {name: name for name in REMEDIES})
        if chosen is None:
            return f"Not yet: {_quoted(answer)} is none of {_CHOICES}."
        corrected = [relevelled(photo, self._levels) for photo in self.photos]
        shares = {
            "leave": self._share(self._classifier, self.photos),
            "levels": self._share(self._classifier, corrected),
            "adapt": self._share(kit.adapt(self._classifier, self.photos), self.photos),
        }
        if shares[chosen] < max(shares.values()) - _TIED:
            return f"Not yet: {chosen} gets {shares[chosen]:.0%} correct, and another remedy more."
        results = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        return f"Passed: {results} correct."

    def _share(self, classifier, photos):
        return float(classifier.predict(photos, self._labels).correct.mean())
