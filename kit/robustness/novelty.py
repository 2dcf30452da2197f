"""How far an image is from the training images."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kit._arrays import Float32, Float64
from kit._reporting import Progress
from kit.classifier.classifier import Classifier, check_first
from kit.images.photo import Photo, Pictures, as_photos

FALSE_POSITIVES = 0.05
"""Share of ordinary images that is reported as novel."""
FEWEST = 19
"""Held-back images of which one more lies above the largest score as often as that."""


@dataclass(frozen=True, eq=False)
class Novelty:
    """How far from the training images ordinary images are.

    The score of an image is its mean distance to the nearest training images (after Sun et al.,
    Out-of-distribution detection with deep nearest neighbors, 2022); see `Classifier.with_reference`.

    Attributes
    ----------
    classifier
        What knows its training images.
    held_back
        float32 (images,): scores of held-back images, ascending.
    """

    classifier: Classifier
    held_back: Float32

    @property
    def threshold(self) -> float:
        """Score above which an image is novel; for another share of false positives see `chances`.

        The ⌈(n + 1)(1 - `FALSE_POSITIVES`)⌉-th smallest held-back score, as in split conformal prediction.
        """
        # The scores ascend. That share of them, the new image counted as one more, lies there or above.
        count = len(self.held_back)
        return float(self.held_back[count - int((count + 1) * FALSE_POSITIVES)])

    def scores(self, photos: Pictures) -> Float64:
        """Return the score of each photo (`kit.images.photo`), float64 (N,), higher for what is stranger."""
        return _scores(self.classifier, as_photos(photos))

    def is_novel(self, feature_map: Float32) -> bool:
        """Return whether the score of an image is above `threshold`, by its last feature map (1, h, w, C)."""
        # Of one image: (1, h, w, channels) becomes (1, channels), which has one score.
        neighbours = self.classifier.reference.neighbours
        return bool(neighbours.scores(feature_map.mean(axis=(1, 2))) > self.threshold)

    def chances(self, scores: npt.ArrayLike) -> Float64:
        """Return how probable it is that an ordinary image scores so high or higher: float64 (N,), above 0.

        (1 + held-back images as high or higher) / (1 + held-back images).
        """
        # The image itself counts as one more, so that no chance is 0.
        count = len(self.held_back)
        lower = np.searchsorted(self.held_back, np.asarray(scores, np.float32))
        return (1 + count - lower) / (1 + count)

    def attached(self) -> Classifier:
        """Return the classifier carrying this, so that `Classifier.save` keeps it; nothing is copied."""
        reference = self.classifier.reference
        arrays = reference.arrays("novelty") | {"held_back": self.held_back}
        return self.classifier.with_reference(reference.with_arrays("novelty", arrays))

    def __repr__(self) -> str:
        count = len(self.classifier.reference.neighbours.names)
        return (
            f"Novelty({self.classifier.name!r}, {count} training and"
            f" {len(self.held_back)} held-back images)"
        )


def _scores(
    classifier: Classifier, photos: Sequence[Photo], progress: Progress = False
) -> Float64:
    # float64, one for each photo: the mean distance to its nearest training images.
    _, features = classifier.features(photos, progress)
    return classifier.reference.neighbours.scores(features)


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
    check_first(classifier)
    ordinary = as_photos(held_back)
    if len(ordinary) < FEWEST:
        raise ValueError(
            f"Expected at least {FEWEST} held-back images, received {len(ordinary)}; give more"
        )
    # The same classifier, with the features of its training images as neighbours.
    carrying = classifier.with_reference(training, progress=progress)
    scores = _scores(carrying, ordinary, progress)
    return Novelty(carrying, np.sort(scores.astype(np.float32)))


def novelty_of(classifier: Classifier) -> Novelty | None:
    """Return what a classifier carries, from its file or `attached`; None if none was fitted for it."""
    arrays = classifier.reference.arrays("novelty")
    scores = np.sort(arrays.get("held_back", np.empty(0)), axis=None)
    with suppress(ValueError):
        # Asked second, since the neighbours wait for a network that is still being compiled. They raise a
        # ValueError where they belong to another network.
        if len(scores) >= FEWEST and classifier.reference.neighbours is not None:
            return Novelty(classifier, scores)
    return None
