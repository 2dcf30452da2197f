"""Whether a picture is like the training pictures at all: a classifier that can answer "none of these"."""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kit._arrays import Bools, Float32, Float64
from kit._checking import known, number
from kit.classifier import Classifier
from kit.classifier.archive.arrays import arrays_in
from kit.classifier.runtime.equivalence import OPEN_SIDE
from kit.images import Pictures, as_photos
from kit.robustness.reference.gaussian import Gaussian
from kit.robustness.reference.novelty_scores import METHODS, Instruments, combined

FALSE_POSITIVES = 0.05
"""Share of ordinary pictures that is taken for novel, unless another is asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class Novelty:
    """Scores of held-back pictures, which say what is ordinary for a classifier, and how to score others.

    Attributes
    ----------
    classifier
        Whose network and preprocessing are used.
    held_back
        Name of a score to float32 (pictures,): its values on pictures that the network was not trained on, in
        ascending order.
    features
        Where the training pictures lie; None where the network or the number of pictures does not allow it.
    false_positive_rate
        Share of ordinary pictures that is taken for novel, above 0 and below 1.
    """

    classifier: Classifier
    held_back: Mapping[str, Float32]
    features: Gaussian | None = None
    false_positive_rate: float = FALSE_POSITIVES

    @property
    def method(self) -> str:
        """The score that decides: the first of `METHODS` that there is."""
        return next(name for name in METHODS if name in self.held_back)

    @property
    def thresholds(self) -> dict[str, float]:
        """For each score the value above which a picture is novel.

        The smallest held-back value such that a further ordinary picture lies above it with at most the
        `false_positive_rate` (as in split conformal prediction: the ⌈(n + 1)(1 - rate)⌉-th smallest);
        infinite where the held-back pictures are too few for so small a rate.
        """
        return dict(self._limits)

    def measure(self, tensors: Float32) -> dict[str, Float64]:
        """Score tensors that are prepared already.

        Parameters
        ----------
        tensors
            float32 (N, H, W, C). Not changed.

        Returns
        -------
        dict
            Name of each score to float64 (N,), higher for what is stranger.
        """
        found = self._instruments.scores(tensors, self._distributions)
        scores = {name: found[name] for name in found if name in self.held_back}
        if "combined" in self.held_back:
            scores["combined"] = combined(scores, self.held_back)
        return scores

    def scores(self, photos: Pictures) -> dict[str, Float64]:
        """Score photos, prepared by the classifier's own preprocessing.

        Parameters
        ----------
        photos
            A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.

        Returns
        -------
        dict
            Name of each score to float64 (N,), higher for what is stranger.

        Raises
        ------
        ValueError
            No preprocessing is known, or it gives tensors that do not fit the network.
        """
        parts = [self.measure(part) for part in self._instruments.tensors(as_photos(photos))]
        return {
            name: np.concatenate([np.empty(0), *(part[name] for part in parts)]) for name in self.held_back
        }

    def is_novel(self, photos: Pictures, method: str | None = None) -> Bools:
        """Tell which photos are none of the classes: bool (N,), True above the threshold.

        Parameters
        ----------
        photos
            A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.
        method
            One of the scores that there are; `method` of this object by default.

        Raises
        ------
        TypeError, ValueError
            Another score, or photos that cannot be prepared.
        """
        name = self._chosen(method)
        return np.asarray(self.scores(photos)[name] > self.thresholds[name])

    def is_shifted(self, photos: Pictures) -> Bools:
        """Tell which photos show one of the classes in a light or texture unlike that of training: bool (N,).

        True where ``"features"``, the distance in all stages, lies above its threshold and the score of
        `is_novel` does not: covariate as opposed to semantic shift (Yang et al. 2021, arXiv 2110.11334). Of
        ordinary pictures at most the `false_positive_rate` are.

        Parameters
        ----------
        photos
            A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.

        Raises
        ------
        ValueError
            There is no ``"last_stage"`` to tell the two apart by, or photos that cannot be prepared.
        """
        self._chosen("last_stage")
        scores = self.scores(photos)
        above = {name: scores[name] > self._limits[name] for name in ("features", self.method)}
        return np.asarray(above["features"] & ~above[self.method])

    def is_novel_tensor(self, tensor: Float32) -> bool:
        """Tell for one prepared tensor, float32 (1, H, W, C), what `is_novel` tells for a photo."""
        return bool(self.measure(tensor)[self.method][0] > self._limits[self.method])

    def chances(self, scores: npt.ArrayLike, method: str | None = None) -> Float64:
        """Return how probable it is that an ordinary picture scores so high or higher.

        Parameters
        ----------
        scores
            Shape (N,): values of one score.
        method
            Which score; `method` of this object by default.

        Returns
        -------
        float64, shape (N,)
            (1 + held-back pictures as high or higher) / (1 + held-back pictures): above 0, up to 1.
        """
        held = self.held_back[self._chosen(method)]
        values = np.asarray(scores, np.float32)
        lower = np.searchsorted(held, values, side="left")
        return np.asarray((1 + len(held) - lower) / (1 + len(held)), np.float64)

    def attached(self) -> Classifier:
        """Return the classifier carrying this, so that `Classifier.save` keeps it; nothing is copied."""
        return self.classifier.with_reference(self.classifier.reference.with_novelty(self.to_bytes()))

    def to_bytes(self) -> bytes:
        """Return everything but the classifier as an ``.npz`` file."""
        arrays: dict[str, Any] = {"false_positive_rate": np.array(self.false_positive_rate)}
        arrays |= {f"held_back_{name}": values for name, values in self.held_back.items()}
        if self.features is not None:
            arrays |= self.features.packed()
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, classifier: Classifier) -> Self:
        """Return the value that `to_bytes` wrote.

        Raises
        ------
        ValueError
            Anything else, or what was fitted for another network.
        """
        try:
            arrays = arrays_in(data)
            held_back = {
                name: np.sort(np.asarray(arrays[f"held_back_{name}"], np.float32).reshape(-1))
                for name in METHODS
                if f"held_back_{name}" in arrays
            }
            features = Gaussian.unpacked(arrays["whitening"], arrays["means"]) if "means" in arrays else None
            if not held_back or ("features" in held_back) != (features is not None):
                raise KeyError("scores")  # noqa: TRY301 (one line tells of everything that is wrong)
            rate = checked_rate(float(arrays["false_positive_rate"]))
            restored = cls(classifier, held_back, features, rate)
            shape = (side or OPEN_SIDE for side in classifier.input_shape)
            restored.measure(np.zeros((1, *shape), np.float32))
        except (OSError, ValueError, KeyError, TypeError, EOFError, IndexError, zipfile.BadZipFile) as error:
            raise ValueError(
                "Expected a novelty as kit.fit_novelty makes it for this network, received other bytes"
                f" ({str(error).splitlines()[0] if str(error) else type(error).__name__}); fit it anew"
            ) from error
        return restored

    def __repr__(self) -> str:
        count = len(self.held_back[self.method])
        names = ", ".join(name for name in METHODS if name in self.held_back)
        rate = f"{self.false_positive_rate:.3g}"
        return (
            f"Novelty({self.classifier.name!r}, {names}; {count} held-back pictures, {rate} false positives)"
        )

    @cached_property
    def _limits(self) -> dict[str, float]:
        limits = {}
        for name, held in self.held_back.items():
            # Rounded, since (1 - 0.44) * 25 is a little above 14 in binary.
            rank = int(np.ceil(round((len(held) + 1) * (1 - self.false_positive_rate), 9)))
            limits[name] = float(held[rank - 1]) if rank <= len(held) else float("inf")
        return limits

    @cached_property
    def _distributions(self) -> dict[str, Gaussian]:
        return self._instruments.distributions(self.features)

    @cached_property
    def _instruments(self) -> Instruments:
        return Instruments(self.classifier)

    def _chosen(self, method: str | None) -> str:
        return self.method if method is None else known("score", method, tuple(self.held_back))


def checked_rate(value: float) -> float:
    """Return a share above 0 and below 1 as a float, else raise a TypeError or a ValueError."""
    if not 0 < number("the false-positive rate", value) < 1:
        raise ValueError(f"Expected a false-positive rate above 0 and below 1, received {value:g}")
    return float(value)
