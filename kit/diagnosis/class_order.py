"""The order of the classes: whether the predictions are right under another order than the one in use."""

import re
from collections.abc import Callable, Mapping, Sequence
from math import comb, prod
from typing import Any

import numpy as np

from kit._arrays import Float32, Indices, Int64
from kit.classifier.labels import Truth, known
from kit.diagnosis.finding import Evidence, Finding, at_least, conclude

NAMED, POSSIBLE = 0.01, 0.1
"""Probability that answers fit an order by chance, up to which it is named, and is possible."""

ADJACENT = 0.1
"""Share of wrong predictions that lie next to the label anyway: lists of classes put like beside like."""

WORKING = 0.7
"""Share of ordinary images that a network predicts correctly at the least, to be called a working one."""

FAULTY = 0.5
"""Share that one other order explains where the preprocessing is to blame: up to 0.42 with ten classes."""

MOVED = 3
"""Classes, each with two images, that must have changed places to name an order without a rule."""

MORE = 0.05
"""Share of the images that such an order must explain beyond a rule, to be preferred to it."""

SURE = 0.9
"""Mean confidence from which on a network is at home with images, so that few classes may do."""

_BY_CHANCE = "probability of so many by chance"
_ADVICE = "Give the class names in the order of the training, such as train_dataset.class_names."
_BY_RULE = "from kit.diagnosis.class_order import known_orders\norder = known_orders(names)[{!r}].tolist()"
_NAMES = "names = classifier.class_names\n"
# Labels that are indices move with the names.
_RENAMED = """
classifier = kit.Classifier(classifier.model, classifier.preprocessing, [names[place] for place in order])
labels = [order.index(one) if one is not None and not isinstance(one, str) else one for one in labels]"""


def check_class_order(
    probabilities: Float32, labels: Truth, class_names: Sequence[str]
) -> Finding | None:
    """Look for an order of the classes under which the predictions are right; the cause is ``"class_order"``.

    Probabilities are float32 (N, classes), labels indices in the order in use, None where not known.
    """
    places, indices = known(labels)
    truth = np.array(indices, dtype=np.intp)
    answers = probabilities[places].argmax(axis=1)
    table: Int64 = np.zeros((len(class_names),) * 2, np.int64)
    np.add.at(table, (truth, answers), 1)
    exchanged = _exchanged(table)
    if 2 * table.trace() > len(truth) or not places:
        return exchanged
    by_rule = _by_rule(answers, truth, class_names)
    free = _without_rule(table, probabilities[places])

    def rank(one: Finding) -> tuple[bool, float]:
        # Any order can be bent to explain a few more images than the rule that holds.
        return one.verdict == "named", (one.cost or 0.0) + MORE * (one is by_rule)

    return max(filter(None, (by_rule, free, exchanged)), key=rank, default=None)


def known_orders(class_names: Sequence[str]) -> Mapping[str, Indices]:
    """Return the usual mistakes by name, as the class that each output stands for; without repetitions."""
    places = np.arange(len(class_names))

    def by(key: Callable[[int], Any]) -> Indices:
        return np.array(sorted(places.tolist(), key=key))

    as_text, from_one = by(str), by(lambda place: str(place + 1))
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


def _by_rule(
    answers: Indices, truth: Indices, class_names: Sequence[str]
) -> Finding | None:
    """Whether one of the usual mistakes makes the predictions right."""
    orders = known_orders(class_names)
    count, right = (
        len(truth),
        {name: int((order[answers] == truth).sum()) for name, order in orders.items()},
    )
    name = max(right, key=lambda each: right[each], default="")
    fits = right.get(name, 0)
    if 2 * fits <= count:
        return None
    chance = min(1.0, len(orders) * _chance(answers, truth, np.argsort(orders[name])))
    short = 1 - at_least(fits + 1, count, WORKING)
    if chance > POSSIBLE:
        return None
    return conclude(
        "class_order",
        f"The classes of the model are {name}.",
        Evidence("images predicted correctly as it is", int((answers == truth).sum())),
        Evidence(f"predicted correctly if {name}", fits, supports=short >= NAMED),
        Evidence(_BY_CHANCE, chance, NAMED, chance <= NAMED),
        advice=_ADVICE,
        sure=chance <= NAMED <= short,
        code=_NAMES + _BY_RULE.format(name) + _RENAMED,
        cost=fits / count,
    )


