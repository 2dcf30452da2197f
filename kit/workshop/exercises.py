"""Self-checks for the notebooks: each says whether an answer is right, and if not, why not."""

import math
import re
import reprlib
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kit._arrays import Float32, Pixels
from kit._checking import whole
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.training import adapt
from kit.images import Photo
from kit.images.properties import Levels, relevelled
from kit.perturbation import Perturbation
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault

__all__ = ["Delivery", "Mystery", "camera_folder", "check_brightness", "check_noise", "check_temperature"]
__all__ += ["somebodys_script"]

_MYSTERIES = ("double_scaling", "inverted", "imagenet_mean_std")
# The class of clothes that are delivered, None for all, and what was done to their images.
_DELIVERIES = ((None, Perturbation(noise=80)), (9, Perturbation(brightness=0.15)), (8, Perturbation()))
# Of each remedy, what to look at for those whom it does not help.
_REMEDIES = {
    "leave": "what changed about the images",
    "correct": "whether the range of their levels changed",
    "adapt": "how many kinds of clothes there are",
}


def _number(answer: Any) -> float | None:
    if isinstance(answer, bool) or not isinstance(answer, Real) or not math.isfinite(answer):
        return None
    return float(answer)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", text.casefold()))


def _quoted(answer: Any) -> str:
    return " ".join(reprlib.repr(answer).split())[:60]


def somebodys_script(classifier: Classifier) -> Classifier:
    """Return a classifier as somebody's script uses it; what is wrong there is to be found."""
    return classifier.using(known_preprocessing(classifier).replace(channels="bgr", scaling="0..1"))


def camera_folder(pictures: Pixels) -> Path:
    """Return a new folder of PNG files as a camera gives them; what is different about them is to be found.

    Parameters
    ----------
    pictures
        uint8 (N, H, W) or (N, H, W, 3).
    """
    folder = Path(tempfile.mkdtemp())
    camera = Perturbation(brightness=0.55, noise=14, seed=3)
    for place, pixels in enumerate(pictures):
        taken = camera.apply(Photo.from_array(pixels)).pixels
        Image.fromarray(taken[..., 0] if pixels.ndim == 2 else taken).save(folder / f"{place:04}.png")
    return folder


def _tops(classifier: Classifier, photo: Photo, changes: Iterable[Perturbation]) -> list[str]:
    rows = (classifier.probabilities(photo, change)[0] for change in changes)
    return [classifier.class_names[row.argmax()] for row in rows]


def check_brightness(classifier: Classifier, photo: Photo, answer: Any) -> str:
    """Check the lowest brightness, in steps of 0.1, that does not change the prediction; return one line."""
    if answer is None:
        return "Not answered yet. Set answer to a brightness, for example to 0.7."
    brightness = _number(answer)
    if brightness is None:
        return f"Not yet: a brightness is a number such as 0.7, and {_quoted(answer)} is not."
    if not 0.1 <= brightness <= 1 or abs(brightness * 10 - round(brightness * 10)) > 1e-6:
        return f"Not yet: use one decimal, from 0.1 to 1.0, in place of {_quoted(answer)}."
    darker = round(brightness - 0.1, 4)
    changes = [Perturbation(brightness=round(max(factor, 0), 4)) for factor in (1, brightness, darker)]
    untouched, survived, lost = _tops(classifier, photo, changes)
    if survived != untouched:
        return f"Not yet: at {brightness:g} it is {survived}, no longer {untouched}; try brighter."
    if darker > 0 and lost == untouched:
        return f"Not yet: {untouched} survives less than {brightness:g}; try darker."
    return f"Passed: {untouched} at {brightness:g}, something else one step darker."


def check_noise(classifier: Classifier, photo: Photo, answer: Any) -> str:
    """Check a noise, in whole levels from 0 to 99, that the prediction just survives; return one line."""
    if answer is None:
        return "Not answered yet. Set answer to a noise in levels, for example to 12."
    noise = _number(answer)
    if noise is None or noise not in range(100):
        return f"Not yet: noise is a whole number of levels from 0 to 99, and {_quoted(answer)} is not."
    changes = [Perturbation(noise=each) for each in (0, noise, noise + 1)]
    untouched, survived, lost = _tops(classifier, photo, changes)
    if survived != untouched:
        return f"Not yet: at {noise:g} levels it is {survived}; try less."
    if lost == untouched:
        return f"Not yet: {untouched} survives {noise + 1:g} levels, too; try more than {noise:g}."
    return f"Passed: {untouched} at {noise:g} levels, {lost} at {noise + 1:g}."


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
    from kit.validation.calibration import fit_temperature

    if answer is None:
        return "Not answered yet. Set answer to a temperature, for example to 1.1."
    temperature = _number(answer)
    if temperature is None or temperature <= 0:
        return f"Not yet: a temperature is a number above 0, and {_quoted(answer)} is not."
    best = fit_temperature(np.asarray(rows), np.asarray(labels))
    if abs(temperature - best) > 0.1:
        direction = "higher" if temperature < best else "lower"
        return f"Not yet: labels become more probable at a {direction} temperature than {temperature:g}."
    return f"Passed: the least negative log-likelihood is at {best:.1f}."


