"""The order of the classes: whether the answers are right under another order than the one in use.

One or two labelled pictures do, where there are many classes: a wrong answer seldom hits by chance what text
sorting ("1", "10", "2") or a shift by one predicts. How seldom is the number that decides.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from kit._arrays import Float32, Indices
from kit.classifier.trial import Truth, known
from kit.diagnosis.finding import Evidence, Finding, Verdict, at_least, conclude

NAMED, POSSIBLE = 0.01, 0.1
"""Probability that answers fit an order by chance, up to which it is named, and is possible."""

ADJACENT = 0.1
"""Share of wrong answers that lie next to the label anyway: lists of classes put like beside like."""

CONSISTENT = 0.8
"""Share of the answers that an order without a rule must explain; a good network is wrong in the rest."""

MOVED = 3
"""Classes, each with two pictures, that must have changed places to name an order without a rule."""

_CODE = {
    "sorted as text": "order = sorted(range(len(class_names)), key=str)",
    "sorted as numbers": "text = sorted(range(len(class_names)), key=str)\n"
    "order = [text.index(place) for place in sorted(text)]",
    "sorted by name": "order = sorted(range(len(class_names)), key=lambda place: class_names[place])",
    "one place too far": "order = [(place - 1) % len(class_names) for place in range(len(class_names))]",
    "one place too early": "order = [(place + 1) % len(class_names) for place in range(len(class_names))]",
    "reversed": "order = range(len(class_names))[::-1]",
}


def check_class_order(probabilities: Float32, labels: Truth, class_names: Sequence[str]) -> Finding | None:
    """Look for an order of the classes under which the answers are right.

    Parameters
    ----------
    probabilities
        float32, shape (N, classes).
    labels
        Index of the right class in the order in use, for each picture; None where it is not known.
    class_names
        In the order in use.

    Returns
    -------
    Finding or None
        Cause ``"class_order"``.
    """
    places, indices = known(labels)
    if not places:
        return None
    truth = np.array(indices, dtype=np.intp)
    answers = probabilities[places].argmax(axis=1)
    right = float((answers == truth).mean())
    if right > 0.5:
        return None
    orders = known_orders(class_names)
    chances = {name: _chance(answers, truth, order, name) for name, order in orders.items()}
    best = min(chances, key=lambda name: chances[name], default=None)
    if best is not None and min(1.0, chances[best] * len(orders)) <= POSSIBLE:
        return _by_rule(best, orders[best], answers, truth, class_names, chances[best] * len(orders))
    return _without_rule(answers, truth, probabilities[places], right)


def known_orders(class_names: Sequence[str]) -> Mapping[str, Indices]:
    """Return the usual mistakes by name, as the class that each output stands for; without repetitions.

    Parameters
    ----------
    class_names
        In the order in use.
    """
    count = len(class_names)
    numbers = np.arange(count)
    as_text = np.array(sorted(range(count), key=str), dtype=np.intp)
    by_name = np.array(sorted(range(count), key=lambda place: class_names[place]), dtype=np.intp)
    candidates = {
        "sorted as text": as_text,
        "sorted as numbers": np.argsort(as_text),
        "sorted by name": by_name,
        "one place too far": (numbers - 1) % count,
        "one place too early": (numbers + 1) % count,
        "reversed": numbers[::-1],
    }
    distinct: dict[bytes, str] = {numbers.astype(np.intp).tobytes(): ""}
    for name, order in candidates.items():
        distinct.setdefault(order.astype(np.intp).tobytes(), name)
    return {name: candidates[name] for name in distinct.values() if name}


def _chance(answers: Indices, truth: Indices, order: Indices, name: str) -> float:
    """Return how probable it is that wrong answers fit an order as well as these do."""
    output = np.argsort(order)[truth]
    telling = output != truth
    count, fits = int(telling.sum()), int((telling & (answers == output)).sum())
    if fits == 0 or 2 * fits <= count or (count > 1 and len(set(answers[telling].tolist())) == 1):
        return 1.0
    hit = min(0.5, max(1 / max(len(order) - 1, 1), ADJACENT if name.startswith("one place") else 0.0))
    return at_least(fits, count, hit)


def _by_rule(
    name: str, order: Indices, answers: Indices, truth: Indices, class_names: Sequence[str], chance: float
) -> Finding:
    fits = int((order[answers] == truth).sum())
    verdict: Verdict = "named" if chance <= NAMED else "possible"
    first = int(answers[0])
    return conclude(
        "class_order",
        verdict,
        f"The classes of the network are {name}: output {first} is called {class_names[first]!r}, and "
        f"{class_names[int(order[first])]!r} would be right.",
        Evidence("labelled pictures answered rightly in the order in use", int((answers == truth).sum())),
        Evidence(f"of {len(truth)} labelled pictures, answered rightly if {name}", fits, supports=True),
        Evidence("probability that wrong answers fit so well by chance", chance, NAMED, chance <= NAMED),
        advice="Give the class names in the order of the training.",
        code=f"{_CODE[name]}\nclass_names = [class_names[place] for place in order]",
        cost=fits / len(truth),
    )


def _without_rule(answers: Indices, truth: Indices, probabilities: Float32, right: float) -> Finding | None:
    """Whether each class is taken for one other class, always the same, and no two for the same one."""
    given: dict[int, list[int]] = defaultdict(list)
    for label, answer in zip(truth.tolist(), answers.tolist(), strict=True):
        given[label].append(answer)
    usual = {label: max(set(found), key=found.count) for label, found in given.items()}
    explained = float(np.mean([usual[label] == answer for label, answer in zip(truth, answers, strict=True)]))
    repeated = [label for label, found in given.items() if found.count(usual[label]) >= 2]
    moved = [label for label in repeated if usual[label] != label]
    one_to_one = len({usual[label] for label in repeated}) == len(repeated)
    sure = float(probabilities.max(axis=1).mean())
    if not (one_to_one and len(moved) >= MOVED - 1 and explained >= CONSISTENT and sure > 0.5):
        return None
    return conclude(
        "class_order",
        "named" if len(moved) >= MOVED else "possible",
        "Each class is taken for one other, always the same: the names are in another order.",
        Evidence("share answered rightly in the order in use", right, 0.5, supports=True),
        Evidence("share that one other order explains", explained, CONSISTENT, supports=True),
        Evidence("classes with two pictures or more that changed places", len(moved), MOVED),
        advice="Give the class names in the order of the training, such as train_dataset.class_names.",
        code="\n".join(f"# output {usual[label]} is class {label}" for label in sorted(moved)),
        cost=explained - right,
    )
