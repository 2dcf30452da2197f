"""The order of the classes: whether the predictions are right under another order than the one in use."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import comb, prod

import numpy as np

from kit._arrays import Indices, Int64
from kit.classifier.predictions import Predictions
from kit.diagnosis.finding import (
    Evidence,
    Finding,
    chance_of_at_least,
    conclude,
    ranked,
)

CHANCE_NAMED = 0.01
"""Probability that predictions fit an order by chance, up to which it is named."""

CHANCE_POSSIBLE = 0.1
"""Likewise, up to which an order of all classes is possible."""

ADJACENT_RATE = 0.1
"""Share of wrong predictions that lie next to the label anyway: lists of classes put like beside like."""

WORKING_SHARE = 0.7
"""Share of ordinary images that a network predicts correctly at the least, to be called a working one."""

SHARE_IF_WRONGLY_PREPARED = 0.5
"""Share that one other order explains where the preprocessing is to blame: up to 0.42 with ten classes."""

LEAST_CLASSES = 3
"""Classes, each with two images, that must have changed places to name an order without a rule."""

SURE_CONFIDENCE = 0.9
"""Mean confidence from which on a network is at home with images, so that few classes may do."""

_BY_CHANCE_TEXT = "probability of as many by chance"
_RULE_CODE = "from kit.diagnosis.class_order import known_orders\norder = known_orders(names)[{!r}].tolist()"
_NAMES_CODE = "names = classifier.class_names\n"
# Labels that are indices move with the names; folders have names.
_RENAMING_CODE = """
classifier = classifier.renamed([names[place] for place in order])
if not isinstance(labels, str):
    labels = [label if label is None or isinstance(label, str) else order.index(label) for label in labels]"""
_class_order_finding = partial(
    conclude,
    "class_order",
    advice="Give the class names in the order of the training, such as train_dataset.class_names.",
)


def check_class_order(predictions: Predictions) -> Finding | None:
    """Look for an order of classes that makes labelled predictions right; the cause is ``"class_order"``."""
    labelled = predictions.labelled  # without the images whose label is not known
    # Where most predictions are right as they are, another order can exchange a few classes only.
    most_are_right_as_is = bool(2 * labelled.correct.sum() > len(labelled))
    by_images = _order_by_images(labelled, most_are_right_as_is=most_are_right_as_is)
    by_rule = None if most_are_right_as_is else _order_by_rule(labelled)

    # Of equals the rule: any order can be bent to explain a few more images than a rule that holds.
    return next(iter(ranked(filter(None, (by_rule, by_images)))), None)


def most_right_in_any_order(labelled: Predictions) -> int:
    """Return how many labelled predictions the order of classes makes right that makes most right."""
    confusion_matrix = _confusion_matrix(labelled)
    output_of_class = _order_with_most_hits(confusion_matrix)
    return int(confusion_matrix[:, output_of_class].trace())


def _order_with_most_hits(confusion_matrix: Int64) -> Indices:
    from scipy.optimize import linear_sum_assignment

    # Classes without images stay where they are, if they can.
    staying = 1e-6 * np.eye(len(confusion_matrix))
    _, output_of_class = linear_sum_assignment(
        confusion_matrix + staying, maximize=True
    )
    return np.asarray(output_of_class)


def _confusion_matrix(labelled: Predictions) -> Int64:
    """Return the counts of predictions, a row for each label and a column for each predicted class."""
    class_count = len(labelled.class_names)
    # A row for each label and a column for each predicted class; no label is -1 here.
    confusion_matrix: Int64 = np.zeros((class_count, class_count), np.int64)
    np.add.at(confusion_matrix, (labelled.labels, labelled.index), 1)
    return confusion_matrix


def known_orders(class_names: Sequence[str]) -> Mapping[str, Indices]:
    """Return the usual mistakes by name, as the class that each output stands for; each order once."""
    in_use = np.arange(len(class_names))

    def sorted_by(key: Callable[[int], int | str]) -> Indices:
        # Output i stands for the class that comes i-th when the classes are sorted so.
        return np.array(sorted(in_use.tolist(), key=key))

    as_text = sorted_by(str)
    as_text_from_one = sorted_by(lambda index: str(index + 1))
    # Of every output, the class that it stands for. The names end sentences; the code of a fix asks for
    # an order by its name.
    # A shift comes first, since of two or three classes others are the same.
    orders = {
        "one place too far": np.roll(in_use, 1),
        "one place too early": np.roll(in_use, -1),
        "sorted as text": as_text,
        "sorted as text from 1 on": as_text_from_one,
        # The names are sorted as text, and the outputs are not: the other way round.
        "sorted as numbers": np.argsort(as_text),
        "sorted as numbers from 1 on": np.argsort(as_text_from_one),
        "sorted by name": sorted_by(lambda index: class_names[index]),
        "reversed": in_use[::-1],
    }
    digits = [re.sub("[^0-9]", "", name) for name in class_names]
    if all(digits):
        orders["sorted by the numbers in their names"] = sorted_by(
            lambda index: int(digits[index])
        )
    # Of equal orders the first one stays, and the order in use is no mistake.
    seen = {in_use.tobytes()}
    distinct = {}
    for rule, order in orders.items():
        if order.tobytes() not in seen:
            seen.add(order.tobytes())
            distinct[rule] = order
    return distinct


def _order_by_rule(labelled: Predictions) -> Finding | None:
    """Whether one of the usual mistakes makes the predictions right."""
    orders = known_orders(labelled.class_names)
    hits_by_rule = {
        rule: int((class_of_output[labelled.index] == labelled.labels).sum())
        for rule, class_of_output in orders.items()
    }
    # The name of the order, such as "sorted by name".
    rule = max(hits_by_rule, key=hits_by_rule.__getitem__, default="")
    image_count = len(labelled)
    if 2 * hits_by_rule.get(rule, 0) <= image_count:
        return None
    output_of_class = np.argsort(orders[rule])
    # As many orders were tried as there are rules: Boole's inequality.
    chance = min(1.0, len(orders) * _chance_of_order(labelled, output_of_class))
    if chance > CHANCE_POSSIBLE:
        return None
    # Under the right order a working network would have more hits.
    chance_of_so_few = 1 - chance_of_at_least(
        hits_by_rule[rule] + 1, image_count, WORKING_SHARE
    )
    return _class_order_finding(
        f"The class names are in another order: the classes of the model are {rule}.",
        Evidence("images predicted correctly as it is", int(labelled.correct.sum())),
        Evidence(
            f"predicted correctly if {rule}",
            hits_by_rule[rule],
            supports=chance_of_so_few >= CHANCE_NAMED,
        ),
        Evidence(
            _BY_CHANCE_TEXT, chance, CHANCE_NAMED, supports=chance <= CHANCE_NAMED
        ),
        sure=chance <= CHANCE_NAMED <= chance_of_so_few,
        code=_NAMES_CODE + _RULE_CODE.format(rule) + _RENAMING_CODE,
    )


def _chance_of_order(labelled: Predictions, output_of_class: Indices) -> float:
    """Return the most that chance puts so many classes where an order has them; more than 1 is all."""
    labels = labelled.labels
    class_count = len(output_of_class)
    is_hit = labelled.index == output_of_class[labels]
    distances = np.abs(output_of_class - np.arange(class_count))
    moved_classes = [label for label in np.unique(labels).tolist() if distances[label]]
    # Classes of which at least half of the images are predicted as the order has it.
    fitting_classes = [
        label for label in moved_classes if 2 * is_hit[labels == label].mean() >= 1
    ]
    # Which outputs a faulty network prefers is not known, so they are drawn as from Pólya's urn: the first
    # class hits one of K outputs with 1 / K, and another one after j hits with 1 / (K + j). Neighbours in a
    # list of classes are often alike, and taken for each other: at least at ADJACENT_RATE.
    hit_chances = (
        max(
            1 / (class_count + earlier_hits),
            ADJACENT_RATE if distances[label] == 1 else 0.0,
        )
        for earlier_hits, label in enumerate(fitting_classes)
    )
    # Any of the moved classes may be those that fit: a bound, which may exceed 1.
    return float(comb(len(moved_classes), len(fitting_classes)) * prod(hit_chances))


def _chance_if_wrongly_prepared(
    hits_by_class: Int64, images_by_class: Int64
) -> tuple[float, bool]:
    """Return the chance of as many hits where a preprocessing is to blame, and whether classes are enough.

    Both are int64 (classes,): hits in the best order, and images.
    """
    has_two_hits = hits_by_class >= 2
    # Of wrongly prepared images, the best of all orders explains up to this share by chance.
    chance = chance_of_at_least(
        int(hits_by_class[has_two_hits].sum()),
        int(images_by_class[images_by_class >= 2].sum()),
        SHARE_IF_WRONGLY_PREPARED,
    )
    # Wrongly prepared, a class gets any output: the chance that no two of these classes get the same.
    chance_of_distinct_outputs = prod(
        1 - taken / len(has_two_hits) for taken in range(has_two_hits.sum())
    )
    classes_suffice = (
        chance_of_distinct_outputs <= CHANCE_POSSIBLE
        and chance * chance_of_distinct_outputs <= CHANCE_NAMED**2
    )
    return chance, classes_suffice


def _order_by_images(
    labelled: Predictions, *, most_are_right_as_is: bool
) -> Finding | None:
    """Whether one other order, whichever, explains what others of the same class do not contradict."""
    confusion_matrix = _confusion_matrix(labelled)
    class_count = len(confusion_matrix)
    all_classes = np.arange(class_count)
    output_of_class = _order_with_most_hits(confusion_matrix)
    hits_by_class = confusion_matrix[all_classes, output_of_class]
    images_by_class = confusion_matrix.sum(axis=1)
    # Classes most of whose images are predicted as another one; of these, those that exchange their places.
    is_moved = (output_of_class != all_classes) & (2 * hits_by_class > images_by_class)
    is_mutual = output_of_class[output_of_class] == all_classes
    is_in_pair = is_moved & is_moved[output_of_class] & is_mutual
    order_with_exchanged_pairs = np.where(is_in_pair, output_of_class, all_classes)
    hits_and_images = np.stack(
        [confusion_matrix[all_classes, order_with_exchanged_pairs], images_by_class]
    )
    pair_hits, pair_images = hits_and_images[:, is_in_pair].sum(axis=1).tolist()
    other_hits, other_images = hits_and_images[:, ~is_in_pair].sum(axis=1).tolist()
    if pair_images and other_hits > WORKING_SHARE * other_images:
        output_of_class = order_with_exchanged_pairs
        summary = "Some classes are predicted as each other, the rest is mostly right."
        # Laplace's estimate of the share of wrong predictions, from the classes that have not moved.
        error_share = (other_images - other_hits + 1) / (other_images + 2)
        # A network that cannot tell two classes apart mixes half of their images up: the sign test (Conover
        # 1999, section 3.4). Of K classes, at most K times the share of errors can be such pairs: Boole's
        # inequality.
        most_pairs_by_chance = error_share * np.count_nonzero(images_by_class)
        chance = most_pairs_by_chance * chance_of_at_least(pair_hits, pair_images, 0.5)
        # A class with a single image may have moved by mistake.
        has_enough_support = hits_by_class[is_in_pair].min() > 1
    else:
        summary = "Each class is predicted as one other, always the same."
        # A single image of a class fits any output, and proves nothing.
        proved_count = (hits_by_class[is_moved] >= 2).sum()
        too_few_moved = proved_count < min(LEAST_CLASSES, class_count)
        chance, classes_suffice = _chance_if_wrongly_prepared(
            hits_by_class, images_by_class
        )
        if too_few_moved or most_are_right_as_is or chance > CHANCE_POSSIBLE:
            return None
        # A wrongly prepared network hardly has another output for each of many classes, and is seldom sure.
        has_enough_support = (
            classes_suffice or float(labelled.probability.mean()) >= SURE_CONFIDENCE
        )
    class_of_output = np.argsort(output_of_class)
    right_count = int(confusion_matrix[:, output_of_class].trace())
    is_unlikely = bool(chance <= CHANCE_NAMED)
    return _class_order_finding(
        summary,
        Evidence(f"of {len(labelled)} images right in that order", right_count),
        Evidence(_BY_CHANCE_TEXT, min(chance, 1.0), CHANCE_NAMED, supports=is_unlikely),
        sure=bool(is_unlikely and has_enough_support),
        code=f"{_NAMES_CODE}order = {class_of_output.tolist()}{_RENAMING_CODE}",
    )
