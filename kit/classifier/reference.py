"""What a classifier file knows of its training images."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from kit._arrays import Float32, Float64
from kit._checking import whole
from kit._reporting import plain
from kit.classifier import store
from kit.classifier.engines import Shape
from kit.classifier.first_layers import FirstLayers
from kit.classifier.network import Network
from kit.images import Photo
from kit.images.properties import QUANTITIES, measure
from kit.perturbation.alterations import ALTERATIONS, middle, responses

KEPT = 256
"""Pictures whose measures are kept; of more, as many at random."""

TRIED = (16, 64)
"""Pictures, large and small ones, on which the response to each alteration is measured."""

_TRIED_PIXELS = 1 << 20

_FORMAT = 1
_DIGITS = 4
_SEED = 0


@dataclass(frozen=True, eq=False, repr=False)
class InputStatistics:
    """Measures of some pictures, and how they respond to alterations.

    Attributes
    ----------
    rows
        float64 (pictures, quantities): measures in the order of `QUANTITIES`; NaN
        where there was nothing to measure. `KEPT` pictures at most. Read-only.
    response
        float64 (alterations, strengths, quantities): what `responses` gives for some of the
        pictures. Read-only.
    count
        Pictures that there were.
    """

    rows: Float64
    response: Float64
    count: int

    def __post_init__(self) -> None:
        for name in ("rows", "response"):
            array = np.array(getattr(self, name), np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of(cls, photos: Sequence[Photo]) -> Self:
        """Measure pictures, `KEPT` of them at most.

        Raises
        ------
        ValueError
            No pictures.
        """
        if not photos:
            raise ValueError("Expected at least one picture, received none")
        order = np.random.default_rng(_SEED).permutation(len(photos))[:KEPT]
        chosen = [photos[place] for place in order]
        return cls(measured_rows(chosen), measured_responses(chosen), len(photos))

    def to_bytes(self) -> bytes:
        """Return this value as JSON in UTF-8; about 70 bytes for each picture."""
        content = plain(_layout() | {"count": self.count, "rows": self.rows, "response": self.response})
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the value that `to_bytes` wrote.

        Raises
        ------
        ValueError
            Anything else, and what was written with other quantities or alterations than there are here.
        """
        try:
            content = json.loads(data)
            for key, expected in _layout().items():
                _check(key, content[key] == expected)
            rows = np.array(content["rows"], np.float64).reshape(-1, len(QUANTITIES))
            shape = (len(ALTERATIONS), -1, len(QUANTITIES))
            return cls(
                rows,
                np.array(content["response"], np.float64).reshape(shape),
                whole("count", content["count"], 0, 1 << 53),
            )
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise ValueError(
                f"Expected input statistics of this version of the kit, received other bytes ({error});"
                " save the classifier anew with training="
            ) from error

    def __repr__(self) -> str:
        return f"InputStatistics({len(self.rows)} of {self.count} pictures, {len(QUANTITIES)} quantities)"


def measured_rows(photos: Sequence[Photo]) -> Float64:
    """Measure pictures: float64 (pictures, quantities), rounded as `InputStatistics` keeps them."""
    return _rounded([tuple(measure(photo).values()) for photo in photos]).reshape(-1, len(QUANTITIES))


def measured_responses(photos: Sequence[Photo]) -> Float64:
    """Measure how the first `TRIED` pictures respond to alterations, as `InputStatistics` keeps it."""
    middles = [middle(photo) for photo in photos[: TRIED[1]]]
    pixels = np.cumsum([photo.pixels[..., 0].size for photo in middles])
    return _rounded(responses(middles[: max(TRIED[0], int((pixels <= _TRIED_PIXELS).sum()))]))


def _rounded(values: Any) -> Float64:
    """Round to `_DIGITS` significant digits, as they are kept, so that a file changes nothing."""
    table = np.asarray(values, np.float64)
    flat = [float(f"{value:.{_DIGITS}g}") for value in table.reshape(-1)]
    return np.array(flat).reshape(table.shape)


def _layout() -> dict[str, Any]:
    """Return what the columns stand for, so that a file from another version is not misread."""
    strengths = {name: list(item.strengths) for name, item in ALTERATIONS.items()}
    return {"format": _FORMAT, "quantities": list(QUANTITIES), "alterations": strengths}


