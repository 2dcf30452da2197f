"""Reference: all that is known of the pictures that a classifier was trained on, and that its file carries.

Its members stay apart in the file: the first layers are read where a picture is diagnosed, the properties
where folders are compared, the novelty with every prediction, each without the others. Golden pictures with
their answers travel beside them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from kit._arrays import Float32
from kit.classifier import archive
from kit.classifier.activations.first_layers import FirstLayers
from kit.classifier.bundle.input_statistics import InputStatistics
from kit.classifier.network import Network
from kit.classifier.runtime.shapes import Shape
from kit.images import Photo


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
        data = self.measured.get(archive.FIRST_LAYERS)
        return self.network.first_layers(self.shape) if data is None else FirstLayers.from_bytes(data)

    @cached_property
    def properties(self) -> InputStatistics | None:
        """Properties of the pictures themselves, for `kit.shift`; None where none were measured.

        Raises
        ------
        ValueError
            They were written by another version of the kit.
        """
        data = self._member(archive.PROPERTIES)
        return None if data is None else InputStatistics.from_bytes(data)

    @property
    def novelty(self) -> bytes | None:
        """What `kit.fit_novelty` learned, as `kit.Novelty.to_bytes` writes it; None where it was not."""
        return self._member(archive.NOVELTY)

    @property
    def golden(self) -> bytes | None:
        """Pictures and their answers, as `kit.classifier.bundle.golden` writes them; None without any."""
        return self._member(archive.GOLDEN)

    def with_golden(self, data: bytes) -> Self:
        """Return the same with other pictures and answers."""
        return self._with({archive.GOLDEN: data})

    def with_novelty(self, data: bytes) -> Self:
        """Return the same with what `kit.Novelty.to_bytes` wrote."""
        return self._with({archive.NOVELTY: data})

    def with_first_layers(self, first_layers: FirstLayers) -> Self:
        """Return the same with other statistics of training pictures in the first layers."""
        return self._with({archive.FIRST_LAYERS: first_layers.to_bytes()})

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
            found[archive.FIRST_LAYERS] = layers.with_profile(tensors).to_bytes()
        return self._with({**found, archive.PROPERTIES: InputStatistics.of(photos).to_bytes()})

    def moved(self, network: Network, shape: Shape) -> Self:
        """Return this for tensors of a size; without what belongs to another size or to other weights."""
        trained = network is not self.network and network.source is None
        if shape == self.shape and not trained:
            return self
        stale = {archive.FIRST_LAYERS, *([archive.GOLDEN] if trained else [])}
        kept = {name: data for name, data in self.measured.items() if name not in stale}
        return type(self)(network, shape, kept)

    def members(self) -> dict[str, bytes]:
        """Return everything as the members of a file, by name."""
        found = {name: self._member(name) for name in (archive.PROPERTIES, archive.NOVELTY, archive.GOLDEN)}
        found[archive.FIRST_LAYERS] = None if self.first_layers is None else self.first_layers.to_bytes()
        return {name: data for name, data in found.items() if data is not None}

    def __repr__(self) -> str:
        names = (archive.FIRST_LAYERS, archive.PROPERTIES, archive.NOVELTY, archive.GOLDEN)
        known = [name for name in names if self._member(name) is not None]
        return f"Reference({', '.join(known) or 'nothing in the file'})"

    def _with(self, measured: Mapping[str, bytes]) -> Self:
        return replace(self, measured={**self.measured, **measured})

    def _member(self, name: str) -> bytes | None:
        source = self.network.source
        kept = self.measured.get(name)
        return kept if kept is not None or source is None else source.member(name)
