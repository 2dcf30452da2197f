"""Which properties of the pictures are out of the ordinary, and whether undoing one helps this network."""

from collections.abc import Mapping, Sequence

import numpy as np

from kit.classifier import Classifier
from kit.classifier.trial import Trial, Truth, hits, known
from kit.diagnosis.finding import Evidence, Finding, Verdict
from kit.diagnosis.picture_properties import PROPERTIES, Property
from kit.images import Photo

SEVERE = 0.5
"""Mean score of the affected pictures up to which a property may be named."""

GAIN = 0.5
"""Nats by which undoing it must help on average: log-likelihood of the label, or else entropy lost."""

MOST = 0.5
"""Share of the pictures, those known to be answered rightly left out, that a named property must affect."""

CHANGED = 0.5
"""Share of the affected pictures whose answer must change, where no label says that it becomes right."""

_OUTCOMES: dict[Verdict, str] = {
    "named": "and undoing it helps this network.",
    "possible": "and undoing it changes some answers.",
    "ruled_out": "but undoing it changes no answer.",
}


def check_properties(
    classifier: Classifier, photos: Sequence[Photo], labels: Truth = ()
) -> tuple[Finding, ...]:
    """Measure the pictures, undo what is out of the ordinary, and ask the network again.

    Parameters
    ----------
    classifier
        With the preprocessing in use, which should be right: these causes are asked for last.
    photos
        At least one.
    labels
        Index of the right class of each, None where it is not known; empty where none is.

    Returns
    -------
    tuple of Finding
        One for each property that is out of the ordinary in some picture that is not known to be answered
        rightly: named where undoing it helps this network, ruled out where it does not, possible in between.
        What cannot be undone is possible at most.
    """
    used = classifier.preprocessing
    pictures = [photo if used is None else photo.decoded(used.decoding) for photo in photos]
    right = np.zeros(len(photos), np.bool_)
    if known(labels)[0]:
        right = hits(classifier.probabilities(pictures), labels)
    grey = used is not None and used.channels.startswith("gray")
    found = []
    for item in PROPERTIES.values():
        # Measures of pictures that may be to blame, by their place.
        unusual = {
            place: measure
            for place, photo in enumerate(pictures)
            if not right[place]
            and min(photo.size) >= item.least_side
            and item.score(measure := item.measure(photo.pixels)) < 1
        }
        if unusual and not (item.coloured and grey):
            enough = len(unusual) >= MOST * int((~right).sum())
            found.append(_found(classifier, item, pictures, labels, unusual, often=enough))
    return tuple(found)


def _found(
    classifier: Classifier,
    item: Property,
    photos: Sequence[Photo],
    labels: Truth,
    measures: Mapping[int, float],
    *,
    often: bool,
) -> Finding:
    told, word = f"{len(measures)} of {len(photos)} pictures are", item.word or item.name.replace("_", " ")
    level = f"{item.unit}, median of these pictures"
    unusual = Evidence(level, float(np.median(list(measures.values()))), item.ordinary, supports=True)
    if item.undo is None:
        summary = f"{told} {word}; that cannot be undone."
        return Finding(item.name, "possible", summary, (unusual,), fix=item.remedy)
    chosen = [photos[place] for place in measures]
    better = [Photo(item.undo(photo.pixels), photo.name, photo.decoding) for photo in chosen]
    truth = [labels[place] for place in measures] if labels else ()
    trial = Trial(classifier.probabilities(chosen), classifier.probabilities(better), truth)
    score = float(np.mean([item.score(one) for one in measures.values()]))
    changed = float(trial.changed.mean())
    severe, enough = score <= SEVERE, changed >= CHANGED
    labelled = len(known(truth)[0]) == len(measures)
    helps = trial.gain > GAIN and often and (labelled or enough)
    verdict: Verdict = "named" if helps and severe else "possible" if helps or changed > 0 else "ruled_out"
    gain = "mean gain in nats if it is undone (log-likelihood of the label, else entropy lost)"
    return Finding(
        item.name,
        verdict,
        f"{told} unusually {word}, {_OUTCOMES[verdict]}",
        (
            unusual,
            Evidence("mean score, 1 ordinary to 0 extreme", score, SEVERE, supports=severe),
            Evidence(gain, trial.gain, GAIN, supports=trial.gain > GAIN),
            Evidence("share of these pictures whose answer changes", changed, CHANGED, supports=enough),
        ),
        cost=changed * len(measures) / len(photos),
        fix=item.remedy,
    )
