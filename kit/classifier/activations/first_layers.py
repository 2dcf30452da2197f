"""What the first layers of a network receive, channel by channel, compiled for LiteRT.

A batch-normalized network carries free statistics of its training pictures: the moving mean and variance of
each BatchNorm layer's input. The same is measured on new tensors here. The part of the network up to the last
such layer is compiled beside the network itself, so that no TensorFlow is needed later.
"""

import io
import zipfile
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from kit._arrays import Float32, Float64
from kit.classifier.activations.tensor_features import tensor_features
from kit.classifier.archive.arrays import arrays_in
from kit.classifier.runtime.engine import LiteEngine
from kit.classifier.runtime.shapes import Shape

_OPTIONAL = ("means", "variances", "profile", "features")


@dataclass(frozen=True, eq=False, repr=False)
class FirstLayers:
    """Compiled statistics of the first layers, with what training left there.

    Attributes
    ----------
    compiled
        LiteRT: from tensors (N, H, W, C) to (N, 2 * sum(widths)): for each layer the mean of every channel
        over the picture, then the mean of its squares.
    widths
        Channels of each layer.
    means, variances
        float64 (sum(widths),): the moving averages of BatchNorm layers; None in a network without them.
    epsilon
        Added to a variance before it counts, as in the BatchNorm layers.
    profile
        float64 (pictures, 2 * sum(widths)): what `measure` gives for some training pictures; None if none
        were given.
    features
        float64 (pictures, K): what `tensor_features` gives for the same; None in files of
        an earlier version.
    """

    compiled: bytes
    widths: tuple[int, ...]
    means: Float64 | None = None
    variances: Float64 | None = None
    epsilon: float = 1e-3
    profile: Float64 | None = None
    features: Float64 | None = None

    @property
    def source(self) -> str:
        """Where statistics of the training pictures come from: "batchnorm", "profile" or ""."""
        return "batchnorm" if self.means is not None else "profile" if self.profile is not None else ""

    @property
    def input_shape(self) -> Shape:
        """(H, W, C) of the tensors that `compiled` takes."""
        return self._engine.input_shape

    @cached_property
    def _engine(self) -> LiteEngine:
        return LiteEngine(self.compiled)

    def measure(self, tensors: Float32) -> Float64:
        """Run the first layers on tensors.

        Parameters
        ----------
        tensors
            float32 (N, H, W, C), prepared for the network. Not changed.

        Returns
        -------
        float64, shape (N, 2 * sum(widths))
            One row for each picture, as `compiled` gives it.
        """
        return self._engine.predict(tensors).astype(np.float64)

    def with_profile(self, tensors: Float32) -> Self:
        """Return the same with the statistics of training pictures.

        Parameters
        ----------
        tensors
            float32 (N, H, W, C), prepared as in training.
        """
        return replace(self, profile=self.measure(tensors), features=tensor_features(tensors))

    def to_bytes(self) -> bytes:
        """Return this value as an ``.npz`` file."""
        optional = {name: value for name in _OPTIONAL if (value := getattr(self, name)) is not None}
        compiled, buffer = np.frombuffer(self.compiled, np.uint8), io.BytesIO()
        np.savez(buffer, compiled=compiled, widths=self.widths, epsilon=self.epsilon, **optional)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the value that `to_bytes` wrote.

        Raises
        ------
        ValueError
            For anything else.
        """
        try:
            arrays = arrays_in(data)
            # Earlier versions wrote more, which nothing needed.
            optional = {name: arrays[name] for name in _OPTIONAL if name in arrays}
            widths = tuple(arrays["widths"].tolist())
            kinds = {each.dtype.kind for each in optional.values()} | {arrays["epsilon"].dtype.kind}
            spread = np.append(optional.get("variances", ()), arrays["epsilon"])
            if kinds != {"f"} or not (np.isfinite(spread).all() and (spread >= 0).all()):
                raise ValueError("no statistics")  # noqa: TRY301 (told as any other damage)
            return cls(arrays["compiled"].tobytes(), widths, epsilon=float(arrays["epsilon"]), **optional)
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"Expected first layers as FirstLayers.to_bytes writes them, received other bytes ({error});"
                " save anew"
            ) from error

    def __repr__(self) -> str:
        return f"FirstLayers(widths={self.widths}, source={self.source!r})"