def _chance(answers: Indices, truth: Indices, outputs: Indices) -> float:
    """Return how probable it is that answers, given by class, put so many classes where an order has them.

    Which outputs a network gives in its trouble is not known: the first class hits one of K with 1 / K, and
    another one after j hits with 1 / (K + j), as in drawing from Pólya's urn.
    """
    hits = answers == outputs[truth]
    moved = [label for label in np.unique(truth).tolist() if outputs[label] != label]
    fitting = [label for label in moved if 2 * hits[truth == label].mean() >= 1]
    count = len(outputs)
    adjacent = (ADJACENT * (abs(int(outputs[label]) - label) == 1) for label in fitting)
    rates = [max(1 / (count + place), least) for place, least in enumerate(adjacent)]
    return float(comb(len(moved), len(fitting)) * prod(rates))


def _exchanged(table: Int64) -> Finding | None:
    """Whether pairs of classes are predicted as each other, where most of the rest is right.

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
    moved, hits = order != labels, table[labels, order]
    right, count = int(hits[~moved].sum()), int(table[~moved].sum())
    if not moved.any() or right <= WORKING * count:
        return None
    # Laplace's estimate of e, from the classes that have not moved.
    errors = (count - right + 1) / (count + 2) * np.count_nonzero(table.any(axis=1))
    exchanged, images = int(hits[moved].sum()), int(table[moved].sum())
    chance = min(1.0, errors * at_least(exchanged, images, 0.5))
    return conclude(
        "class_order",
        "Some classes are predicted as each other, the rest is mostly right.",
        Evidence(f"of {images} images predicted as the other class", exchanged),
        Evidence(_BY_CHANCE, chance, NAMED, chance <= NAMED),
        advice=_ADVICE,
        sure=chance <= NAMED and bool(hits[moved].min() > 1),
        code=f"{_NAMES}order = {order.tolist()}{_RENAMED}",
        cost=(exchanged + right) / (images + count),
    )


def _without_rule(table: Int64, probabilities: Float32) -> Finding | None:
    """Whether one other order, whichever, explains what others of the same class do not contradict."""
    from scipy.optimize import linear_sum_assignment

    classes = len(table)
    labels = np.arange(classes)
    # Classes that nothing is known of stay where they are, if they can.
    outputs = linear_sum_assignment(table + 1e-6 * np.eye(classes), maximize=True)[1]
    hits = table[labels, outputs]
    agreeing = hits >= 2
    fits, count = int(hits[agreeing].sum()), int(table[table.sum(axis=1) >= 2].sum())
    chance = at_least(fits, count, FAULTY)
    if (agreeing & (outputs != labels)).sum() < min(
        MOVED, classes
    ) or chance > POSSIBLE:
        return None
    # Few classes are one-to-one by chance.
    taken = prod((classes - place) / classes for place in range(int(agreeing.sum())))
    confidence = float(probabilities.max(axis=1).mean())
    many = taken <= POSSIBLE and chance * taken <= NAMED**2
    sure = chance <= NAMED and (many or confidence >= SURE)
    return conclude(
        "class_order",
        "Each class is predicted as one other, always the same.",
        Evidence(f"of {count} images, predicted correctly in one other order", fits),
        Evidence(_BY_CHANCE, chance, NAMED, chance <= NAMED),
        Evidence("probability of so many one-to-one by chance", taken, POSSIBLE, many),
        Evidence("mean confidence", confidence, SURE, confidence >= SURE),
        advice=_ADVICE,
        sure=sure,
        code=f"{_NAMES}order = {np.argsort(outputs).tolist()}{_RENAMED}",
        cost=fits / len(probabilities),
    )
