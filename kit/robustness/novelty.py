"""How far an image is from the training images."""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kit._arrays import Array, Bools, Float32, Float64
from kit._checking import known, number
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first
from kit.classifier.conversion import OPEN_SIDE
from kit.classifier.engines import LiteEngine, probabilities
from kit.classifier.intermediate import IntermediateOutputs, reveal
from kit.classifier.statistics import arrays_in
from kit.images import Photo, Pictures, as_photos
from kit.robustness.profile import Gaussian, distances

METHODS = ("combined", "last_stage", "features", "energy", "batchnorm", "probability")
"""Names of the scores; the first of these that a network allows decides. This order was chosen without any of
the pictures that the method is judged by: ``tests/benchmarks/novelty.py`` says how."""
FEWEST = 20
"""Training pictures that a distance needs at least."""

_PART = 32
_TINY = np.finfo(np.float64).tiny


def energy(logits: Float64) -> Float64:
    """Return minus the logarithm of the sum of exponentials of each row: float64 (N, classes) to (N,)."""
    return np.asarray(-np.logaddexp.reduce(logits, axis=1))


def statistics(found: IntermediateOutputs) -> Float64:
    """Return the means and standard deviations of all stages as float64 (N, 2 * sum(widths)).

    Square roots of them, with their sign: averages of rectified channels are then nearer to normal.
    """
    values = np.concatenate([found.means, found.deviations], axis=1).astype(np.float64)
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def combined(scores: Mapping[str, Float64], held_back: Mapping[str, Array]) -> Float64:
    """Return the combined score (N,) from the others, standardized by those of held-back pictures."""

    def standard(name: str, change: Callable[[Float64], Float64]) -> Float64:
        reference = change(held_back[name].astype(np.float64))
        return np.asarray((change(scores[name]) - reference.mean()) / (reference.std() + _TINY))

    first = standard("energy", lambda values: values)
    second = standard(
        "last_stage" if "last_stage" in held_back else "features", lambda values: np.log(values + _TINY)
    )
    return np.asarray(np.logaddexp(first, second))


