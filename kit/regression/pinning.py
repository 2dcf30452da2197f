"""Pinning: what a classifier answers now becomes a case that guards it."""

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from kit._arrays import Float32
from kit._checking import refuse_unknown
from kit.classifier import Classifier, known_preprocessing
from kit.classifier.classifier import check_first
from kit.classifier.labels import class_indices
from kit.images import Photo, Source, load_image
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing
from kit.preprocessing.trace import Trace
from kit.regression.artefacts import keep_seen
from kit.regression.cases import Case, Expected, Observed, keep, keep_picture, name_for, today
from kit.robustness.novelty import novelty_of


def pin(
    folder: str | PathLike[str],
    classifier: Classifier,
    photo: Source,
    expected: Expected | str | int | None = None,
    *,
    perturbation: Perturbation | None = None,
    preprocessing: Preprocessing | None = None,
    fault: Preprocessing | None = None,
    name: str = "",
    **about: Any,
) -> Path:
    """Write a case of one picture, with what the classifier answers now, and return its path.

    Parameters
    ----------
    folder
        Of cases; made where there is none. The picture's file is kept in it once.
    classifier
        Whose answer it is.
    photo
        Whatever `kit.load_image` takes.
    expected
        What has to hold: a class by name or index, or an `Expected`. None for the present answer.
    perturbation
        Applied before; none by default.
    preprocessing
        How the picture is prepared; None, or one that equals it, for the classifier's own, whatever that will
        be then.
    fault
        A preprocessing that is known to go wrong on it, kept beside.
    name
        Of the file; by default of the date, the picture and what it is about.
    about
        ``tolerance``, ``cause``, ``note``, ``owner`` and ``platforms`` of the `Case`.

    Raises
    ------
    TypeError, ValueError
        No picture, no such class, or no preprocessing is known.
    """
    check_first(classifier, "kit.pin(folder, classifier, photo)")
    refuse_unknown(about, ("tolerance", "cause", "note", "owner", "platforms"))
    opened = photo if isinstance(photo, Photo) else load_image(photo)
    perturbed = Perturbation() if perturbation is None else perturbation
    steps = known_preprocessing(classifier) if preprocessing is None else preprocessing
    row = classifier.probabilities(opened, perturbed, steps)[0]
    wanted = _expected(expected, classifier, row)
    observed = observe(classifier, opened, perturbed, steps, row)
    observed = observed.judged(wanted, row, classifier.class_names)
    place, digest = keep_picture(folder, opened)
    word = str(about.get("cause", "")).replace("_", "-") or (wanted.classes or wanted.named or ("case",))[0]
    case = Case(
        name=name_for(name) if name else name_for(today(), Path(opened.name).stem, word),
        picture=place,
        sha256=digest,
        classifier=classifier.name,
        weights=weights_of(classifier),
        expected=wanted,
        observed=observed,
        preprocessing=None if steps == classifier.preprocessing else steps,
        perturbation=perturbed,
        fault=fault,
        **about,
    )
    path = keep(folder, case)
    keep_seen(case, path, classifier)
    return path


def observe(
    classifier: Classifier,
    photo: Photo,
    perturbation: Perturbation,
    preprocessing: Preprocessing,
    row: Float32,
) -> Observed:
    """Return what is kept of an answer, float32 (classes,), and what each step on the way leaves behind."""
    trace = Trace.of(photo, perturbation, preprocessing)
    novel = is_novel(classifier, photo, perturbation, preprocessing)
    own = preprocessing if preprocessing == classifier.preprocessing else None
    names, engine = classifier.class_names, classifier.engine.description
    return Observed.of(row, names, trace, engine=engine, novel=novel, preprocessing=own)


def is_novel(
    classifier: Classifier, photo: Photo, perturbation: Perturbation, preprocessing: Preprocessing
) -> bool | None:
    """Whether a picture is told as none of the classes; None where the classifier cannot tell."""
    novelty = None if classifier.reference.novelty is None else novelty_of(classifier)
    if novelty is None:
        return None
    return bool(novelty.is_novel_tensor(classifier.tensor(photo, perturbation, preprocessing)))


def weights_of(classifier: Classifier) -> str:
    """Return the digest of a classifier's weights; empty where it came from no file."""
    return "" if classifier.source is None else classifier.source.digest


def _expected(given: Any, classifier: Classifier, row: Float32) -> Expected:
    if not np.isfinite(row).all():
        raise ValueError(f"Expected probabilities, received what is no number from {classifier.name!r}")
    if given is None:
        return Expected(classes=(classifier.class_names[int(row.argmax())],))
    if isinstance(given, Expected):
        for name in given.named:
            class_indices([name], classifier.class_names, 1)
        return given
    (place,) = class_indices([given], classifier.class_names, 1)
    return Expected(classes=(classifier.class_names[place or 0],))
