"""What the explorer shows of one state: tensors, predictions, words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from kit._arrays import Float32, Pixels
from kit._checking import instance, known
from kit.classifier import Classifier
from kit.classifier.engines import finite
from kit.diagnosis.inside import assumed_preprocessing
from kit.images import Photo
from kit.perturbation import PARAMETERS, Perturbation
from kit.preprocessing import Preprocessing, faults
from kit.preprocessing.pipeline import PIPELINE
from kit.robustness.heatmap import Heatmap, class_activation
from kit.robustness.novelty import Novelty, novelty_of

Settings = dict[str, Any]

MAIN = ("brightness", "noise")
"""The article's two sliders; the other perturbations are folded away."""
FILE_STEPS = {"exif": "EXIF", "alpha": "alpha", "depth": "16-bit"}
"""Steps that act on some files only, and how the notes of those begin."""
CHOICES = {
    choice.name: choice for operation in PIPELINE for choice in operation.choices
}
"""What can be chosen wrongly, by name, in the order in which the steps run."""


_PLAIN = (
    asdict(Perturbation())
    | dict.fromkeys(faults.STEPS, "")
    | {"fix": False, "where": None}
)


def neutral(photo: str) -> Settings:
    """Return the settings that show `photo` unperturbed and prepared as in training."""
    return {"photo": photo} | _PLAIN


def changed_settings(settings: Settings) -> Settings:
    """Return what is not as it is untouched, without what changes no prediction by itself."""
    plain = neutral(settings["photo"]) | {"where": settings["where"]}
    changed = {key: value for key, value in settings.items() if value != plain[key]}
    acting = {
        name
        for name in changed.keys() & PARAMETERS
        if PARAMETERS[name].of in {"", *changed}
    }
    idle = changed.keys() & PARAMETERS.keys() - acting
    if not acting:
        idle.add("seed")
    return {key: value for key, value in changed.items() if key not in idle}


def words(key: str, settings: Settings) -> str:
    """Return a change in words."""
    if key in PARAMETERS:
        item, value = PARAMETERS[key], settings[key]
        return (
            item.label
            if item.kind == "switch"
            else f"{item.label} {value:g} {item.unit}".strip()
        )
    if key == "fix":
        return "The fix"
    return f"{faults.STEPS[key]}: {faults.CATALOGUE[settings[key]].title}"


def checked(
    settings: Mapping[str, Any], photos: Iterable[str], current: str
) -> Settings:
    """Complete and validate `settings`; what is missing is neutral, and a missing photo is the current one.

    Raises
    ------
    TypeError, ValueError
        For an unknown key, photo or fault (the message names the nearest), or a perturbation out of range.
    """
    complete = neutral(current)
    instance("settings", settings, Mapping, "a dictionary")
    for key, value in settings.items():
        complete[known("setting", key, complete)] = value
    known("photo", complete["photo"], photos)
    for step in faults.STEPS:
        names = [
            fault.name for fault in faults.CATALOGUE.values() if fault.step == step
        ]
        known(f"fault of the step {step!r}", complete[step], ("", *names))
    if not isinstance(complete["fix"], bool):
        raise TypeError(f"Expected fix as True or False, received {complete['fix']!r}")
    return complete | asdict(perturbation_of(complete))


