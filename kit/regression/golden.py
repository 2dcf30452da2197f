"""Whether a classifier does on this machine what it did where its file was written."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kit.classifier import Classifier, store
from kit.classifier.golden import golden_in
from kit.perturbation import Perturbation
from kit.preprocessing.trace import Trace
from kit.regression.checking import STEPS

EQUAL = 1e-5
"""Largest difference of a probability of engines that do the same; see `Classifier.save`."""


@dataclass(frozen=True)
class Verified:
    """What came of the golden pictures of a file.

    Attributes
    ----------
    pictures
        How many there are that belong to the weights of the file.
    difference
        Largest difference of a probability, 0..1.
    step
        The first step that differs, a name of `kit.regression.checking.STEPS`; empty where all do the same.
    """

    pictures: int
    difference: float = 0.0
    step: str = ""

    @property
    def holds(self) -> bool:
        """Whether all is equal within `EQUAL`."""
        return self.step == ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**vars(self), "holds": self.holds, "told": self.text()}

    def text(self) -> str:
        """Return one sentence."""
        if not self.pictures and not self.holds:
            return (
                f"golden pictures of other weights: {STEPS[self.step]}; write the file with classifier.save"
            )
        if not self.pictures:
            return "no golden pictures in the file: write it with classifier.save(path, golden=photos)"
        some = f"{self.pictures} golden picture{'s' * (self.pictures != 1)}"
        if self.holds:
            return f"{some}: equal within {EQUAL:g}"
        return f"{some}: {STEPS[self.step]}; a probability differs by {self.difference:.2g}"


def verify_golden(classifier: Classifier) -> Verified:
    """Take the golden pictures of a file through the classifier, and hold all steps against what it says.

    Raises
    ------
    ValueError
        They cannot be read.
    """
    data, source = classifier.reference.golden, classifier.source
    if data is None and source is not None and store.GOLDEN in (source.contract or {}).get("members", {}):
        if not source.tied:
            return Verified(0, step="weights")
        raise ValueError(
            f"Expected golden pictures in {source.path.name!r}, received damaged ones; save it anew"
        )
    kept = golden_in(data)
    largest, step = 0.0, ""
    for golden in kept:
        row = classifier.probabilities(golden.photo)[0]
        same = row.shape == golden.probabilities.shape
        change = float(np.abs(row - golden.probabilities).max()) if same else 1.0
        largest = max(largest, change)
        if classifier.preprocessing is not None and not step:
            now = Trace.of(golden.photo, Perturbation(), classifier.preprocessing)
            step = now.parts_at(golden.trace)
            if step and step not in STEPS:
                raise ValueError(
                    f"Expected golden pictures with known steps, received {step[:40]!r}; save anew"
                )
        if not step and not change <= EQUAL:
            step = "engine"
    return Verified(len(kept), largest, step)
