"""What the explorer shows for one photograph and one set of settings: pure functions from values to values.

Settings are one flat dictionary: ``photo`` (a name), every parameter of
:class:`~kit.perturbation.Perturbation`, and for every preprocessing step of :data:`kit.faults.STEPS` either
``""`` (as the model was trained) or the name of a fault. Python decides everything here, words and number
formats included; the page only paints.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kit._arrays import Float32, Pixels
from kit._checking import known
from kit.classifier import Classifier
from kit.images import Photo
from kit.perturbation import PARAMETERS, Perturbation
from kit.preprocessing import Preprocessing, faults

if TYPE_CHECKING:
    from kit.robustness.reference.novelty import Novelty

Settings = dict[str, Any]

BARS = 8
"""Classes shown at once where there are more; ten and fewer are all shown, in their own order."""
MAIN = ("brightness", "noise")
"""The article's two sliders; the other perturbations are folded away."""


def neutral(photo: str) -> Settings:
    """Return the settings that show `photo` unperturbed and prepared as in training."""
    return {"photo": photo, **asdict(Perturbation()), **dict.fromkeys(faults.STEPS, "")}


def checked(settings: Mapping[str, Any], photos: Sequence[str], current: str) -> Settings:
    """Complete and validate `settings`; what is missing is neutral, and a missing photo is the current one.

    Raises
    ------
    TypeError, ValueError
        For an unknown key, photo or fault (the message names the nearest), or a perturbation out of range.
    """
    complete = neutral(current)
    for key, value in settings.items():
        complete[known("setting", key, complete)] = value
    known("photo", complete["photo"], photos)
    for step in faults.STEPS:
        names = [fault.name for fault in faults.CATALOGUE.values() if fault.step == step]
        known(f"fault of the step {step!r}", complete[step], ("", *names))
    return complete | asdict(perturbation_of(complete))


def perturbation_of(settings: Settings) -> Perturbation:
    """Perturbation that the settings describe."""
    return Perturbation(**{field.name: settings[field.name] for field in fields(Perturbation)})


def preprocessing_of(settings: Settings, trained: Preprocessing) -> Preprocessing:
    """`trained` with the chosen fault of every step in it, in the order of the steps."""
    for step in faults.STEPS:
        if settings[step]:
            trained = faults.CATALOGUE[settings[step]].apply(trained)
    return trained


