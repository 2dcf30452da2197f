"""What the explorer computes for a state, from the photo to probabilities and heat map, and how far ahead."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import Self

import numpy as np

from kit._arrays import Float32, Pixels
from kit._checking import whole
from kit.classifier.classifier import Classifier
from kit.classifier.engines import finite
from kit.classifier.labels import class_index, label_indices
from kit.classifier.predictions import Predictions
from kit.diagnosis.inside import assumed_preprocessing
from kit.explorer.settings import (
    Settings,
    complete_settings,
    effective_changes,
    neutral,
    perturbation_of,
)
from kit.images.photo import Photo
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing, faults
from kit.robustness.heatmap import Heatmap, class_activation
from kit.robustness.novelty import Novelty, novelty_of

PLACES_VARIABLE = "KIT_EXPLORER_AHEAD"
"""Environment variable with the number of places; a hub sets it to 0."""
DEFAULT_PLACES_AHEAD = 320
REPLY_SECONDS = 0.008
"""Time for one reply to what the page asks for ahead: a hand that moves meanwhile waits no longer."""
AHEAD_BYTES = 50_000_000
"""Upper bound of the pixels that a page keeps of predictions ahead."""


@dataclass(eq=False)
class Entry:
    """A photo, the index of its class where that is known, and its untouched view once there is one."""

    photo: Photo
    label: int | None = None
    added: bool = False
    thumbnail: bytes = b""
    untouched_view: "View | None" = None


@dataclass(frozen=True, eq=False)
class View:
    """Everything one state of the explorer is made of.

    Attributes
    ----------
    bench, settings, perturbation, preprocessing
        Where it was looked at, the complete settings, and what they describe.
    original, source, photo
        The photo as it came, as it is decoded here, and after the perturbation.
    tensor, probabilities
        float32, (1, H, W, C) and (classes,): what the network is fed, and its softmax.
    reference
        The view of the same photo unperturbed and prepared as usual; None where this is that view.
    label
        Index of the class that the photo is known to show, where it is known.
    features
        The last feature map, float32 (1, h, w, channels), where it was asked for and there is one.
    occlusion_so_far
        What `occlusion_rows` has given so far, float32 (rows, columns).
    """

    bench: "Bench"
    settings: Settings
    perturbation: Perturbation
    preprocessing: Preprocessing
    original: Photo
    source: Photo
    photo: Photo
    tensor: Float32
    probabilities: Float32
    reference: "View | None" = None
    label: int | None = None
    features: Float32 | None = None
    occlusion_so_far: Float32 | None = None

    @cached_property
    def effective_changes(self) -> Settings:
        """What is not as it is untouched, without what changes no prediction by itself."""
        return effective_changes(self.settings)

    @property
    def faultless_preprocessing(self) -> Preprocessing:
        """`preprocessing` without the faults that were chosen."""
        return self.bench.faultless_preprocessing(self.settings)

    @cached_property
    def novel(self) -> bool | None:
        """Whether the tensor is unlike those of the training images; None if the classifier cannot tell."""
        novelty = self.bench.novelty
        # Nothing was fitted that can tell, or the network has no feature map that it could look at.
        if novelty is None or self.features is None:
            return None
        return novelty.is_novel(self.features)

    @cached_property
    def top(self) -> int:
        """Index of the most probable class."""
        return int(self.probabilities.argmax())

    @property
    def untouched(self) -> "View":
        """The view of the same photo untouched; this one where it is."""
        return self.reference or self

    @cached_property
    def input_image(self) -> Pixels:
        """The tensor read back as the network expects it: uint8 (H, W, 3)."""
        # As if prepared without the chosen faults, so that what they do to the tensor can be seen.
        return self.faultless_preprocessing.image(self.tensor)

    @property
    def heat_class(self) -> int:
        """Index of the class whose heat map is asked for: -1 stands for the predicted one."""
        chosen_class = self.settings["where"]
        return self.top if chosen_class == -1 else int(chosen_class)

    @cached_property
    def heat(self) -> Heatmap | None:
        """Where that class is seen; None where nobody asked. One by occlusion begins empty."""
        if self.settings["where"] is None:
            return None
        classifier = self.bench.classifier
        class_name = classifier.class_names[self.heat_class]
        method = "class activation"
        cells = class_activation(classifier, self.features, self.heat_class)
        # None without a feature map, or where more than pooling and dense layers follow it.
        if cells is None:
            method = "occlusion"
            # One empty cell, until the first row has been computed.
            cells = np.zeros((1, 1), np.float32)
            if self.occlusion_so_far is not None:
                cells = self.occlusion_so_far
        return Heatmap(class_name, method, cells, self.input_image)

    def with_heat_map(self, picture: Pixels) -> Pixels:
        """Return a picture of the tensor with the heat map over it, where there is one."""
        if not self.heat:
            return picture
        return replace(self.heat, picture=picture).overlay

    @cached_property
    def predicted_class(self) -> int | None:
        """Index of the predicted class; None for none of the classes."""
        return None if self.novel else self.top

    @property
    def prediction(self) -> Predictions:
        """What is predicted, with the label."""
        classifier = self.bench.classifier
        names = classifier.class_names
        return Predictions(
            # Not `self.probabilities`: those come from Keras where the network was still being compiled.
            probabilities=classifier.predict_tensors(self.tensor),
            class_names=names,
            # -1 where there is no label.
            labels=label_indices([self.label], names, images=[self.photo]),
            photos=(self.original.name,),
        )

    @property
    def wrong(self) -> bool:
        """Whether the prediction is known to be wrong."""
        # An image taken for none of the classes is none of its label, too; without a label nothing is wrong.
        return self.predicted_class != self.label and self.label is not None


@dataclass(frozen=True, eq=False)
class Bench:
    """Where images are looked at.

    Attributes
    ----------
    classifier, novelty
        The model, and what tells images of none of its classes; None where nothing does.
    usual_preprocessing, fixed_preprocessing
        The preprocessing where nobody has chosen another, and what the last diagnosis found to be right.
    """

    classifier: Classifier
    usual_preprocessing: Preprocessing
    novelty: Novelty | None = None
    fixed_preprocessing: Preprocessing | None = None

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Take a classifier as it is; where its preprocessing is unknown, one is assumed."""
        # Its own preprocessing, or the commonest one where it has none. The last is None where nothing that
        # tells images of none of its classes was fitted.
        return cls(
            classifier, assumed_preprocessing(classifier), novelty_of(classifier)
        )

    def complete(
        self, settings: Settings, photos: Iterable[str], current: str
    ) -> Settings:
        """Complete settings; TypeError or ValueError for those that there are not, here or anywhere."""
        # `photos` are the names to choose from; `current` is the one where the settings name none.
        completed = complete_settings(settings, photos, current)
        # Without it the usual preprocessing would be used, under settings that say otherwise.
        if completed["fix"] and self.fixed_preprocessing is None:
            raise ValueError(
                "Expected fix as False until a diagnosis has found one, received True"
            )
        # None stands for no heat map, -1 for that of whichever class is predicted.
        if completed["where"] not in (None, -1):
            names = self.classifier.class_names
            completed["where"] = class_index(completed["where"], names)
        return completed

    def faultless_preprocessing(self, settings: Settings) -> Preprocessing:
        """Preprocessing that the settings start from."""
        # Without chosen faults: what a diagnosis found to be right where that fix is on, else the usual one.
        return (
            settings["fix"] and self.fixed_preprocessing
        ) or self.usual_preprocessing

    def preprocessing(self, settings: Settings) -> Preprocessing:
        """Preprocessing that the settings describe, with the chosen faults in the order of the steps."""
        # Without chosen faults: the usual one, or that of a diagnosis where the settings have its fix on.
        preprocessing = self.faultless_preprocessing(settings)
        for step in faults.STEPS:
            if settings[step]:
                preprocessing = faults.CATALOGUE[settings[step]].apply(preprocessing)
        return preprocessing

    def view_beside_untouched(self, entry: Entry, settings: Settings) -> View:
        """Return the view of a photo, compared with its untouched one."""
        if not entry.untouched_view:
            entry.untouched_view = self.compute_view(entry, neutral(settings["photo"]))
        neutral_settings = entry.untouched_view.settings
        if settings == neutral_settings:
            return entry.untouched_view
        # The untouched photo with a heat map is compared with nothing but itself.
        if settings == neutral_settings | {"where": settings["where"]}:
            return self.compute_view(entry, settings)
        return self.compute_view(entry, settings, entry.untouched_view)

    def compute_view(
        self, entry: Entry, settings: Settings, reference: View | None = None
    ) -> View:
        """Take one photo along the whole path: decode, perturb, preprocess, predict."""
        perturbation = perturbation_of(settings)
        preprocessing = self.preprocessing(settings)
        source = entry.photo.decoded(preprocessing.decoding)
        perturbed = perturbation.apply(source)
        tensor = preprocessing.apply(perturbed)
        # The last feature map is an output more, which only novelty and heat maps need. Without it, a heat
        # map is by occlusion, and Keras may predict early, while the network is still being compiled.
        features = None
        if self.novelty is None and settings["where"] is None:
            predicted_rows = self.classifier.predict_tensors(tensor, early=True)
        else:
            predicted_rows, features = self.classifier.inside(tensor)
        # A ValueError for NaN or infinite numbers, which no bar can show.
        [probabilities] = finite(predicted_rows, self.classifier.name)
        return View(
            bench=self,
            settings=settings,
            perturbation=perturbation,
            preprocessing=preprocessing,
            original=entry.photo,
            source=source,
            photo=perturbed,
            tensor=tensor,
            probabilities=probabilities,
            reference=reference,
            label=entry.label,
            features=features,
        )


def places_ahead(places: int | None) -> int:
    """Return at how many places of a slider views are computed ahead; None takes those of the environment.

    TypeError or ValueError for no whole number of 0 to 10,000, from here or from there.
    """
    if places is not None:
        return whole("ahead", places, 0, 10_000)
    text = os.environ.get(PLACES_VARIABLE, str(DEFAULT_PLACES_AHEAD)).strip()
    # Any other text is left as it is: `whole` refuses it, and its message shows it.
    return whole(PLACES_VARIABLE, int(text) if text.isdecimal() else text, 0, 10_000)


def cores_are_busy() -> bool:
    """Whether more than two processes wanted each core of the machine in the last minute."""
    # The load of the last minute, in processes: up to two for each core are a page that paints and its
    # kernel. Windows does not tell, so there the cores never count as busy.
    core_count = os.cpu_count() or 1
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > 2 * core_count


def computed_in_time(views: Iterable[View]) -> Iterator[View]:
    """Compute as many views as the time allows, one at least."""
    # `views` computes each view as it is asked for; the first one always comes, however long it takes.
    deadline = perf_counter() + REPLY_SECONDS
    for view in views:
        yield view
        if perf_counter() > deadline:
            return