def _check(key: str, same: bool) -> None:
    if not same:
        raise ValueError(f"other {key}")


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    """What is known of the training pictures of a network; each part is read when it is first asked for.

    Attributes
    ----------
    network
        The network.
    shape
        (H, W, C) of its tensors; ``None`` for a side that photos decide.
    measured
        Members of the file, by name, that were measured since it was opened and take the place of its own.
    """

    network: Network
    shape: Shape
    measured: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def first_layers(self) -> FirstLayers | None:
        """What the first layers receive, and received in training; None where nothing can be read.

        `Classifier.save` writes them into the file. For another file they are made at the first use, which
        imports TensorFlow, and kept in the user's cache folder.
        """
        data = self.measured.get(store.FIRST_LAYERS)
        return self.network.first_layers(self.shape) if data is None else FirstLayers.from_bytes(data)

    @cached_property
    def properties(self) -> InputStatistics | None:
        """Properties of the pictures themselves, for `kit.shift`; None where none were measured.

        Raises
        ------
        ValueError
            They were written by another version of the kit.
        """
        data = self._member(store.PROPERTIES)
        return None if data is None else InputStatistics.from_bytes(data)

    @property
    def novelty(self) -> bytes | None:
        """What `kit.fit_novelty` learned, as `kit.Novelty.to_bytes` writes it; None where it was not."""
        return self._member(store.NOVELTY)

    @property
    def golden(self) -> bytes | None:
        """Pictures and their answers, as `kit.classifier.golden` writes them; None without any."""
        return self._member(store.GOLDEN)

    def with_golden(self, data: bytes) -> Self:
        """Return the same with other pictures and answers."""
        return self._with({store.GOLDEN: data})

    def with_novelty(self, data: bytes) -> Self:
        """Return the same with what `kit.Novelty.to_bytes` wrote."""
        return self._with({store.NOVELTY: data})

    def with_first_layers(self, first_layers: FirstLayers) -> Self:
        """Return the same with other statistics of training pictures in the first layers."""
        return self._with({store.FIRST_LAYERS: first_layers.to_bytes()})

    def with_pictures(self, photos: Sequence[Photo], prepare: Callable[[Photo], Float32]) -> Self:
        """Return the same with properties of training pictures, and with their profile in the first layers.

        Parameters
        ----------
        photos
            Without any, nothing changes.
        prepare
            Makes the tensor of a photo, float32 (1, H, W, C), as in training.
        """
        if not photos:
            return self
        found, layers = {}, self.first_layers
        if layers is not None:
            tensors = np.concatenate([prepare(photo) for photo in photos])
            found[store.FIRST_LAYERS] = layers.with_profile(tensors).to_bytes()
        return self._with({**found, store.PROPERTIES: InputStatistics.of(photos).to_bytes()})

    def moved(self, network: Network, shape: Shape) -> Self:
        """Return this for tensors of a size; without what belongs to another size or to other weights."""
        trained = network is not self.network and network.source is None
        if shape == self.shape and not trained:
            return self
        stale = {store.FIRST_LAYERS, *([store.GOLDEN] if trained else [])}
        kept = {name: data for name, data in self.measured.items() if name not in stale}
        return type(self)(network, shape, kept)

    def members(self) -> dict[str, bytes]:
        """Return everything as the members of a file, by name."""
        found = {name: self._member(name) for name in (store.PROPERTIES, store.NOVELTY, store.GOLDEN)}
        found[store.FIRST_LAYERS] = None if self.first_layers is None else self.first_layers.to_bytes()
        return {name: data for name, data in found.items() if data is not None}

    def __repr__(self) -> str:
        names = (store.FIRST_LAYERS, store.PROPERTIES, store.NOVELTY, store.GOLDEN)
        known = [name for name in names if self._member(name) is not None]
        return f"Reference({', '.join(known) or 'nothing in the file'})"

    def _with(self, measured: Mapping[str, bytes]) -> Self:
        return replace(self, measured={**self.measured, **measured})

    def _member(self, name: str) -> bytes | None:
        source = self.network.source
        kept = self.measured.get(name)
        return kept if kept is not None or source is None else source.member(name)
