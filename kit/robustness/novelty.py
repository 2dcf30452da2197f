"""How far an image is from the training images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy  # its heavy parts are imported when they are used

from kit._arrays import Float32, Float64, Int64
from kit._reporting import Progress, Steps
from kit.classifier import Classifier, check_first
from kit.classifier.engines import LiteEngine
from kit.classifier.intermediate import feature_map
from kit.images import Photo, Pictures, Source, as_photos, load_image

FALSE_POSITIVES = 0.05
"""Share of ordinary images that is reported as novel."""
FEWEST = 19
"""Held-back images of which one more lies above the largest score as often as that."""
NEAREST = 5
"""Training images whose mean distance is the score."""
KEPT = 5_000
"""Training images that are kept; of more, as many at random."""

_PART = 32
_SEED = 0


class Neighbour(NamedTuple):
    """A training image that is near another: its place among them, its name, the class predicted for it.

    `distance` is the Euclidean distance of the features, 0 or more.
    """

    place: int
    name: str
    predicted: str
    distance: float


@dataclass(frozen=True, eq=False, repr=False)
class Novelty:
    """The features of the training images, and how far from them ordinary images are.

    Features are the means of the channels of the network's last feature map. The score of an image is its
    mean Euclidean distance to the `NEAREST` training images (after Sun et al., Out-of-distribution detection
    with deep nearest neighbors, 2022).

    Attributes
    ----------
    classifier, features
        Whose network and preprocessing are used; float32 (images, channels), of the training images.
    places, predicted, names
        Of each its place among the training images and the class predicted for it, int64 (images,); its name.
    held_back
        float32 (images,): scores of held-back images, ascending.
    """

    classifier: Classifier
    features: Float32
    places: Int64
    predicted: Int64
    names: tuple[str, ...]
    held_back: Float32

    @property
    def threshold(self) -> float:
        """Score above which an image is novel; for another share of false positives see `chances`.

        The ⌈(n + 1)(1 - `FALSE_POSITIVES`)⌉-th smallest held-back score, as in split conformal prediction.
        """
        return float(self.held_back[len(self.held_back) - int((len(self.held_back) + 1) * FALSE_POSITIVES)])

    def scores(self, photos: Pictures) -> Float64:
        """Return the score of each photo (`kit.images.photo`), float64 (N,), higher for what is stranger."""
        return _scores(_features(self.classifier, self.engine, as_photos(photos)), self.features)

    def is_novel_tensor(self, tensor: Float32) -> bool:
        """Return whether the score of a prepared tensor, float32 (1, H, W, C), is above `threshold`."""
        return bool(_scores(self.engine.predict(tensor), self.features)[0] > self.threshold)

    def nearest(self, photo: Source, count: int = NEAREST) -> tuple[Neighbour, ...]:
        """Return so many training images, the nearest first, for a `Photo` or what `kit.load_image` takes."""
        tensor = self.classifier.tensor(load_image(photo))
        (distances,) = scipy.spatial.distance.cdist(self.engine.predict(tensor), self.features)
        order = np.argsort(distances, kind="stable")[:count]
        predicted = [self.classifier.class_names[self.predicted[row]] for row in order]
        names = [self.names[row] for row in order]
        columns = self.places[order].tolist(), names, predicted, distances[order].tolist()
        return tuple(map(Neighbour, *columns))

    def chances(self, scores: npt.ArrayLike) -> Float64:
        """Return how probable it is that an ordinary image scores so high or higher: float64 (N,), above 0.

        (1 + held-back images as high or higher) / (1 + held-back images).
        """
        lower = np.searchsorted(self.held_back, np.asarray(scores, np.float32), side="left")
        return np.asarray((1 + len(self.held_back) - lower) / (1 + len(self.held_back)), np.float64)

    def attached(self) -> Classifier:
        """Return the classifier carrying this, so that `Classifier.save` keeps it; nothing is copied."""
        arrays = {
            # Half precision changes no score by more than a thousandth of itself.
            "features": self.features.astype(np.float16),
            "places": self.places,
            "predicted": self.predicted,
            "names": np.frombuffer("\0".join(self.names).encode(errors="replace"), np.uint8),
            "held_back": self.held_back,
        }
        return self.classifier.with_reference(self.classifier.reference.with_arrays("novelty", arrays))

    def __repr__(self) -> str:
        counts = f"{len(self.features)} training and {len(self.held_back)} held-back images"
        return f"Novelty({self.classifier.name!r}, {counts})"

    @cached_property
    def engine(self) -> LiteEngine:
        """What gives the features of tensors."""
        return _feature_engine(self.classifier)


def _scores(rows: Float32, features: Float32) -> Float64:
    # Nearest neighbours in scikit-learn start threads for every single image, which takes longer.
    return np.asarray(np.sort(scipy.spatial.distance.cdist(rows, features), axis=1)[:, :NEAREST].mean(axis=1))


def fit_novelty(
    classifier: Classifier,
    training: Pictures,
    held_back: Pictures,
    *,
    progress: Progress = True,
) -> Novelty:
    """Learn what ordinary images of a classifier look like to its network.

    Parameters
    ----------
    classifier, training
        With a known preprocessing; images that it was trained on, of all classes, the more the better.
    held_back
        Ordinary images that it was not trained on, at least 19. They set the threshold, so measure success on
        others.
    progress
        True for bars where it takes over two seconds; or a function that gets each step as a line of text.

    Raises
    ------
    TypeError, ValueError
        No training images, too few held-back ones, images that cannot be prepared, or a network that cannot
        be compiled or has no feature map.
    """
    check_first(classifier, "kit.fit_novelty(classifier, training, held_back)")
    given, others = as_photos(training, allow_empty=False), as_photos(held_back)
    if len(others) < FEWEST:
        raise ValueError(f"Expected at least {FEWEST} held-back images, received {len(others)}; give more")
    engine = _feature_engine(classifier)
    places = np.sort(np.random.default_rng(_SEED).permutation(len(given))[:KEPT])
    chosen = [given[place] for place in places]
    # Half precision, as in a file, so that saving changes no score.
    halved = _features(classifier, engine, chosen, "training images", progress).astype(np.float16)
    features = halved.astype(np.float32)
    predicted = np.asarray(classifier.probabilities(chosen).argmax(axis=1), np.int64)
    names = tuple(photo.name.replace("\0", "") for photo in chosen)
    scores = _scores(_features(classifier, engine, others, "held-back images", progress), features)
    return Novelty(classifier, features, places, predicted, names, np.sort(scores.astype(np.float32)))


def novelty_of(classifier: Classifier) -> Novelty | None:
    """Return what a classifier carries, from its file or `attached`; None if none was fitted for it."""
    check_first(classifier, "kit.novelty_of(classifier)")
    arrays = classifier.reference.arrays("novelty")
    try:
        features, held_back = arrays["features"].astype(np.float32), np.sort(arrays["held_back"].ravel())
        places, predicted = (arrays[name].astype(np.int64) for name in ("places", "predicted"))
        names = tuple(arrays["names"].tobytes().decode().split("\0"))
        found = Novelty(classifier, features, places, predicted, names, held_back)
        fits = features.shape == (len(names), found.engine.output_count)
        fits &= len(places) == len(predicted) == len(names) and len(held_back) >= FEWEST
        fits &= bool(np.isfinite(features).all() and set(predicted) <= {*range(len(classifier.class_names))})
    except (KeyError, TypeError, ValueError):
        return None
    return found if fits else None


def _feature_engine(classifier: Classifier) -> LiteEngine:
    engine, compiled = classifier.engine, classifier.compiled
    if compiled is None or not isinstance(engine, LiteEngine):
        raise ValueError(
            f"Expected a network that can be compiled, received {classifier.name!r}, which runs in Keras;"
            " the distance is read from the compiled form"
        )
    return LiteEngine(feature_map(compiled), threads=engine.threads)


def _features(
    classifier: Classifier,
    engine: LiteEngine,
    photos: Sequence[Photo],
    told: str = "",
    progress: Progress = False,
) -> Float32:
    parts = [photos[start : start + _PART] for start in range(0, len(photos), _PART)]
    rows = [
        engine.predict(np.concatenate([classifier.tensor(photo) for photo in part]))
        for part in Steps(parts, told, f" × {_PART} images", progress)
    ]
    return np.concatenate([np.empty((0, engine.output_count), np.float32), *rows])
