"""Tests of the diagnosis."""

import numpy as np

from kit.classifier.architecture import architecture_and_weights
from kit.diagnosis import certain_checks


def named(findings):
    """Return the findings that are named."""
    return [finding for finding in findings if finding.verdict == "named"]


def certain(classifier, photos, labels):
    """Return what the certain checks find."""
    return certain_checks(
        classifier, photos, labels, *architecture_and_weights(classifier)
    )


def indices(labels, count):
    """Return labels as the diagnosis has them: of the first images, -1 for None and for all others."""
    known = [-1 if label is None else label for label in labels]
    return np.array([*known, *[-1] * (count - len(known))])
