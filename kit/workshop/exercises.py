"""Self-checks for the notebooks: each says whether an answer is right, and if not, why not."""

import math
import re
import reprlib
import tempfile
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kit import samples
from kit._arrays import Float32, Pixels
from kit._checking import whole
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.training import adapt
from kit.images import Photo
from kit.images.properties import Levels
from kit.perturbation import Perturbation
from kit.perturbation.restoring import relevelled
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault
from kit.validation.calibration import fit_temperature

_MYSTERIES = ("double_scaling", "inverted", "imagenet_mean_std")
# The class of clothes that are delivered, None for all, and what was done to their images.
_DELIVERIES = (
    (None, Perturbation(noise=80)),
    (9, Perturbation(brightness=0.15)),
    (8, Perturbation()),
)
_REMEDIES = ("leave", "correct", "adapt")


def _no_number(answer: Any, rule: str, fits: Callable[[float], bool]) -> str:
    """Say why an answer is no number that can be checked; empty where it is one."""
    if answer is None:
        return f"Not answered yet. Set answer to {rule}."
    fitting = (
        isinstance(answer, Real)
        and not isinstance(answer, bool)
        and fits(float(answer))
    )
    return "" if fitting else f"Not yet: use {rule}, instead of {_quoted(answer)}."


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", text.casefold()))


def _quoted(answer: Any) -> str:
    return " ".join(reprlib.repr(answer).split())[:60]


def somebodys_script(classifier: Classifier) -> Classifier:
    """Return a classifier as somebody's script uses it; what is wrong there is to be found."""
    return classifier.using(
        known_preprocessing(classifier).replace(channels="bgr", scaling="0..1")
    )


def camera_folder(pictures: Pixels) -> Path:
    """Return a new folder of PNG files as a camera gives them; what is different about them is to be found.

    Parameters
    ----------
    pictures
        uint8 (N, H, W).
    """
    folder = Path(tempfile.mkdtemp())
    camera = Perturbation(brightness=0.55, noise=14, seed=3)
    for place, pixels in enumerate(pictures):
        taken = camera.apply(Photo.from_array(pixels)).pixels[..., 0]
        Image.fromarray(taken).save(folder / f"{place:04}.png")
    return folder


def check_brightness(classifier: Classifier, photo: Photo, answer: Any) -> str:
    """Check the lowest brightness, in steps of 0.1, that does not change the prediction; return one line."""
    rule = "one decimal from 0.1 to 1.0, such as 0.7"
    refused = _no_number(
        answer, rule, lambda one: 0.1 <= one <= 1 and round(10 * one, 5) % 1 == 0
    )
    return refused or _last(
        classifier, photo, "brightness", answer, round(answer - 0.1, 4)
    )


def check_noise(classifier: Classifier, photo: Photo, answer: Any) -> str:
    """Check a noise, in whole levels from 0 to 99, that the prediction just survives; return one line."""
    rule = "a whole number of levels from 0 to 99, such as 12"
    refused = _no_number(answer, rule, lambda one: one in range(100))
    return refused or _last(classifier, photo, "noise", answer, answer + 1)


def _last(
    classifier: Classifier, photo: Photo, parameter: str, here: float, beyond: float
) -> str:
    """Say whether this is the last step that leaves the prediction as it is."""
    settings: list[dict[str, Any]] = [{}, {parameter: here}, {parameter: beyond}]
    untouched, survived, lost = (
        classifier.predict(photo, perturbation=Perturbation(**each)).label[0]
        for each in settings
    )
    if survived != untouched:
        return f"Not yet: at {here:g} it is {survived}, no longer {untouched}; change less."
    if lost == untouched:
        return f"Not yet: {untouched} survives {beyond:g}, too; change more."
    return f"Passed: {untouched} at {here:g}, {lost} at {beyond:g}."


def check_temperature(rows: Any, labels: Any, answer: Any) -> str:
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
    refused = _no_number(
        answer, "a number above 0, such as 1.1", lambda one: 0 < one < math.inf
    )
    if refused:
        return refused
    temperature = float(answer)
    best = fit_temperature(np.asarray(rows), np.asarray(labels))
    if abs(temperature - best) > 0.1:
        direction = "higher" if temperature < best else "lower"
        return f"Not yet: a {direction} temperature than {temperature:g} fits better."
    return f"Passed: the least negative log-likelihood is at {best:.1f}."


