"""How a folder of photos differs from the training pictures, and whether this classifier cares."""

from collections.abc import Sequence
from typing import Any

from kit._reporting import Progress
from kit.classifier import Classifier
from kit.classifier.bundle.input_statistics import InputStatistics, measured_responses
from kit.classifier.labels import class_indices
from kit.images import Pictures
from kit.robustness.shifts.answers import AnswerShift
from kit.robustness.shifts.attribution import Explanation
from kit.robustness.shifts.gathering import Gathered, gather
from kit.robustness.shifts.impact import Response, layer_distance
from kit.robustness.shifts.judging import findings, judged
from kit.robustness.shifts.report import QuantityShift, Shift
from kit.robustness.shifts.two_sample import FEWEST, Difference, domain_auroc

__all__ = [
    "AnswerShift",
    "Difference",
    "Explanation",
    "QuantityShift",
    "Response",
    "Shift",
    "findings",
    "shift",
]


def shift(
    training: Classifier | InputStatistics | Pictures,
    photos: Pictures,
    *,
    classifier: Classifier | None = None,
    labels: Sequence[int | str | None] | None = None,
    progress: Progress = True,
) -> Shift:
    """Tell in which measured quantities photos differ from the training pictures.

    Light, contrast, colour, sharpness, noise, traces of JPEG, size, aspect and EXIF turns are measured
    (`properties`) and compared one by one. Since one alteration moves several of them, the quantity that
    was altered is found by how the training pictures respond to alterations, and is ranked first; the others
    "follow". Where one alteration leaves much unexplained, two at once are tried, such as less light and
    noise. With the training pictures and a classifier, what it answers to both is compared too, which tells
    other classes from other pictures (`AnswerShift`).

    Two collections are compared, as in `kit.find_duplicates`, and no classifier is needed; hence it does not
    come first, unless it stands for its training pictures: ``kit.shift(classifier, photos)``.

    Parameters
    ----------
    training
        Training pictures (`kit.images.sources`), their `InputStatistics`, or a classifier whose file
        carries those (`Classifier.save` with ``training=`` puts them there).
    photos
        See `kit.images.sources`. At most 1,000 are measured, at random; interrupting keeps what was
        measured. Those that cannot be read are reported.
    classifier
        To answer every picture that is measured, and to ask whether it cares about each alteration, and about
        all of them at once; the one that is given as ``training`` by default.
    labels
        Right class of each photo, index or name, None where it is not known; for accuracies where the photos
        themselves are altered.
    progress
        True for bars where it takes over two seconds; or a function that is told each step in a line.

    Returns
    -------
    Shift

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        A classifier in place of the photos, one without statistics, no photo, no readable training picture,
        no such folder or one without pictures, or labels that do not fit.
    """
    if isinstance(photos, Classifier):
        raise TypeError(
            "Expected photos, received a Classifier; write kit.shift(training, photos, classifier=classifier)"
        )
    asked = training if classifier is None and isinstance(training, Classifier) else classifier
    asked = None if asked is None or asked.preprocessing is None else asked
    statistics, examples = _statistics(training, asked, progress=progress)
    gathered = gather(photos, classifier=asked, progress=progress)
    truth: list[int | None] = []
    if labels is not None and asked is not None and gathered.photos:
        given = class_indices(labels, asked.class_names, gathered.found)
        truth = [given[place] for place in gathered.places[: len(gathered.photos)]]
    found, together, answers, notes = judged(statistics, examples, gathered, asked, truth, progress=progress)
    return Shift(
        found,
        len(statistics.rows),
        len(gathered.rows),
        domain_auroc(statistics.rows, gathered.rows),
        None if asked is None or not gathered.photos else layer_distance(asked, gathered.photos),
        gathered.unreadable,
        _notes(gathered) + notes,
        together,
        answers,
    )


def _statistics(
    training: Any, classifier: Classifier | None, *, progress: Progress
) -> tuple[InputStatistics, Gathered | None]:
    """Return statistics of the training pictures, and the pictures themselves where there are any."""
    if isinstance(training, InputStatistics):
        return training, None
    if isinstance(training, Classifier):
        statistics = training.reference.properties
        if statistics is None:
            raise ValueError(
                f"Expected a classifier that carries statistics of its training pictures, received"
                f" {training.name!r} without; save it with training=pictures, or give the pictures:"
                " kit.shift(pictures, photos, classifier=classifier)"
            )
        return statistics, None
    gathered = gather(training, "training pictures", classifier=classifier, progress=progress)
    if not gathered.photos:
        raise ValueError("Expected training pictures, received none that can be read; give a folder of them")
    responses = measured_responses(gathered.photos)
    return InputStatistics(gathered.rows, responses, gathered.found), gathered


def _notes(gathered: Gathered) -> tuple[str, ...]:
    notes = []
    if gathered.interrupted:
        notes.append(f"interrupted after {len(gathered.rows)} of {gathered.found} photos")
    elif len(gathered.rows) + len(gathered.unreadable) < gathered.found:
        notes.append(f"{len(gathered.rows)} of {gathered.found} photos were measured, chosen at random")
    if len(gathered.rows) < FEWEST:
        notes.append(f"fewer than {FEWEST} photos: nothing can be told from so few")
    return tuple(notes)
