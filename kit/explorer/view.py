"""What the explorer shows for one photograph and one set of settings, as a value.

Settings are one flat dictionary: ``photo`` (a name), every parameter of
:class:`~kit.perturbation.Perturbation`, for every preprocessing step of :data:`kit.faults.STEPS` either
``""`` (as the classifier has it) or the name of a fault, and ``fix``: whether the preprocessing that the last
diagnosis found takes the place of the classifier's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from kit._arrays import Float32, Pixels
from kit._checking import known
from kit.images import Photo
from kit.perturbation import PARAMETERS, Perturbation
from kit.preprocessing import Preprocessing, faults

Settings = dict[str, Any]

MAIN = ("brightness", "noise")
"""The article's two sliders; the other perturbations are folded away."""


def neutral(photo: str) -> Settings:
    """Return the settings that show `photo` unperturbed and prepared as in training."""
    return {"photo": photo, **asdict(Perturbation()), **dict.fromkeys(faults.STEPS, ""), "fix": False}


def changed_settings(settings: Settings) -> Settings:
    """Return what is not as it is untouched, without what changes nothing by itself."""
    plain = neutral(settings["photo"])
    idle = {name for name, item in PARAMETERS.items() if item.of and settings[item.of] == plain[item.of]}
    if not any(settings[name] != plain[name] for name in PARAMETERS.keys() - idle):
        idle.add("seed")
    return {key: value for key, value in settings.items() if value != plain[key] and key not in idle}


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
    if not isinstance(complete["fix"], bool):
        raise TypeError(f"Expected fix as True or False, received {complete['fix']!r}")
    return complete | asdict(perturbation_of(complete))


def perturbation_of(settings: Settings) -> Perturbation:
    """Perturbation that the settings describe."""
    return Perturbation(**{field.name: settings[field.name] for field in fields(Perturbation)})


def preprocessing_of(settings: Settings, base: Preprocessing) -> Preprocessing:
    """Return `base` with the chosen fault of every step in it, in the order of the steps."""
    for step in faults.STEPS:
        if settings[step]:
            base = faults.CATALOGUE[settings[step]].apply(base)
    return base


@dataclass(frozen=True, eq=False)
class View:
    """Everything one state of the explorer is made of.

    Attributes
    ----------
    settings
        Complete settings.
    original
        The photograph as it came.
    source
        The same as it is decoded here: unperturbed.
    photo
        The same after the perturbation.
    preprocessing
        In use.
    tensor
        float32, (1, H, W, C): what the network is fed.
    probabilities
        float32, (classes,), summing to 1.
    reference
        The view of the same photograph unperturbed and prepared as in training; None where this is that view.
    trained
        Preprocessing where nobody has chosen another.
    base
        `trained`, or the fix in its place: `preprocessing` without the faults that were chosen.
    label
        Index of the class that the photograph is known to show, where it is known.
    calibrated
        float32, (classes,): `probabilities` with the classifier's temperature; None where that is 1.
    novel
        Whether the tensor is unlike those of the training pictures; None where the classifier cannot tell.
    """

    settings: Settings
    original: Photo
    source: Photo
    photo: Photo
    preprocessing: Preprocessing
    tensor: Float32
    probabilities: Float32
    trained: Preprocessing
    base: Preprocessing
    reference: "View | None" = None
    label: int | None = None
    calibrated: Float32 | None = None
    novel: bool | None = None

    @property
    def top(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def untouched(self) -> "View":
        """The view of the same photograph untouched; this one where it is."""
        return self.reference or self

    @property
    def seen(self) -> Pixels:
        """The tensor read back as the network expects it: uint8 (H, W, 3)."""
        return self.base.picture(self.tensor)

    @property
    def answer(self) -> int | None:
        """Index of the class that is answered; None where it is told as none of the classes."""
        return None if self.novel else self.top

    @property
    def wrong(self) -> bool:
        """Whether the answer is known to be wrong."""
        return self.label is not None and self.answer != self.label

    @cached_property
    def statistics(self) -> tuple[str, ...]:
        """dtype, shape, minimum, maximum, mean and standard deviation of the tensor, as text."""
        tensor = self.tensor
        numbers = (tensor.min(), tensor.max(), tensor.mean(), tensor.std())
        return (str(tensor.dtype), str(tensor.shape), *(f"{float(value):.4g}" for value in numbers))
