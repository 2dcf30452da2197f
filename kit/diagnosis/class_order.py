"""The order of the classes: whether the predictions are right under another order than the one in use."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import comb, prod
from typing import Any, NamedTuple

import numpy as np

from kit._arrays import Indices, Int64
from kit.classifier.predictions import Predictions
from kit.diagnosis.finding import Evidence, Finding, at_least, conclude

CHANCE_NAMED = 0.01
"""Probability that predictions fit an order by chance, up to which it is named."""

CHANCE_POSSIBLE = 0.1
"""Likewise, up to which it is possible."""

ADJACENT_RATE = 0.1
"""Share of wrong predictions that lie next to the label anyway: lists of classes put like beside like."""

WORKING_SHARE = 0.7
"""Share of ordinary images that a network predicts correctly at the least, to be called a working one."""

FAULTY_SHARE = 0.5
"""Share that one other order explains where the preprocessing is to blame: up to 0.42 with ten classes."""

LEAST_CLASSES = 3
"""Classes, each with two images, that must have changed places to name an order without a rule."""

RULE_BONUS = 0.05
"""Share of the images that such an order must explain beyond a rule, to be preferred to it."""

SURE_CONFIDENCE = 0.9
"""Mean confidence from which on a network is at home with images, so that few classes may do."""

_BY_CHANCE = "probability of as many by chance"
_BY_RULE = "from kit.diagnosis.class_order import known_orders\norder = known_orders(names)[{!r}].tolist()"
_NAMES = "names = classifier.class_names\n"
# Labels that are indices move with the names.
_RENAMED = """
classifier = kit.Classifier(classifier.model, classifier.preprocessing, [names[place] for place in order])
labels = [order.index(one) if one is not None and not isinstance(one, str) else one for one in labels]"""
_ADVICE = "Give the class names in the order of the training, such as train_dataset.class_names."


class _Reordering(NamedTuple):
    """The finding that another order holds, and the share of the images that it explains, 0..1."""

    finding: Finding
    explained_share: float


def check_class_order(predictions: Predictions) -> Finding | None:
    """Look for an order of the classes under which the predictions are right; the cause is ``"class_order"``.

    Images without a label are left out.
    """
    labelled = predictions.labelled
    count = len(labelled.class_names)
    # A row for each label, a column for each predicted class.
    table: Int64 = np.zeros((count, count), np.int64)
    np.add.at(table, (labelled.labels, labelled.index), 1)
    exchanged = _exchanged_classes(labelled, table)
    if 2 * table.trace() > len(labelled):
        return exchanged and exchanged.finding
    by_rule = _order_by_rule(labelled)
    without_rule = _order_without_rule(labelled, table)

    def rank(reordering: _Reordering) -> tuple[bool, float]:
        # Any order can be bent to explain a few more images than the rule that holds.
        bonus = RULE_BONUS if reordering is by_rule else 0.0
        is_named = reordering.finding.verdict == "named"
        return is_named, reordering.explained_share + bonus

    reorderings = list(filter(None, (by_rule, without_rule, exchanged)))
    return max(reorderings, key=rank).finding if reorderings else None


def _order_finding(
    predictions: Predictions,
    classes: Indices,
    summary: str,
    *evidence: Evidence,
    sure: bool,
    code: str,
) -> Finding:
    """Conclude that the outputs of a model stand for other classes, one for each output."""
    changed = classes[predictions.index] != predictions.index
    return conclude(
        "class_order",
        summary,
        *evidence,
        sure=sure,
        advice=_ADVICE,
        code=code,
        cost=float(changed.mean()),
    )


def known_orders(class_names: Sequence[str]) -> Mapping[str, Indices]:
    """Return the usual mistakes by name, as the class that each output stands for; without repetitions."""
    places = np.arange(len(class_names))

    def by(key: Callable[[int], Any]) -> Indices:
        return np.array(sorted(places.tolist(), key=key))

    as_text = by(str)
    from_one = by(lambda place: str(place + 1))
    orders = {
        "sorted as text": as_text,
        "sorted as text from 1 on": from_one,
        "sorted as numbers": np.argsort(as_text),
        "sorted as numbers from 1 on": np.argsort(from_one),
        "sorted by name": by(lambda place: class_names[place]),
        "one place too far": np.roll(places, 1),
        "one place too early": np.roll(places, -1),
        "reversed": places[::-1],
    }
    digits = [re.sub("[^0-9]", "", name) for name in class_names]
    if all(digits):
        orders["sorted by the numbers in their names"] = by(
            lambda place: int(digits[place])
        )
    distinct = {
        order.tobytes(): (name, order) for name, order in reversed(orders.items())
    }
    distinct.pop(places.tobytes(), None)
    return dict(reversed(distinct.values()))


def _order_by_rule(labelled: Predictions) -> _Reordering | None:
    """Whether one of the usual mistakes makes the predictions right."""
    orders = known_orders(labelled.class_names)
    hits = {
        name: int((order[labelled.index] == labelled.labels).sum())
        for name, order in orders.items()
    }
    name = max(hits, key=hits.__getitem__, default="")
    count = len(labelled)
    if 2 * hits.get(name, 0) <= count:
        return None
    output_of_class = np.argsort(orders[name])
    chance = min(1.0, len(orders) * _chance_of_order(labelled, output_of_class))
    if chance > CHANCE_POSSIBLE:
        return None
    chance_of_so_few = 1 - at_least(hits[name] + 1, count, WORKING_SHARE)
    finding = _order_finding(
        labelled,
        orders[name],
        f"The classes of the model are {name}.",
        Evidence("images predicted correctly as it is", int(labelled.correct.sum())),
        Evidence(
            f"predicted correctly if {name}",
            hits[name],
            supports=chance_of_so_few >= CHANCE_NAMED,
        ),
        Evidence(_BY_CHANCE, chance, CHANCE_NAMED, chance <= CHANCE_NAMED),
        sure=chance <= CHANCE_NAMED <= chance_of_so_few,
        code=_NAMES + _BY_RULE.format(name) + _RENAMED,
    )
    return _Reordering(finding, hits[name] / count)


def _chance_of_order(labelled: Predictions, outputs: Indices) -> float:
    """Return the chance that predictions, given by class, put so many classes where an order has them.

    Which outputs a network gives in its trouble is not known: the first class hits one of K with 1 / K, and
    another one after j hits with 1 / (K + j), as in drawing from Pólya's urn.
    """
    labels = labelled.labels
    hits = labelled.index == outputs[labels]
    distances = np.abs(outputs - np.arange(len(outputs)))
    moved_labels = [label for label in np.unique(labels).tolist() if distances[label]]
    fitting = [label for label in moved_labels if 2 * hits[labels == label].mean() >= 1]
    rates = (
        max(1 / (len(outputs) + place), ADJACENT_RATE if distances[label] == 1 else 0.0)
        for place, label in enumerate(fitting)
    )
    return float(comb(len(moved_labels), len(fitting)) * prod(rates))


def _exchanged_classes(labelled: Predictions, table: Int64) -> _Reordering | None:
    """Whether pairs of classes are predicted as each other, where most of the others are right.

    `table` has a row for each label and a column for each prediction. Classes that a network cannot tell
    apart get the other's prediction in half of their images: as many by chance has the probability of the
    sign test (Conover 1999, section 3.4). Of K classes, in each of which a share e of the images is wrong, at
    most K e pairs can be of that kind, and so the chance that there is such a pair is at most K e times that
    of one (Boole's inequality).
    """
    labels = np.arange(len(table))
    # Classes that nothing is known of stay where they are.
    outputs = (table + 1e-6 * np.eye(len(table))).argmax(axis=1)
    order = np.where(outputs[outputs] == labels, outputs, labels)
    exchanged_labels = order != labels
    hits = table[labels, order]
    counts = np.stack([hits, table.sum(axis=1)])
    correct, other_images = counts[:, ~exchanged_labels].sum(axis=1).tolist()
    exchanged, images = counts[:, exchanged_labels].sum(axis=1).tolist()
    if not images or correct <= WORKING_SHARE * other_images:
        return None
    # Laplace's estimate of e, from the classes that have not moved.
    error_share = (other_images - correct + 1) / (other_images + 2)
    pairs_by_chance = error_share * np.count_nonzero(counts[1])
    chance = min(1.0, pairs_by_chance * at_least(exchanged, images, 0.5))
    finding = _order_finding(
        labelled,
        order,
        "Some classes are predicted as each other, the rest is mostly right.",
        Evidence(f"of {images} images predicted as the other class", exchanged),
        Evidence(_BY_CHANCE, chance, CHANCE_NAMED, chance <= CHANCE_NAMED),
        sure=chance <= CHANCE_NAMED and bool(hits[exchanged_labels].min() > 1),
        code=f"{_NAMES}order = {order.tolist()}{_RENAMED}",
    )
    return _Reordering(finding, (exchanged + correct) / len(labelled))


def _order_without_rule(labelled: Predictions, table: Int64) -> _Reordering | None:
    """Whether one other order, whichever, explains what others of the same class do not contradict."""
    from scipy.optimize import linear_sum_assignment

    classes = len(table)
    labels = np.arange(classes)
    # Classes that nothing is known of stay where they are, if they can.
    outputs = linear_sum_assignment(table + 1e-6 * np.eye(classes), maximize=True)[1]
    hits = table[labels, outputs]
    agreeing = hits >= 2
    moved_classes = (agreeing & (outputs != labels)).sum()
    totals = table.sum(axis=1)
    fits = int(hits[agreeing].sum())
    count = int(totals[totals >= 2].sum())
    chance = at_least(fits, count, FAULTY_SHARE)
    if moved_classes < min(LEAST_CLASSES, classes) or chance > CHANCE_POSSIBLE:
        return None
    # Few classes are one-to-one by chance.
    taken = prod((classes - place) / classes for place in range(int(agreeing.sum())))
    many = taken <= CHANCE_POSSIBLE and chance * taken <= CHANCE_NAMED**2
    confidence = float(labelled.probability.mean())
    at_home = confidence >= SURE_CONFIDENCE
    order = np.argsort(outputs)
    finding = _order_finding(
        labelled,
        order,
        "Each class is predicted as one other, always the same.",
        Evidence(f"of {count} images, predicted correctly in one other order", fits),
        Evidence(_BY_CHANCE, chance, CHANCE_NAMED, chance <= CHANCE_NAMED),
        Evidence(
            "probability of as many one-to-one by chance", taken, CHANCE_POSSIBLE, many
        ),
        Evidence("mean confidence", confidence, SURE_CONFIDENCE, at_home),
        sure=chance <= CHANCE_NAMED and (many or at_home),
        code=f"{_NAMES}order = {order.tolist()}{_RENAMED}",
    )
    return _Reordering(finding, fits / len(labelled))
