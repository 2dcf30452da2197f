"""Self-checks for the notebooks: each says whether an answer is right, and if not, why not."""

from functools import cached_property
from typing import Any

import numpy as np

from kit.classifier import Classifier
from kit.classifier.adaptation import adapt
from kit.images import Photo
from kit.images.levels import Levels, relevelled
from kit.perturbation import Perturbation
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault

_REMEDIES = ("leave", "correct", "adapt")
_MYSTERIES = ("double_scaling", "inverted", "imagenet_mean_std")


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
    tops = [
        int(classifier.probabilities(photo, Perturbation(noise=noise))[0].argmax())
        for noise in (0, answer, answer + 1)
    ]
    untouched, survived, lost = (classifier.class_names[top] for top in tops)
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


def check_installation() -> str:
    """Check the versions of what the kit needs, and one prediction of the bundled network.

    Returns
    -------
    str
        A line for each package that is missing or too old, and one with the prediction.
    """
    from importlib.metadata import PackageNotFoundError, requires, version  # noqa: PLC0415 - asked once

    from packaging.requirements import Requirement  # noqa: PLC0415 - comes with jupyterlab

    unmet = []
    for text in requires("classifier-investigation-kit") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            found = "none"
        if found == "none" or not requirement.specifier.contains(found, prereleases=True):
            unmet.append(f"Expected {requirement.name} {requirement.specifier}, found {found}")
    from kit import samples  # noqa: PLC0415 - only this check needs the bundled network

    photo = next(photo for photo in samples.photos("imagenet") if photo.name == "espresso.jpg")
    classifier = samples.classifier("efficientnet_lite0")
    name, _ = classifier.top(classifier.probabilities(photo)[0], 1)[0]
    return "\n".join([*(unmet or ["Packages: all as required"]), f"{photo.name}: {name}"])


class Delivery:
    """Pictures from somewhere else, whose labels and origin are not told, and a choice of remedies.

    Parameters
    ----------
    classifier
        A classifier of clothes, as the bundled one for Fashion-MNIST.
    levels
        To which ``"correct"`` brings the pictures back; see `kit.images.levels.usual_levels`.
    number
        1, 2 or 3.
    """

    def __init__(self, classifier: Classifier, levels: Levels, number: int) -> None:
        if number not in {1, 2, 3}:
            raise ValueError(f"Expected a delivery from 1 to 3, received {number!r}")
        from kit import samples  # noqa: PLC0415 - only this exercise needs the pictures

        truth = np.array(samples.labels("fashion_mnist"))
        one = {1: None, 2: 9, 3: 8}[number]
        places = np.flatnonzero((truth == one) | (one is None))[:64]
        photos = [samples.photos("fashion_mnist")[place] for place in places]
        changes = {
            1: [Perturbation(noise=80, seed=int(place)) for place in places],
            2: [Perturbation(brightness=0.15)] * len(places),
            3: [Perturbation()] * len(places),
        }[number]
        self._classifier, self._levels, self._number, self._truth = classifier, levels, number, truth[places]
        self.photos = tuple(
            Photo(change.apply(photo).pixels, f"picture_{index:02d}")
            for index, (photo, change) in enumerate(zip(photos, changes, strict=True))
        )

    def __repr__(self) -> str:
        return f"Delivery({self._number})"

    def check(self, answer: str | None) -> str:
        """Check the choice of a remedy; return one line that says passed, or how many it gets right."""
        if answer is None:
            return f"Open: set answer to one of {', '.join(_REMEDIES)}."
        if answer not in _REMEDIES:
            return f"Not yet: {answer!r} is none of {', '.join(_REMEDIES)}."
        shares = self._shares
        if shares[answer] < max(shares.values()) - 0.05:
            return (
                f"Not yet: {answer} gets {shares[answer]:.0%} of them right, and another remedy more; look at"
                " what changed, and at how many kinds of clothes there are."
            )
        return f"Passed: {', '.join(f'{name} {share:.0%}' for name, share in shares.items())} right."

    @cached_property
    def _shares(self) -> dict[str, float]:
        corrected = tuple(relevelled(photo, self._levels) for photo in self.photos)
        return {
            "leave": self._share(self._classifier, self.photos),
            "correct": self._share(self._classifier, corrected),
            "adapt": self._share(adapt(self._classifier, self.photos), self.photos),
        }

    def _share(self, classifier: Classifier, photos: tuple[Photo, ...]) -> float:
        return float((classifier.probabilities(photos).argmax(axis=1) == self._truth).mean())


class Mystery:
    """A preprocessing with one fault in it that is not told.

    Parameters
    ----------
    classifier
        Its preprocessing is taken, and a fault put into it.
    number
        1, 2 or 3.
    """

    def __init__(self, classifier: Classifier, number: int) -> None:
        if number not in range(1, len(_MYSTERIES) + 1):
            raise ValueError(f"Expected a mystery from 1 to {len(_MYSTERIES)}, received {number!r}")
        if classifier.preprocessing is None:
            raise ValueError("Expected a classifier with a known preprocessing, received one without")
        self._classifier = classifier
        self._trained = classifier.preprocessing
        self._fault = CATALOGUE[_MYSTERIES[number - 1]]
        self._number = number

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

    def check(self, answer: str | None) -> str:
        """Check the name of a fault; return one line that says passed, or what speaks against it."""
        if answer is None:
            return "Open: set answer to the name of a fault in kit.faults.CATALOGUE."
        if answer not in CATALOGUE:
            return f"Not yet: {answer!r} is no fault of the catalogue: {', '.join(CATALOGUE)}."
        named: Fault = CATALOGUE[answer]
        if named.apply(self._trained) == self._fault.apply(self._trained):
            return f"Passed: {named.title} ({STEPS[named.step].lower()})."
        if named.step == self._fault.step:
            return f"Not yet: the step is right ({STEPS[named.step].lower()}), what is done there is not."
        mystery, theirs = self._spread(self._fault), self._spread(named)
        return (
            f"Not yet: a picture that runs from black to white becomes {mystery} here and {theirs} with "
            f"{answer}; compare what the network sees, too."
        )

    def _spread(self, fault: Fault) -> str:
        ramp = np.linspace(0, 255, 64, dtype=np.uint8)
        tensor = fault.apply(self._trained).apply(Photo.from_array(np.tile(ramp[None, :, None], (64, 1, 3))))
        return f"{tensor.min():.3g} to {tensor.max():.3g}"