@dataclass(frozen=True, eq=False)
class View:
    """Everything one state of the explorer is made of.

    Attributes
    ----------
    settings
        Complete settings.
    source
        The photograph as it came: decoded, unperturbed.
    photo
        The same after the perturbation.
    tensor
        float32, (1, H, W, C): what the network is fed.
    probabilities
        float32, (classes,), summing to 1.
    reference
        The view of the same photograph unperturbed and prepared as in training; None where this is that view.
    trained
        Preprocessing as in training.
    label
        Index of the class that the photograph is known to show, where it is known.
    calibrated
        float32, (classes,): `probabilities` with the classifier's temperature; None where that is 1.
    novel
        Whether the tensor is unlike those of the training pictures; None where the classifier cannot tell.
    """

    settings: Settings
    source: Photo
    photo: Photo
    tensor: Float32
    probabilities: Float32
    trained: Preprocessing
    reference: "View | None" = None
    label: int | None = None
    calibrated: Float32 | None = None
    novel: bool | None = None

    @property
    def top(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @cached_property
    def statistics(self) -> tuple[str, ...]:
        """dtype, shape, minimum, maximum, mean and standard deviation of the tensor, as text."""
        tensor = self.tensor
        numbers = (tensor.min(), tensor.max(), tensor.mean(), tensor.std())
        return (str(tensor.dtype), str(tensor.shape), *(f"{float(value):.4g}" for value in numbers))


def compute(
    classifier: Classifier,
    photo: Photo,
    trained: Preprocessing,
    settings: Settings,
    reference: View | None = None,
    label: int | None = None,
    novelty: "Novelty | None" = None,
) -> View:
    """Take one photograph along the whole path: decode, perturb, preprocess, predict."""
    preprocessing = preprocessing_of(settings, trained)
    source = photo.decoded(preprocessing.decoding)
    perturbed = perturbation_of(settings).apply(source)
    tensor = preprocessing.apply(perturbed)
    rows = classifier.predict_tensors(tensor)
    calibrated = classifier.calibrated(rows)[0] if classifier.temperature != 1 else None
    novel = None if novelty is None else novelty.is_novel_tensor(tensor)
    return View(settings, source, perturbed, tensor, rows[0], trained, reference, label, calibrated, novel)


def seen(view: View) -> Pixels:
    """Read the tensor back as the network was trained to read it: uint8 (H, W, 3)."""
    return view.trained.picture(view.tensor)


def bars(view: View, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the softmax table, with the lengths (0 to 1) and texts of bars and ghost bars.

    Where the classifier has no temperature, the bar of the calibrated probability is None and its text empty.
    """
    values = view.probabilities
    ghosts = (view.reference or view).probabilities
    if len(values) <= BARS + 2:
        shown = list(range(len(values)))
    else:
        wanted = {int(ghosts.argmax())} | ({view.label} if view.label is not None else set())
        ranked = [int(index) for index in np.argsort(-values, kind="stable")[:BARS]]
        extra = sorted(wanted - set(ranked), key=lambda index: -values[index])
        shown = ranked[: BARS - len(extra)] + extra
    return [
        {
            "name": names[index],
            "value": _length(values[index]),
            "text": _percent(values[index]),
            "ghost": _length(ghosts[index]),
            "ghostText": _percent(ghosts[index]),
            "calibrated": None if view.calibrated is None else _length(view.calibrated[index]),
            "calibratedText": "" if view.calibrated is None else _percent(view.calibrated[index]),
            "top": index == view.top,
            "expected": index == view.label,
        }
        for index in shown
    ]


def usual(classifier: Classifier) -> str:
    """Say what a preprocessing without a fault is like."""
    return "as assumed" if classifier.preprocessing is None else "as in training"


def caption(classifier: Classifier) -> str:
    """Say below the softmax table what its bars are."""
    text = f"Softmax probabilities; the pale bar is the untouched photograph, prepared {usual(classifier)}"
    if classifier.temperature == 1:
        return text
    return f"{text}; the thin bar is the probability calibrated with temperature {classifier.temperature:.2f}"


def verdict(view: View, names: Sequence[str]) -> str:
    """Say in a sentence or two what the answer is, and how it differs from the reference's."""
    if not np.isfinite(view.probabilities).all():
        return "No answer: the network's outputs are no numbers (nan). Look for nan in its weights."
    answer = f"{names[view.top]}, {_percent(view.probabilities[view.top])}"
    if view.label is not None:
        answer += " (right)" if view.top == view.label else f" (wrong: it is {names[view.label]})"
    if view.novel:
        answer = f"None of these: unlike the training pictures. Likeliest: {answer}"
    if view.reference is None:
        return f"{answer}."
    before = view.reference
    was = f"{names[before.top]} at {_percent(before.probabilities[before.top])}"
    return f"{answer}. Untouched: {'the same class, ' if before.top == view.top else ''}{was}."


def tensor_table(view: View) -> list[list[str]]:
    """Rows of (property, fed to the network, expected for this photograph, the same?) as text."""
    names = ("dtype", "shape", "minimum", "maximum", "mean", "standard deviation")
    expected = (view.reference or view).statistics
    rows = zip(names, view.statistics, expected, strict=True)
    return [[name, fed, wanted, "same" if fed == wanted else "differs"] for name, fed, wanted in rows]


def controls(trained: Preprocessing, faultless: str = "as in training") -> list[dict[str, Any]]:
    """Describe the page's controls: every perturbation, and every preprocessing step with an alternative.

    `faultless` is the word for a step in which `trained` is left as it is.
    """
    found = []
    for name, parameter in PARAMETERS.items():
        kind = "switch" if parameter.kind == "switch" else "range"
        group, section = ("main", "") if name in MAIN else ("more", parameter.group)
        told = {key: getattr(parameter, key) for key in ("label", "unit", "low", "high", "step", "neutral")}
        control = {"key": name, "kind": kind, "group": group, "section": section}
        found.append(control | told | {"hint": parameter.description})
    for step, label in faults.STEPS.items():
        others = faults.alternatives(trained, step)
        if others:
            options = [["", faultless], *([fault.name, fault.title] for fault in others)]
            hint = " ".join(f"{fault.title[0].upper()}{fault.title[1:]}: {fault.origin}" for fault in others)
            control = {"key": step, "kind": "choice", "group": "steps", "section": "", "label": label}
            found.append(control | {"options": options, "hint": hint})
    return found


def _length(probability: float) -> float:
    return round(float(probability), 6) if np.isfinite(probability) else 0.0


def _percent(probability: float) -> str:
    return f"{100 * float(probability):.1f} %"