class Instruments:
    """What a classifier's pictures are measured with: its network with more outputs, and its first layers."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        engine, compiled = classifier.engine, classifier.compiled
        lite = engine if isinstance(engine, LiteEngine) else None
        self.intermediate = None if compiled is None or lite is None else reveal(compiled)
        if self.intermediate is not None and lite is not None:
            self._engine = LiteEngine(self.intermediate.compiled, threads=lite.threads)
        first_layers = classifier.first_layers
        self._first_layers = first_layers if first_layers is not None and first_layers.source else None

    def tensors(
        self, photos: Sequence[Photo], told: str = "", progress: Progress = False
    ) -> Iterator[Float32]:
        """Prepare some photos at a time, since memory is finite: float32 (N, H, W, C) each."""
        parts = [photos[start : start + _PART] for start in range(0, len(photos), _PART)]
        for part in Steps(parts, told, f" times {_PART} pictures", progress):
            yield np.concatenate([self._classifier.tensor(photo) for photo in part])

    def outputs(self, tensors: Float32) -> IntermediateOutputs:
        """Run the network; only where `intermediate` is known."""
        intermediate: Any = self.intermediate
        result: IntermediateOutputs = intermediate.parts(self._engine.predict(tensors))
        return result

    def distributions(self, features: Gaussian | None) -> dict[str, Gaussian]:
        """Return by the name of its score where the training pictures lie: in all stages, and in the last.

        Not in the last where there is one distribution for all classes (see `Gaussian.of_classes`): pictures
        of something else activate few of its channels, and so lie near the middle of them all.
        """
        if features is None or self.intermediate is None:
            return {}
        if features.whitening.ndim == 1:
            return {"features": features}
        stages = np.repeat(np.arange(len(self.intermediate.widths)), self.intermediate.widths)
        # Means of all stages, then their standard deviations: see `statistics`.
        last = features.marginal(np.tile(stages == stages[-1], 2))
        return {"features": features, "last_stage": last}

    def scores(self, tensors: Float32, distributions: Mapping[str, Gaussian]) -> dict[str, Float64]:
        """Every score but the combined one."""
        scores: dict[str, Float64] = {}
        head = self._classifier.head
        if self.intermediate is None:
            rows = self._classifier.predict_tensors(tensors)
        else:
            found = self.outputs(tensors)
            rows = probabilities(found.outputs, head)
            values = statistics(found)
            scores |= {name: one.distances(values) for name, one in distributions.items()}
            logits = found.outputs if head == "logits" else found.logits
            if logits is not None and logits.shape[1] > 1:
                scores["energy"] = energy(logits.astype(np.float64))
        if self._first_layers is not None:
            moments = self._first_layers.measure(tensors)
            scores["batchnorm"] = distances(moments, self._first_layers).mean(axis=-1)
        scores["probability"] = 1 - rows.max(axis=1).astype(np.float64)
        return scores


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
            A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.

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
            A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.
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
            A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.

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


def fit_novelty(
    classifier: Classifier,
    training: Pictures,
    held_back: Pictures,
    *,
    false_positive_rate: float = FALSE_POSITIVES,
    progress: Progress = True,
) -> Novelty:
    """Learn what is ordinary for a classifier.

    Parameters
    ----------
    classifier
        With a known preprocessing. Not changed.
    training
        Pictures that the network was trained on, the more the better: all classes, ten times as many as
        there are channel statistics (160 in the bundled network for clothes). With fewer, each statistic is
        weighed by itself and ``"last_stage"`` left out; with fewer than 20, ``"features"`` and ``"combined"``
        too.
    held_back
        Ordinary pictures that it was not trained on, at least 1 / `false_positive_rate` - 1 of them. They set
        the thresholds, so measure success on others.
    false_positive_rate
        Share of ordinary pictures that may be taken for novel, above 0 and below 1.
    progress
        True for bars where it takes over two seconds; or a function that is told each step in a line.

    Returns
    -------
    Novelty
        ``"energy"`` is missing for a network that does not end in a softmax, ``"batchnorm"`` without
        statistics of training in the first layers; a network that runs in Keras has ``"batchnorm"`` and
        ``"probability"`` at most.

    Raises
    ------
    TypeError, ValueError
        Too few held-back pictures, another rate, or pictures that cannot be prepared.
    """
    check_first(classifier, "kit.fit_novelty(classifier, training, held_back)")
    rate = checked_rate(false_positive_rate)
    known_photos, others = as_photos(training), as_photos(held_back)
    if len(others) < (fewest := _fewest(rate)):
        raise ValueError(
            f"Expected at least {fewest} held-back pictures for a false-positive rate of {rate:g}, received"
            f" {len(others)}; give more or raise the rate"
        )
    instruments = Instruments(classifier)
    features = None
    layers = instruments.intermediate
    if layers is not None and layers.widths and len(known_photos) >= FEWEST:
        tensors = instruments.tensors(known_photos, "training pictures", progress)
        found = [instruments.outputs(part) for part in tensors]
        values = np.concatenate([statistics(part) for part in found])
        classes = np.concatenate([part.outputs.argmax(axis=1) for part in found])
        features = Gaussian.of_classes(values, classes)
    tensors = instruments.tensors(others, "held-back pictures", progress)
    distributions = instruments.distributions(features)
    parts = [instruments.scores(part, distributions) for part in tensors]
    scores = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if "energy" in scores and "features" in scores:
        scores["combined"] = combined(scores, scores)
    ordered = {name: np.sort(scores[name].astype(np.float32)) for name in METHODS if name in scores}
    return Novelty(classifier, ordered, features, rate)


def novelty_of(classifier: Classifier) -> Novelty | None:
    """Return what a classifier carries, from its file or `attached`; None if missing or damaged."""
    check_first(classifier, "kit.novelty_of(classifier)")
    data = classifier.reference.novelty
    if data is None:
        return None
    try:
        return Novelty.from_bytes(data, classifier)
    except ValueError:
        return None


def profile_novelty(classifier: Classifier) -> Novelty | None:
    """Return what the profile of training pictures tells: whether light and texture are as in these.

    None without a profile, or with one too short for a threshold at the usual rate.
    """
    layers = classifier.first_layers
    if layers is None or layers.profile is None or len(layers.profile) < _fewest(FALSE_POSITIVES):
        return None
    held = distances(layers.profile, layers).mean(axis=-1)
    return Novelty(classifier, {"batchnorm": np.sort(held.astype(np.float32))})


def _fewest(rate: float) -> int:
    """Return the smallest number of pictures whose largest score can be the threshold."""
    # Rounded, since 1 / rate may be a little above a whole number.
    return int(np.ceil(round(1 / rate - 1, 6)))
