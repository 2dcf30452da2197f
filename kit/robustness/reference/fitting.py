"""Learning what is ordinary for a classifier, from pictures or from what its file tells of them."""

import numpy as np

from kit._reporting import Progress
from kit.classifier import Classifier, check_first
from kit.images import Pictures, as_photos
from kit.robustness.reference.activation_distance import distances
from kit.robustness.reference.gaussian import Gaussian
from kit.robustness.reference.novelty import FALSE_POSITIVES, Novelty, checked_rate
from kit.robustness.reference.novelty_scores import FEWEST, METHODS, Instruments, combined, statistics


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
