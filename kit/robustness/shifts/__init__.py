"""How a folder of photos differs from the training pictures, and whether this classifier cares."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kit._reporting import Progress, Steps
from kit.classifier import Classifier
from kit.classifier.bundle.input_statistics import InputStatistics, measured_responses
from kit.classifier.labels import class_indices
from kit.classifier.trial import Truth
from kit.images import Photo, Pictures
from kit.robustness.shifts.attribution import Explanation, explanations
from kit.robustness.shifts.gathering import Gathered, gather
from kit.robustness.shifts.impact import Response, layer_distance, respond
from kit.robustness.shifts.report import QuantityShift, Shift, Verdict
from kit.robustness.shifts.two_sample import FEWEST, Difference, differences, domain_auroc

__all__ = ["Difference", "Explanation", "QuantityShift", "Response", "Shift", "findings", "shift"]


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
    noise.

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
        To ask whether it cares about each alteration, and about all of them at once; the one that is given as
        ``training`` by default.
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
    statistics, examples = _statistics(training, progress=progress)
    gathered = gather(photos, progress=progress)
    found = findings(statistics, gathered.rows)
    layers = together = None
    if asked is not None and asked.preprocessing is not None and gathered.photos:
        truth: Truth = ()
        if labels is not None:
            given = class_indices(labels, asked.class_names, gathered.found)
            truth = [given[place] for place in gathered.places[: len(gathered.photos)]]
        found, together = _asked(found, asked, examples, gathered.photos, truth, progress=progress)
        layers = layer_distance(asked, gathered.photos)
    return Shift(
        found,
        len(statistics.rows),
        len(gathered.rows),
        domain_auroc(statistics.rows, gathered.rows),
        layers,
        gathered.unreadable,
        _notes(gathered),
        together,
    )


def findings(statistics: InputStatistics, rows: Any) -> tuple[QuantityShift, ...]:
    """Compare measures and rank the quantities; what `shift` does once everything is measured.

    Parameters
    ----------
    statistics
        Of the training pictures.
    rows
        float64 (pictures, quantities): measures of the photos, as
        `kit.classifier.bundle.input_statistics.measured_rows` gives them.
    """
    compared = {one.quantity: one for one in differences(statistics.rows, rows)}
    differing = {name for name, one in compared.items() if one.differs}
    explained, unexplained = explanations(statistics, rows, differing) if differing else ((), frozenset())
    causes = {one.quantity: one for one in reversed(explained)}
    order = [one.quantity for one in explained]
    order += sorted(
        compared, key=lambda name: (name not in unexplained, name not in differing, -_size(compared[name]))
    )

    def verdict(name: str) -> Verdict:
        if name in causes or name in unexplained:
            return "shifted"
        if name in differing:
            return "follows"
        return "unchanged" if compared[name].p_value >= 0 else "cannot_tell"

    ranked = dict.fromkeys(order)
    return tuple(QuantityShift(name, verdict(name), compared[name], causes.get(name)) for name in ranked)


def _size(difference: Difference) -> float:
    return abs(difference.delta) if difference.p_value >= 0 else -1.0


def _statistics(training: Any, *, progress: Progress) -> tuple[InputStatistics, tuple[Photo, ...]]:
    """Return statistics of the training pictures, and some of the pictures where there are any."""
    if isinstance(training, InputStatistics):
        return training, ()
    if isinstance(training, Classifier):
        statistics = training.reference.properties
        if statistics is None:
            raise ValueError(
                f"Expected a classifier that carries statistics of its training pictures, received"
                f" {training.name!r} without; save it with training=pictures, or give the pictures:"
                " kit.shift(pictures, photos, classifier=classifier)"
            )
        return statistics, ()
    gathered = gather(training, "training pictures", progress=progress)
    if not gathered.photos:
        raise ValueError("Expected training pictures, received none that can be read; give a folder of them")
    responses = measured_responses(gathered.photos)
    return InputStatistics(gathered.rows, responses, gathered.found), gathered.photos


def _asked(
    found: Sequence[QuantityShift],
    classifier: Classifier,
    examples: Sequence[Photo],
    photos: Sequence[Photo],
    labels: Truth,
    *,
    progress: Progress,
) -> tuple[tuple[QuantityShift, ...], Response | None]:
    """Return the findings with the classifier's response to each, and that to all of them at once."""
    causes = [[one.explanation] for one in found if one.explanation is not None]
    everything = [[cause for each in causes for cause in each]] if len(causes) > 1 else []
    responses = []
    for explained in Steps([*causes, *everything], "asking the classifier", "alteration", progress):
        # What was done to the training pictures cannot be done to them again.
        training = bool(examples) and not any(one.opposite for one in explained)
        chosen, truth = (examples, ()) if training else (photos, labels)
        responses.append(respond(classifier, explained, chosen, truth, training=training))
    each = iter(responses)
    answered = tuple(one if one.explanation is None else replace(one, response=next(each)) for one in found)
    return answered, next(each, None)


def _notes(gathered: Gathered) -> tuple[str, ...]:
    notes = []
    if gathered.interrupted:
        notes.append(f"interrupted after {len(gathered.rows)} of {gathered.found} photos")
    elif len(gathered.rows) + len(gathered.unreadable) < gathered.found:
        notes.append(f"{len(gathered.rows)} of {gathered.found} photos were measured, chosen at random")
    if len(gathered.rows) < FEWEST:
        notes.append(f"fewer than {FEWEST} photos: nothing can be told from so few")
    return tuple(notes)
