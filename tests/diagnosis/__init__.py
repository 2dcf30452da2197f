"""Tests of the diagnosis."""

import numpy as np


def named(findings):
    """Return the findings that are named."""
    return [finding for finding in findings if finding.verdict == "named"]


def indices(labels, count):
    """Return labels as the diagnosis has them: of the first images, -1 for None and for all others."""
    known = [-1 if label is None else label for label in labels]
    return np.array([*known, *[-1] * (count - len(known))])
