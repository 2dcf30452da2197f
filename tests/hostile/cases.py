"""Cases: their files with other values, keys and depths, read and checked as a folder of cases is."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

import kit
from tests.hostile.mutations import as_text, changed

DOCUMENTED = (ValueError, TypeError, OSError)


@cache
def known():
    """A folder with one case, and the case as JSON values."""
    folder = Path(tempfile.mkdtemp())
    classifier, (photo, *_) = kit.samples.classifier("fashion_mnist"), kit.samples.photos("fashion_mnist")
    made = kit.pin(
        folder, classifier, photo, classifier.class_names[0], perturbation=kit.Perturbation(noise=3)
    )
    return folder, json.loads(Path(made).read_text(encoding="utf-8"))


def corpus(count, seed):
    for number in range(count):
        random = np.random.default_rng([seed, number])
        yield f"{number:06}.json", as_text(changed(known()[1], random), random)


def open_one(path):
    """Read it alone, then check the folder that it lies in, which has to tell of every case."""
    folder, _ = known()
    target = folder / path.name
    shutil.copy(path, target)
    try:
        result = kit.check_cases(folder, kit.samples.classifier("fashion_mnist"), progress=False)
        assert all("\n" not in line for line in repr(result).splitlines())
        kit.Case.from_json(path.read_bytes().decode(errors="surrogateescape"))
    finally:
        target.unlink()