def perturbation_of(settings: Settings) -> Perturbation:
    """Perturbation that the settings describe."""
    return Perturbation(
        **{field.name: settings[field.name] for field in fields(Perturbation)}
    )


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
    bench, settings
        Where it was looked at, and the complete settings.
    original, source, photo
        The photo as it came, as it is decoded here, and after the perturbation.
    tensor, probabilities
        float32, (1, H, W, C) and (classes,): what the network is fed, and its softmax.
    reference
        The view of the same photo unperturbed and prepared as in training; None where this is that view.
    label
        Index of the class that the photo is known to show, where it is known.
    inside
        The last feature map, float32 (1, h, w, channels), where it was asked for and there is one.
    occluded
        What `occlusion` has given so far, float32 (rows, columns).
    """

    bench: "Bench"
    settings: Settings
    original: Photo
    source: Photo
    photo: Photo
    tensor: Float32
    probabilities: Float32
    reference: "View | None" = None
    label: int | None = None
    inside: Float32 | None = None
    occluded: Float32 | None = None

    @property
    def names(self) -> Sequence[str]:
        """Names of the classes."""
        return self.bench.classifier.class_names

    @property
    def base(self) -> Preprocessing:
        """`preprocessing` without the faults that were chosen."""
        return self.bench.base(self.settings)

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing in use."""
        return self.bench.preprocessing(self.settings)

    @cached_property
    def novel(self) -> bool | None:
        """Whether the tensor is unlike those of the training images; None if the classifier cannot tell."""
        novelty = self.bench.novelty
        return (
            None
            if novelty is None or self.inside is None
            else novelty.is_novel(self.inside)
        )

    @property
    def top(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def untouched(self) -> "View":
        """The view of the same photo untouched; this one where it is."""
        return self.reference or self

    @property
    def seen(self) -> Pixels:
        """The tensor read back as the network expects it: uint8 (H, W, 3)."""
        return self.base.image(self.tensor)

    @property
    def where(self) -> int:
        """Index of the class whose heat map is asked for: -1 stands for the predicted one."""
        where = self.settings["where"]
        return self.top if where == -1 else int(where)

    @cached_property
    def heat(self) -> Heatmap | None:
        """Where that class is seen; None where nobody asked. One by occlusion begins empty."""
        if self.settings["where"] is None:
            return None
        name, cells = (
            self.names[self.where],
            class_activation(self.bench.classifier, self.inside, self.where),
        )
        if cells is not None:
            return Heatmap(name, "class activation", cells, self.seen)
        cells = np.zeros((1, 1), np.float32) if self.occluded is None else self.occluded
        return Heatmap(name, "occlusion", cells, self.seen)

    def covered(self, picture: Pixels) -> Pixels:
        """Return a picture of the tensor with the heat map over it, where there is one."""
        return (
            picture
            if self.heat is None
            else replace(self.heat, picture=picture).overlay
        )

    @property
    def answer(self) -> int | None:
        """Index of the predicted class; None for none of the classes."""
        return None if self.novel else self.top

    @property
    def wrong(self) -> bool:
        """Whether the prediction is known to be wrong."""
        return self.label is not None and self.answer != self.label

    @property
    def altered(self) -> bool:
        """Whether what was changed has changed the prediction."""
        return self.answer != self.untouched.answer

    @property
    def idle(self) -> tuple[str, ...]:
        """Steps of reading a file that make no difference to this one, whatever is chosen."""
        notes = self.source.notes
        return tuple(
            step
            for step, sign in FILE_STEPS.items()
            if not any(n.startswith(sign) for n in notes)
        )

    @cached_property
    def statistics(self) -> dict[str, str]:
        """dtype, shape, minimum, maximum, mean and standard deviation of the tensor, as text."""
        x = self.tensor
        numbers = {
            "minimum": x.min(),
            "maximum": x.max(),
            "mean": x.mean(),
            "standard deviation": x.std(),
        }
        texts = {name: f"{float(value):.4g}" for name, value in numbers.items()}
        return {"dtype": str(x.dtype), "shape": str(x.shape), **texts}


BARS = 8
"""Rows, the last one for all other classes; where there are ten or fewer, each has one, in their order."""
_LEAST = 0.0005
"""Probability below which a class has no row of its own, unless it is expected."""


def percent(probability: float) -> str:
    """Return a probability, 0..1, for people; what rounds to none or to all of it is marked."""
    if 0 < probability < _LEAST:
        return "<0.1 %"
    if 0.9995 <= probability < 1:
        return ">99.9 %"
    return f"{100 * float(probability):.1f} %"


def bars(view: View) -> list[dict[str, Any]]:
    """Return the rows of the softmax table, with lengths (0 to 1) and texts of their three bars."""
    values, ghosts = view.probabilities, view.untouched.probabilities
    [calibrated] = view.bench.classifier.calibrated(values[None])
    shown = list(range(len(values)))
    if len(values) > BARS + 2:
        wanted = {view.top, int(ghosts.argmax())} | (
            set() if view.label is None else {view.label}
        )
        order = np.argsort(-values, kind="stable")[:BARS].tolist()
        ranked = [index for index in order if values[index] >= _LEAST]
        others = [index for index in ranked if index not in wanted][
            : BARS - 1 - len(wanted)
        ]
        shown = sorted([*wanted, *others], key=lambda index: (-values[index], index))
    columns = np.stack([values, ghosts, calibrated])
    rows = [_bar(index, view.names[index], columns[:, index]) for index in shown]
    if len(shown) < len(values):
        rest = np.maximum(1 - columns[:, shown].sum(axis=1), 0)
        rows.append(_bar(-1, f"{len(values) - len(shown)} others", rest))
    for row in rows:
        row |= {"top": row["index"] == view.top, "expected": row["index"] == view.label}
    return rows


def _bar(index: int, name: str, shares: Float32) -> dict[str, Any]:
    row: dict[str, Any] = {"index": index, "name": name}
    keys = ("value", "text"), ("ghost", "ghostText"), ("calibrated", "calibratedText")
    for (key, text), share in zip(keys, shares.tolist(), strict=True):
        row |= {key: round(share, 6), text: percent(share)}
    return row


def called(view: View) -> str:
    """Return what is predicted, with its probability."""
    name = "none of these" if view.answer is None else view.names[view.answer]
    return f"{name}, {percent(view.probabilities[view.top])}"


MARKS = {"right": "✓ correct", "wrong": "✕ it is {}"}
"""What stands beside a prediction whose class is known."""


def answer(view: View) -> dict[str, str]:
    """Return the prediction in parts that are read from the back row, and the class that is known."""
    mark, state, label = "", "", ""
    if view.label is not None:
        label = view.names[view.label]
        state = "wrong" if view.wrong else "right"
        mark = MARKS[state].format(label)
    before = view.untouched
    same = f"the same class, {percent(before.probabilities[before.top])}"
    was = same if before.answer == view.answer else called(before)
    note = "" if view.reference is None else f"Untouched: {was}"
    name, share = view.names[view.top], percent(view.probabilities[view.top])
    if view.novel:
        note = f"Unlike the training images. Likeliest: {name}, {share}. {note}".strip()
        name, share = "None of these", ""
    return {
        "name": name,
        "share": share,
        "mark": mark,
        "state": state,
        "note": note,
        "label": label,
    }


def verdict(view: View) -> str:
    """Say in a sentence or two what the prediction is, and how it differs from the untouched one."""
    parts = answer(view)
    said = ", ".join(filter(None, (parts["name"], parts["share"], parts["mark"])))
    return f"{said}. {parts['note']}".strip()


def tensor_table(view: View) -> list[list[str]]:
    """Rows of (property, fed to the network, expected for this photo, the same?) as text."""
    wanted = view.untouched.statistics
    rows = view.statistics.items()
    return [
        [name, fed, wanted[name], "same" if fed == wanted[name] else "differs"]
        for name, fed in rows
    ]


def usual(classifier: Classifier) -> str:
    """Say what a preprocessing that nobody has touched is like."""
    if classifier.preprocessing is None:
        return "as assumed"
    stored = classifier.source and classifier.source.preprocessing()
    known = classifier.source is None or stored == classifier.preprocessing
    return "as in training" if known else "as your code does it"


def caption(classifier: Classifier) -> str:
    """Say below the softmax table what its bars are."""
    text = f"Pale bar: the untouched photo, prepared {usual(classifier)}"
    if classifier.temperature == 1:
        return text
    return f"{text}; thin bar: calibrated with temperature {classifier.temperature:.2f}"


def as_code(view: View) -> str:
    """Return the state as lines of Python, where ``kit``, ``classifier`` and ``explorer`` are there."""
    changed = changed_settings(view.settings)
    lines = []
    if changed.pop("fix", False):
        lines.append(f"classifier = classifier.using({view.base.to_code()})")
        lines.append("explorer = kit.Explorer(classifier, explorer.photos)")
    lines.append(
        f"explorer.settings = { {'photo': view.settings['photo']} | changed!r}"
    )
    if (perturbation := perturbation_of(view.settings)) != Perturbation():
        lines.append(f"perturbation = kit.{perturbation!r}")
    lines.append(f"preprocessing = {view.preprocessing.to_code()}")
    return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Bench:
    """Where images are looked at.

    Attributes
    ----------
    classifier, novelty
        The model, and what tells images of none of its classes; None where nothing does.
    trained, fixed
        The preprocessing where nobody has chosen another, and what the last diagnosis found to be right.
    """

    classifier: Classifier
    trained: Preprocessing
    novelty: Novelty | None = None
    fixed: Preprocessing | None = None

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Take a classifier as it is; where its preprocessing is unknown, one is assumed."""
        novelty = (
            novelty_of(classifier) if classifier.reference.arrays("novelty") else None
        )
        return cls(classifier, assumed_preprocessing(classifier), novelty)

    def base(self, settings: Settings) -> Preprocessing:
        """Preprocessing that the settings start from."""
        return (
            self.fixed if settings["fix"] and self.fixed is not None else self.trained
        )

    def preprocessing(self, settings: Settings) -> Preprocessing:
        """Preprocessing that the settings describe."""
        return preprocessing_of(settings, self.base(settings))

    def view(
        self,
        photo: Photo,
        settings: Settings,
        reference: View | None = None,
        label: int | None = None,
    ) -> View:
        """Take one photo along the whole path: decode, perturb, preprocess, predict."""
        preprocessing = self.preprocessing(settings)
        source = photo.decoded(preprocessing.decoding)
        perturbed = perturbation_of(settings).apply(source)
        tensor = preprocessing.apply(perturbed)
        classifier, found = self.classifier, None
        if self.novelty is None and settings["where"] is None:
            rows = classifier.predict_tensors(tensor, early=True)
        else:
            rows, found = classifier.inside(tensor)
        [row] = finite(rows, classifier.name)
        return View(
            self,
            settings,
            photo,
            source,
            perturbed,
            tensor,
            row,
            reference,
            label,
            found,
        )
