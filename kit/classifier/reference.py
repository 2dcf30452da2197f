"""What a classifier file knows of its training images, and how images are measured for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from typing import Any, Self

import numpy as np

from kit._arrays import Array, Arrays, Float32, Float64, Int64
from kit.classifier.engines import Shape, cores
from kit.classifier.first_layers import FirstLayers
from kit.classifier.neighbours import Neighbours
from kit.classifier.network import Network
from kit.classifier.store import FIRST_LAYERS, MOST_BYTES, Parts
from kit.images.photo import Photo
from kit.images.properties import Sample
from kit.perturbation.alterations import Alteration
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES, measures

MOST_MEASURED = 256
"""Images whose measures are kept; of more, as many at random."""

TRIED = (16, 64)
"""Images, large and small ones, on which the response to each alteration is measured."""

_PIXELS = 1 << 20


@dataclass(frozen=True, eq=False, repr=False)
class InputStatistics:
    """Measures of some images, and how they respond to alterations.

    Attributes
    ----------
    rows
        float64 (images, quantities): measures in the order of `QUANTITIES`; NaN where there was nothing to
        measure, or the file has no such quantity. `MOST_MEASURED` images at most.
    response
        float64 (alterations, strengths, quantities): what `responses` gives for some of the images.
    answers
        int64 (images,): the class predicted for each; None where that is not known.
    """

    rows: Float64
    response: Float64
    answers: Int64 | None = None

    @classmethod
    def of(
        cls, photos: Sequence[Photo], predict: Callable[[Photo], int] | None = None
    ) -> Self:
        """Measure images, `MOST_MEASURED` of them at most."""
        order = np.random.default_rng(0).permutation(len(photos))[:MOST_MEASURED]
        sample = [photos[index] for index in order]
        answers = None
        if predict is not None:
            answers = np.array([predict(photo) for photo in sample])
        return cls(measured_rows(sample), measured_responses(sample), answers)

    def arrays(self) -> Arrays:
        """Return this value as arrays, with the names of its columns and the strengths of alterations."""
        names = "\n".join([", ".join(QUANTITIES), ", ".join(ALTERATIONS)])
        strengths = [alteration.strengths for alteration in ALTERATIONS.values()]
        arrays: Arrays = {
            "rows": self.rows,
            "response": self.response,
            "strengths": np.array(strengths, np.float64).reshape(-1),
            # A file carries nothing but numbers.
            "names": np.frombuffer(names.encode(), np.uint8),
        }
        if self.answers is not None:
            arrays["answers"] = self.answers
        return arrays

    @classmethod
    def of_arrays(cls, arrays: Arrays) -> Self:
        """Return the value that `arrays` gave, NaN for what they lack; ValueError for anything else."""
        with suppress(KeyError, TypeError, ValueError):
            names = arrays["names"].tobytes().decode()
            quantities, alterations = (line.split(", ") for line in names.splitlines())
            strengths = arrays["strengths"].reshape(-1, 3).tolist()
            rows = _selected(arrays["rows"], quantities, QUANTITIES)
            response = _selected(arrays["response"], quantities, QUANTITIES)
            # A response to other strengths says nothing.
            measured = zip(alterations, map(tuple, strengths), strict=True)
            wanted = [(name, item.strengths) for name, item in ALTERATIONS.items()]
            response = _selected(response.T, measured, wanted).T
            answers = arrays.get("answers")
            fits = response.shape[1:] == (3, len(QUANTITIES)) and rows.ndim == 2
            if fits and (answers is None or answers.shape == rows.shape[:1]):
                return cls(rows, response, answers)
        raise ValueError(
            "Expected input statistics of this version; save again with training="
        )


def measured_responses(photos: Sequence[Photo]) -> Float64:
    """Measure how the first `TRIED` images respond to alterations; see `responses`."""
    middles = [middle(photo) for photo in photos[: TRIED[1]]]
    pixels = np.cumsum([photo.pixels[..., 0].size for photo in middles])
    return responses(middles[: max(TRIED[0], int((pixels <= _PIXELS).sum()))])


def _selected(table: Array, names: Iterable[Any], wanted: Iterable[Any]) -> Float64:
    """Return the columns of these names, along the last axis; NaN for those that are not there."""
    columns = dict(zip(names, np.moveaxis(table, -1, 0), strict=True))
    unknown = np.full(table.shape[:-1], np.nan)
    return np.stack([columns.get(name, unknown) for name in wanted], axis=-1)


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known of the training images of a network; part of its file.

    ``shape`` is (H, W, C) of its tensors, with None for a side that photos decide; ``contents`` are arrays by
    part and name.
    """

    network: Network
    shape: Shape
    contents: Parts = field(default_factory=dict)

    @cached_property
    def first_layers(self) -> FirstLayers | None:
        """What the first layers receive, and received in training; None where nothing can be read."""
        layers = self.network.compiled.first_layers
        with suppress(KeyError, TypeError, ValueError):
            layers = FirstLayers.of(self.arrays(FIRST_LAYERS))
        profile = self.arrays("profile")
        if layers is None or not {"moments", "features", "shape"} <= profile.keys():
            return layers
        moments = profile["moments"]
        features = profile["features"]
        same_shape = profile["shape"].tolist() == self._sides
        columns = 2 * sum(layers.widths)
        if not same_shape or moments.shape != (len(features), columns):
            return layers
        return replace(layers, profile=moments, features=features)

    @property
    def _sides(self) -> list[int]:
        return [side or 0 for side in self.shape]

    @cached_property
    def properties(self) -> InputStatistics | None:
        """Properties of the images themselves, for `kit.shift`; None where none were measured.

        ValueError where another version of the kit wrote them.
        """
        arrays = self.arrays("properties")
        return InputStatistics.of_arrays(arrays) if arrays else None

    @cached_property
    def neighbours(self) -> Neighbours:
        """What is kept of training images; ValueError where nothing is, or it belongs to another network."""
        try:
            channels = self.network.engine_and_dense_layers[0].channels or 0
            classes = self.network.compiled.class_count
            return Neighbours(self.arrays("novelty"), channels, classes)
        except (KeyError, TypeError, ValueError) as error:
            text = "Expected a classifier that knows its training images; use with_reference(photos)"
            raise ValueError(text) from error

    def arrays(self, part: str) -> Arrays:
        """Return the arrays of one part, by name, as `with_arrays` took them; empty where there are none."""
        return self.contents.get(part, {})

    def with_arrays(self, part: str, arrays: Mapping[str, Any]) -> Self:
        """Return the same with a part's arrays, by name, for `Classifier.save`; ValueError above 128 MB."""
        new = {name: np.asarray(array) for name, array in arrays.items()}
        total = sum(array.nbytes for array in new.values())
        if total > MOST_BYTES:
            raise ValueError(
                f"Expected at most {MOST_BYTES} bytes for {part!r}, received {total}"
            )
        return replace(self, contents=self.contents | {part: new})

    def with_pictures(
        self, photos: Sequence[Photo], prepare: Callable[[Photo], Float32]
    ) -> Self:
        """Return the same with properties of training images, and with their profile in the first layers.

        ``prepare`` makes the tensor of a photo, float32 (1, H, W, C), as in training.
        """
        if not photos:
            return self

        def predicted(photo: Photo) -> int:
            return int(self.network.predict(prepare(photo)).argmax())

        statistics = InputStatistics.of(photos, predicted)
        reference = self.with_arrays("properties", statistics.arrays())
        if self.first_layers is None:
            return reference
        # From all over the folder, in its order: neighbours may be copies, see `Profile.of`.
        sample = photos[:: ceil(len(photos) / MOST_MEASURED)]
        tensors = np.concatenate([prepare(photo) for photo in sample])
        layers = self.first_layers.with_profile(tensors)
        profile = {
            "moments": layers.profile,
            "features": layers.features,
            "shape": self._sides,
        }
        return reference.with_arrays("profile", profile)

    def for_network(self, network: Network, shape: Shape) -> Self:
        """Return this for tensors of a size, and without what belongs to other weights."""
        if network is self.network:
            return self if shape == self.shape else replace(self, shape=shape)
        properties = dict(self.arrays("properties"))
        properties.pop("answers", None)
        return type(self)(network, shape).with_arrays("properties", properties)

    def __repr__(self) -> str:
        parts = sorted(filter(self.arrays, self.contents))
        return f"Reference({', '.join(parts) or 'nothing of the training images'})"