class Mystery:
    """A preprocessing with an unnamed fault: one of three, put into that of `classifier`."""

    def __init__(self, classifier: Classifier, number: int) -> None:
        self._number = whole("number of a mystery", number, 1, len(_MYSTERIES))
        self._classifier, self._trained = classifier, known_preprocessing(classifier)
        self._fault = CATALOGUE[_MYSTERIES[number - 1]]
        if not self._fault.changes(self._trained):
            raise ValueError(f"Expected a classifier that mystery {number} changes, received another; try 1")

    def __repr__(self) -> str:
        return f"Mystery({self._number})"

    def tensor(self, photo: Photo) -> Any:
        """Return what the network is fed: float32 (1, H, W, C)."""
        return self._fault.apply(self._trained).apply(photo)

    def seen(self, photo: Photo) -> Any:
        """Return what the network takes it for: uint8 (H, W, 3)."""
        return self._trained.picture(self.tensor(photo))

    def probabilities(self, photo: Photo) -> Any:
        """Return the softmax probabilities: float32 (classes,)."""
        return self._classifier.predict_tensors(self.tensor(photo))[0]

    def check(self, answer: Any) -> str:
        """Check a fault, by its name or title; return one line: passed, or what speaks against it."""
        if answer is None:
            return "Not answered yet. Set answer to the name of a fault in kit.faults.CATALOGUE."
        words = _plain(answer) if isinstance(answer, str) else ""
        meant = (
            each
            for each in CATALOGUE.values()
            if words in map(_plain, (each.name, each.title, _titled(each)))
        )
        named = next(meant, None)
        if named is None:
            return f"Not yet: {_quoted(answer)} is no fault of the catalogue; see list(kit.faults.CATALOGUE)."
        if named.apply(self._trained) == self._fault.apply(self._trained):
            return f"Passed: {_titled(named)}."
        near = "the step is right, and " if named.step == self._fault.step else ""
        return f"Not yet, {_titled(named)}: {near}{self._against(named)}."

    def _against(self, named: Fault) -> str:
        photo = _colourful()
        theirs, trained = (steps.apply(photo)[0] for steps in (named.apply(self._trained), self._trained))
        if np.array_equal(theirs, trained):
            return "it changes nothing about an ordinary image, and here something is changed"
        expected, measured = _measured(theirs), _measured(self.tensor(photo)[0])
        for what, here in measured.items():
            if here != expected[what]:
                return f"a colourful image's {what} would be {expected[what]} with it, and here it is {here}"
        return "its tensor has the same range and means; compare what the network sees"


def _titled(fault: Fault) -> str:
    return f"{STEPS[fault.step].lower()} {fault.title}"


def _colourful() -> Photo:
    # Another mean in each channel, quarter and direction, from black to white.
    down, across = np.mgrid[0:96, 0:96] / 95
    channels = (across, down**2, (across * down) ** 0.5)
    return Photo.from_array(np.rint(255 * np.stack(channels, axis=-1)).astype(np.uint8))


def _measured(tensor: Float32) -> dict[str, str]:
    height, width = tensor.shape[0] // 2, tensor.shape[1] // 2
    return {
        "range": f"{tensor.min():.3g} to {tensor.max():.3g}",
        "channel means": ", ".join(f"{mean:.3g}" for mean in tensor.mean(axis=(0, 1))),
        "mean of the upper right quarter": f"{tensor[:height, width:].mean():.3g}",
        "mean step between neighbours": f"{np.abs(np.diff(tensor, axis=0)).mean():.3g}",
    }


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
        from kit import samples

        self._number = whole("number of a delivery", number, 1, len(_DELIVERIES))
        only, change = _DELIVERIES[number - 1]
        truth = np.array(samples.labels("fashion_mnist"))
        places = np.flatnonzero((truth == only) | (only is None))[:64].tolist()
        self._classifier, self._levels, self._truth = classifier, levels, truth[places]
        photos = samples.photos("fashion_mnist")
        changed = [replace(change, seed=place).apply(photos[place]).pixels for place in places]
        self.photos = tuple(Photo(pixels, f"picture_{index:02d}") for index, pixels in enumerate(changed))

    def __repr__(self) -> str:
        return f"Delivery({self._number})"

    def check(self, answer: Any) -> str:
        """Check the choice of a remedy; return one line: passed, or how many it gets right."""
        if answer is None:
            return f"Not answered yet. Set answer to one of {', '.join(_REMEDIES)}."
        if not isinstance(answer, str) or answer not in _REMEDIES:
            return f"Not yet: {_quoted(answer)} is none of {', '.join(_REMEDIES)}."
        shares = self._shares
        if shares[answer] < max(shares.values()) - 0.05:
            share = f"{shares[answer]:.0%} of them right"
            return f"Not yet: {answer} gets {share}, and another more; look at {_REMEDIES[answer]}."
        return f"Passed: {', '.join(f'{name} {share:.0%}' for name, share in shares.items())} right."

    @cached_property
    def _shares(self) -> dict[str, float]:
        corrected = tuple(relevelled(photo, self._levels) for photo in self.photos)
        rows = {
            "leave": self._classifier.probabilities(self.photos),
            "correct": self._classifier.probabilities(corrected),
            "adapt": adapt(self._classifier, self.photos).probabilities(self.photos),
        }
        return {name: float((each.argmax(axis=1) == self._truth).mean()) for name, each in rows.items()}