class Mystery:
    """A preprocessing with an unnamed fault: one of three, put into that of `classifier`."""

    def __init__(self, classifier: Classifier, number: int) -> None:
        place = whole("number of a mystery", number, 1, len(_MYSTERIES)) - 1
        self._trained = known_preprocessing(classifier)
        self._fault = CATALOGUE[_MYSTERIES[place]]
        self._faulty = self._fault.apply(self._trained)

    def tensor(self, photo: Photo) -> Any:
        """Return what the network is fed: float32 (1, H, W, C)."""
        return self._faulty.apply(photo)

    def seen(self, photo: Photo) -> Any:
        """Return what the network takes it for: uint8 (H, W, 3)."""
        return self._trained.image(self.tensor(photo))

    def check(self, answer: Any) -> str:
        """Check a fault, by its name or title; return one line: passed, or what speaks against it."""
        if answer is None:
            return "Not answered yet. Set answer to the name of a fault in kit.faults.CATALOGUE."
        words = _plain(answer) if isinstance(answer, str) else ""
        meant = (
            one
            for one in CATALOGUE.values()
            if words in map(_plain, (one.name, one.title, _titled(one)))
        )
        named = next(meant, None)
        if named is None:
            return f"Not yet: {_quoted(answer)} is not in the catalogue."
        if named.apply(self._trained) == self._faulty:
            return f"Passed: {_titled(named)}."
        near = "the step is right, and " if named.step == self._fault.step else ""
        photo = samples.photos("imagenet")[0]
        there, here = (
            _figures(one.apply(photo))
            for one in (named.apply(self._trained), self._faulty)
        )
        return f"Not yet, {_titled(named)}: {near}{photo.name} would be {there}, and here it is {here}."


def _figures(tensor: Float32) -> str:
    means = ", ".join(f"{mean:.3g}" for mean in tensor.mean(axis=(0, 1, 2)))
    return f"{tensor.min():.3g} to {tensor.max():.3g} (channel means {means})"


def _titled(fault: Fault) -> str:
    return f"{STEPS[fault.step].lower()} {fault.title}"


class Delivery:
    """Images from somewhere else, without labels and origin, and a choice of remedies.

    Parameters
    ----------
    classifier
        A classifier of clothes, as the bundled one for Fashion-MNIST.
    levels
        To which ``"correct"`` brings the images back; see `kit.images.properties.usual_levels`.
    number
        1, 2 or 3.
    """

    def __init__(self, classifier: Classifier, levels: Levels, number: int) -> None:
        only, change = _DELIVERIES[
            whole("number of a delivery", number, 1, len(_DELIVERIES)) - 1
        ]
        truth = np.array(samples.labels("fashion_mnist"))
        places = np.flatnonzero((truth == only) | (only is None))[:64].tolist()
        self._classifier, self._levels, self._truth = classifier, levels, truth[places]
        photos = samples.photos("fashion_mnist")
        changed = change.apply_to_all(photos[place] for place in places)
        self.photos = tuple(
            Photo(each.pixels, f"picture_{index:02d}")
            for index, each in enumerate(changed)
        )

    def check(self, answer: Any) -> str:
        """Check the choice of a remedy; return one line: passed, or how many it gets right."""
        if answer is None:
            return f"Not answered yet. Set answer to one of {', '.join(_REMEDIES)}."
        if not isinstance(answer, str) or answer not in _REMEDIES:
            return f"Not yet: {_quoted(answer)} is none of {', '.join(_REMEDIES)}."
        corrected = [relevelled(photo, self._levels) for photo in self.photos]
        remedies = {
            "leave": (self._classifier, self.photos),
            "correct": (self._classifier, corrected),
            "adapt": (adapt(self._classifier, self.photos), self.photos),
        }
        shares = {
            name: classifier.predict(photos, self._truth).correct.mean()
            for name, (classifier, photos) in remedies.items()
        }
        if shares[answer] < max(shares.values()) - 0.05:
            return f"Not yet: {answer} gets {shares[answer]:.0%} correct, and another remedy more."
        return f"Passed: {', '.join(f'{name} {share:.0%}' for name, share in shares.items())} correct."