def measured_rows(photos: Iterable[Photo]) -> Float64:
    """Measure images: float64 (images, quantities)."""
    rows = [measures(photo, QUANTITIES.values()) for photo in photos]
    return np.array(rows, np.float64).reshape(-1, len(QUANTITIES))


def scaled_rows(rows: Float64) -> Float64:
    """Return measures, (images, quantities), on the scale on which differences count."""
    columns = zip(QUANTITIES.values(), rows.T, strict=True)
    return np.stack([quantity.scaled(column) for quantity, column in columns], axis=1)


def mean_known(table: Float64) -> Float64:
    """Return the mean of each column over what is known; NaN for a column of which nothing is."""
    # Not nanmean, which warns of a column of which nothing is known.
    mean: Float64 = np.ma.masked_invalid(table).mean(axis=0).filled(np.nan)
    return mean


def responses(photos: Sequence[Photo]) -> Float64:
    """Measure how far each alteration moves each quantity on some images, on average.

    Returns float64 (alterations, strengths, quantities) on the scale of `Condition.scaled`; NaN where a
    quantity is not measured.
    """
    before = scaled_rows(measured_rows(photos))

    def movement(alteration: Alteration, strength: float) -> Float64:
        altered = (alteration.apply(photo, strength) for photo in photos)
        return mean_known(scaled_rows(measured_rows(altered)) - before)

    each_strength = (
        (alteration, strength)
        for alteration in ALTERATIONS.values()
        for strength in alteration.strengths
    )
    # Images are measured outside of Python's lock. After an interrupt, no further one begins.
    with ThreadPoolExecutor(cores()) as pool:
        movements = [*pool.map(movement, *zip(*each_strength, strict=True))]
    return np.stack(movements).reshape(len(ALTERATIONS), -1, len(QUANTITIES))


def middle(photo: Photo, side: int = 256) -> Photo:
    """Return the middle of a photo, `side` pixels at most in height and width; itself where it is smaller."""
    pixels = Sample(photo, side).middle
    return photo if pixels.shape == photo.pixels.shape else photo.altered(pixels)
