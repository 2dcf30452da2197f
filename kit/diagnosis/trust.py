"""What labelled pictures tell of accuracy and confidence, and training pictures of leakage.

The first two are mentioned at most: whoever looks for a cause brings pictures that fail, and these are no
sample.
"""

from collections.abc import Sequence

import numpy as np

from kit._arrays import Float32
from kit.classifier.trial import Truth, hits, known
from kit.diagnosis.finding import Evidence, Finding, Fix, Verdict
from kit.images import Photo, Pictures
from kit.validation.accuracy import accuracy_interval
from kit.validation.duplicates import find_duplicates

WIDE = 0.1
"""Half of the interval of the accuracy from which on the pictures are too few to judge a network by."""

ENOUGH = 50
"""Labelled pictures from which on confidence is held against accuracy."""

LEAKED = 0.02
"""Share of pictures with a copy in training from which on leakage is named; single ones happen by chance."""


_WITHOUT = """copied = {}
kept = [place for place in range(len(photos)) if place not in copied]
photos = [photos[place] for place in kept]
labels = None if labels is None else [labels[place] for place in kept]"""


def check_trust(probabilities: Float32, labels: Truth) -> tuple[Finding, ...]:
    """Hold answers against the labels that are known.

    Parameters
    ----------
    probabilities
        float32, shape (N, classes).
    labels
        Index of the right class of each picture, None where it is not known.

    Returns
    -------
    tuple of Finding
        ``"small_validation"`` by the Wilson interval of 95 % (Wilson 1927), and from `ENOUGH` labels on
        ``"overconfident"``: possible where the mean confidence lies above that interval. Empty for fewer than
        two labels.
    """
    places, _ = known(labels)
    right, count = int(hits(probabilities, labels).sum()), len(places)
    if count < 2:
        return ()
    interval = accuracy_interval(right, count)
    low, high, accuracy = interval.low, interval.high, interval.accuracy
    half = (high - low) / 2
    verdict: Verdict = "possible" if half > WIDE else "ruled_out"
    told = f"{count} labelled pictures: {accuracy:.0%} are answered rightly"
    found = [
        Finding(
            "small_validation",
            verdict,
            f"{told}, and for others the share may be anything from {low:.0%} to {high:.0%}.",
            (Evidence("half of the 95 % interval of the accuracy", half, WIDE, supports=half > WIDE),),
            fix=Fix("Judge the network by more pictures; these are enough to look for a cause."),
        )
    ]
    if count >= ENOUGH:
        confidence = float(probabilities[places].max(axis=1).mean())
        sure: Verdict = "possible" if confidence > high else "ruled_out"
        text = "mean confidence; the upper end of the accuracy's 95 % interval is the threshold"
        found.append(
            Finding(
                "overconfident",
                sure,
                f"{told}, with a mean confidence of {confidence:.0%}.",
                (
                    Evidence(text, confidence, high, supports=confidence > high),
                    Evidence("share of these pictures that is answered rightly", accuracy),
                ),
                fix=Fix(
                    "If these pictures are an ordinary sample, divide the logits by a temperature.",
                    "classifier = kit.calibrate(classifier, photos, labels).classifier",
                ),
            )
        )
    return tuple(found)


def check_leakage(photos: Sequence[Photo], training: Pictures) -> Finding:
    """Look for copies and near-copies of photos among training pictures (`kit.find_duplicates`).

    Parameters
    ----------
    photos
        Pictures that an accuracy is measured on.
    training
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.

    Returns
    -------
    Finding
        ``"data_leakage"``: named from two pictures and a share of `LEAKED` on, possible for fewer.
    """
    found = find_duplicates(training, list(photos), progress=False)
    copied = int(found.leaked.sum())
    share = copied / len(photos)
    many = copied >= 2 and share >= LEAKED
    verdict: Verdict = "named" if many else "possible" if copied else "ruled_out"
    return Finding(
        "data_leakage",
        verdict,
        f"{copied} of {len(photos)} pictures have a copy or near-copy among the training pictures.",
        (
            Evidence("share of pictures with a copy in training", share, LEAKED, supports=many),
            Evidence("pictures with a copy in training", float(copied), 2.0, supports=copied >= 2),
        ),
        fix=Fix(
            "Leave these pictures out of the validation, and split by what is joined: see"
            " kit.find_duplicates and kit.validation.folds.",
            _WITHOUT.format(np.flatnonzero(found.leaked).tolist()) if 0 < copied < len(photos) else "",
        ),
    )


def mostly_wrong(probabilities: Float32, labels: Truth) -> bool:
    """Whether no more than half of the labelled pictures are answered rightly."""
    count = len(known(labels)[0])
    return count > 0 and 2 * int(hits(probabilities, labels).sum()) <= count
