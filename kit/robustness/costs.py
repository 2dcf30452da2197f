"""What each preprocessing fault costs a classifier on pictures whose class is known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kit.classifier import Classifier
from kit.classifier.trial import Trial, hits, known
from kit.images import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE, STEPS, Fault


@dataclass(frozen=True)
class Cost:
    """Answers of a classifier under one fault, beside those without it.

    Attributes
    ----------
    fault
        Name in the catalogue, ``""`` for the preprocessing as in training.
    title
        What is done instead, in words.
    right
        Share of the pictures answered rightly, 0 to 1.
    changed
        Share of the pictures whose answer differs from the one without the fault, 0 to 1.
    probability
        Mean softmax probability of the right class, 0 to 1.
    confidence
        Mean softmax probability of the class answered, 0 to 1.
    wrong_and_sure
        Share of the pictures answered wrongly with a softmax probability above 0.5, 0 to 1.
    """

    fault: str
    title: str
    right: float
    changed: float
    probability: float
    confidence: float
    wrong_and_sure: float


def fault_costs(
    classifier: Classifier,
    photos: Sequence[Photo],
    labels: Sequence[int],
    faults: Iterable[Fault] | None = None,
    *,
    progress: bool = True,
) -> tuple[Cost, ...]:
    """Measure every fault that changes the classifier's preprocessing, the most expensive first.

    Parameters
    ----------
    classifier
        With a known preprocessing.
    photos, labels
        Pictures and the index of the class that each shows.
    faults
        Faults to measure; all of the catalogue if left out.
    progress
        Whether to show a progress bar.

    Returns
    -------
    tuple of Cost
        The first is the preprocessing as in training; the others follow, the fewest right answers first, then
        the lowest probability of the right class.

    Raises
    ------
    ValueError
        If the preprocessing is unknown, or the labels do not fit the photographs.
    """
    from tqdm.auto import tqdm  # noqa: PLC0415 - half of what importing the kit costs

    trained = classifier.preprocessing
    if trained is None:
        raise ValueError(
            "Expected a classifier with a known preprocessing, received one without; set it first"
        )
    if len(labels) != len(photos):
        raise ValueError(f"Expected {len(photos)} labels, one for each photograph, received {len(labels)}")
    answers = classifier.probabilities(photos)

    def cost(name: str, title: str, preprocessing: Preprocessing) -> Cost:
        found = classifier.probabilities(photos, preprocessing=preprocessing)
        return _cost(name, title, Trial(answers, found, labels))

    # Two faults can come to the same: without a divisor, no mean and standard deviation is no scaling at all.
    distinct: dict[Preprocessing, Fault] = {}
    for fault in faults or CATALOGUE.values():
        distinct.setdefault(fault.apply(trained), fault)
    distinct.pop(trained, None)
    bar = tqdm(distinct.items(), desc="Faults", disable=not progress, leave=False)
    costs = [cost(fault.name, f"{STEPS[fault.step]}: {fault.title}", faulty) for faulty, fault in bar]
    return (
        cost("", "as in training", trained),
        *sorted(costs, key=lambda item: (item.right, item.probability)),
    )


def _cost(name: str, title: str, trial: Trial) -> Cost:
    confidence, right = trial.after.max(axis=1), hits(trial.after, trial.labels)
    return Cost(
        name,
        title,
        right=float(right.mean()),
        changed=float(trial.changed.mean()),
        probability=float(trial.after[known(trial.labels)].mean()),
        confidence=float(confidence.mean()),
        wrong_and_sure=float((~right & (confidence > 0.5)).mean()),
    )


def cost_table(costs: Sequence[Cost]) -> str:
    """Set the costs as text, one line each, with whole percentages."""
    width = max(len(item.title) for item in costs)
    head = f"{'preprocessing':<{width}}  right  changed  confidence  wrong and sure"
    lines = [
        f"{item.title:<{width}}  {item.right:5.0%}  {item.changed:7.0%}"
        f"  {item.confidence:10.0%}  {item.wrong_and_sure:14.0%}"
        for item in costs
    ]
    return "\n".join([head, *lines])
