"""In what a folder differs from the training images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from kit._arrays import Bools, Float64, Int64
from kit._reporting import Progress, Result, Steps, Table
from kit.classifier import Classifier
from kit.classifier.labels import Trial, Truth, class_indices, known
from kit.classifier.reference import InputStatistics, measured_responses, measured_rows
from kit.images import Photo, Pictures
from kit.images.photo import UNREADABLE, at_least_one, each_picture, names_of
from kit.images.properties import QUANTITIES
from kit.perturbation.alterations import ALTERATIONS, Alteration
from kit.robustness.attribution import Explanation, explanations
from kit.robustness.profile import distances

FEWEST = 20
"""Pictures on each side from which anything is said."""

LEVEL = 0.01
"""Probability of an accusation by chance, over all quantities and the answers together (Holm, 1979)."""

NEGLIGIBLE = 0.147
"""Size of Cliff's delta below which a difference is negligible (Romano et al., 2006)."""

_FOLDS = 5
_SEED = 0


@dataclass(frozen=True)
class Difference:
    """How one quantity differs between training pictures and photos.

    Attributes
    ----------
    quantity
        Key of `kit.images.properties.QUANTITIES`.
    training, photos
        Medians, in the unit of the quantity; means of ``turned``. NaN where nothing was measured.
    delta
        Cliff's delta, -1..1: the share of pairs in which the photo has more, less those in which it has less.
        Values within the resolution of the quantity are taken as equal.
    low, high
        Interval of `delta` with 95 % confidence.
    p_value
        Of Mann and Whitney's test, two-sided, multiplied by Holm's factor for this many comparisons. NaN
        where fewer than `FEWEST` pictures have a value on either side.
    """

    quantity: str
    training: float
    photos: float
    delta: float
    low: float
    high: float
    p_value: float

    @property
    def differs(self) -> bool:
        """Whether the difference is neither chance nor negligible."""
        return self.p_value < LEVEL and abs(self.delta) >= NEGLIGIBLE


def differences(training: Float64, photos: Float64, besides: int = 0) -> tuple[Difference, ...]:
    """Compare measures quantity by quantity.

    Parameters
    ----------
    training, photos
        float64 (pictures, quantities), as `InputStatistics.rows`. Not changed.
    besides
        Other comparisons that share the `LEVEL`.

    Returns
    -------
    tuple of Difference
        One for each quantity, in the order of `kit.images.properties.QUANTITIES`.
    """
    found = []
    for column, name in enumerate(QUANTITIES):
        ours, theirs = _known(training[:, column]), _known(photos[:, column])
        middle = np.mean if name == "turned" else np.median
        first, second = (float(middle(side)) if side.size else np.nan for side in (ours, theirs))
        few = min(ours.size, theirs.size) < FEWEST
        numbers = (np.nan,) * 4 if few else _ranked(_steps(name, ours), _steps(name, theirs))
        found.append(Difference(name, first, second, *numbers))
    adjusted = holm([difference.p_value for difference in found], besides)
    return tuple(replace(one, p_value=value) for one, value in zip(found, adjusted, strict=True))


def holm(p_values: list[float], besides: int = 0) -> list[float]:
    """Return p-values adjusted for these and other comparisons (Holm, 1979); NaN stays and does not count."""
    adjusted = list(p_values)
    order = sorted((value, place) for place, value in enumerate(p_values) if not np.isnan(value))
    highest = 0.0
    for rank, (value, place) in enumerate(order):
        highest = max(highest, min(value * (len(order) - rank + besides), 1.0))
        adjusted[place] = highest
    return adjusted


def interval(share: float, first: int, second: int) -> tuple[float, float]:
    """95 % interval of a Mann-Whitney share, the area under a receiver operating characteristic.

    Method 5 of Newcombe (Confidence intervals for an effect size measure based on the Mann-Whitney statistic,
    part 2, 2006), which is of Wilson's kind: it has a length at 0 and 1 as well.

    Parameters
    ----------
    share
        0..1.
    first, second
        Sizes of the two samples.
    """
    from scipy.optimize import brentq  # noqa: PLC0415 (heavy)

    z = NormalDist().inv_cdf(0.975)
    many = (first + second) / 2 - 1

    def beyond(true: float) -> float:
        spread = 1 + many * ((1 - true) / (2 - true) + true / (1 + true))
        return (share - true) ** 2 - z**2 * true * (1 - true) * spread / (first * second)

    # 0 and 1 always solve it; the solution sought lies between them and the share.
    tiny = 1e-9
    low = brentq(beyond, 0, min(share, 1 - tiny)) if share > tiny else 0.0
    high = brentq(beyond, max(share, tiny), 1) if share < 1 - tiny else 1.0
    return float(low), float(high)


def domain_auroc(training: Float64, photos: Float64) -> tuple[float, float, float]:
    """Tell photos from training pictures by all measures together, with a random forest.

    Its area under the receiver operating characteristic, on pictures that the trees have not seen (five-fold
    cross-validation), says how far the two can be told apart: 0.5 not at all, 1 always.

    Parameters
    ----------
    training, photos
        float64 (pictures, quantities). Not changed.

    Returns
    -------
    area, low, high
        With its interval of 95 % confidence. NaN where there are too few pictures.
    """
    if min(len(training), len(photos)) < FEWEST:
        return np.nan, np.nan, np.nan
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 (heavy)
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415

    # What is in files alone says where pictures are kept and not what is in them.
    known = ~np.isnan(training).any(axis=0) & ~np.isnan(photos).any(axis=0)
    both = np.concatenate([training, photos])
    steps = np.stack([_steps(name, column) for name, column in zip(QUANTITIES, both.T, strict=True)], axis=1)
    table = steps[:, known]
    truth = np.repeat([0, 1], [len(training), len(photos)])
    forest = RandomForestClassifier(100, min_samples_leaf=3, class_weight="balanced", random_state=_SEED)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED)
    scores = cross_val_predict(forest, table, truth, cv=folds, method="predict_proba")[:, 1]
    area = float(roc_auc_score(truth, scores))
    return area, *interval(area, len(training), len(photos))


def _known(values: Float64) -> Float64:
    return values[~np.isnan(values)]


def _steps(name: str, values: Float64) -> Float64:
    """Whole steps of a quantity's resolution."""
    return np.asarray(np.rint(QUANTITIES[name].scaled(values) / QUANTITIES[name].resolution))


def _ranked(training: Float64, photos: Float64) -> tuple[float, float, float, float]:
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 (heavy)

    if np.unique(np.concatenate([training, photos])).size == 1:
        share, p_value = 0.5, 1.0
    else:
        tested = mannwhitneyu(photos, training, method="asymptotic")
        share, p_value = float(tested.statistic) / (len(training) * len(photos)), float(tested.pvalue)
    low, high = interval(share, len(training), len(photos))
    return 2 * share - 1, 2 * low - 1, 2 * high - 1, p_value


AnswerVerdict = Literal["other_classes", "follows", "unchanged", "cannot_tell"]

_DRAWS = 4999
_CHANCE = 0.99
_SEED_answers = 0


@dataclass(frozen=True)
class AnswerShift:
    """How often each class is answered, for the training pictures and for the photos.

    Confidences are left out: a network is surer of the pictures that it has learned than of others like them.

    Attributes
    ----------
    training, photos
        Pictures that are answered with each class, in the order of `names`.
    names
        Of the classes.
    p_value
        Of the chi-squared statistic, by drawing photos out of all pictures together at random, multiplied by
        the number of comparisons: this one and all quantities. NaN where fewer than `FEWEST` pictures are on
        either side. (Lipton et al. 2018, arXiv 1802.03916, and Rabanser et al. 2019, arXiv 1810.11953,
        compare answers too.)
    chance
        Total variation distance that random draws seldom pass, one of a hundred.
    verdict
        ``"other_classes"``, where nothing differs among pictures that are answered alike, or where the
        answers differ more than the alterations that were found can change them; ``"follows"`` (they differ,
        but these alterations may do that), ``"unchanged"``, or ``"cannot_tell"`` (too few pictures).
    """

    training: tuple[int, ...]
    photos: tuple[int, ...]
    names: tuple[str, ...]
    p_value: float
    chance: float
    verdict: AnswerVerdict = "cannot_tell"

    @property
    def moved(self) -> Float64:
        """Share of photos less that of training pictures answered with each class: float64 (classes,)."""
        ours, theirs = (np.array(counts) / max(sum(counts), 1) for counts in (self.training, self.photos))
        return np.asarray(theirs - ours)

    @property
    def distance(self) -> float:
        """Total variation distance: the least share of the photos that would need another answer, 0..1."""
        return float(np.abs(self.moved).sum() / 2)

    @property
    def summary(self) -> str:
        """What moved most, in words, in percent of the pictures on a side."""
        most = np.argsort(-np.abs(self.moved), kind="stable")[:3]
        return ", ".join(f"{self.names[each]} {self.moved[each]:+.0%}" for each in most)


def compared_answers(training: Int64, photos: Int64, names: tuple[str, ...]) -> AnswerShift:
    """Compare how often each class is answered.

    Parameters
    ----------
    training, photos
        int64 (pictures,): index of the class that each picture is answered with.
    names
        Of the classes.
    """
    ours, theirs = (np.bincount(answers, minlength=len(names)) for answers in (training, photos))
    told = tuple(ours.tolist()), tuple(theirs.tolist()), names
    if min(len(training), len(photos)) < FEWEST:
        return AnswerShift(*told, np.nan, np.nan)
    there = ours + theirs > 0
    total, count = (ours + theirs)[there], len(photos)
    expected = total * count / total.sum()
    generator = np.random.default_rng(_SEED_answers)
    drawn = generator.multivariate_hypergeometric(total, count, size=_DRAWS, method="count") - expected
    moved = theirs[there] - expected
    # With these margins fixed, chi-squared is this sum but for a factor.
    beyond = (drawn**2 / total).sum(axis=1) >= (moved**2 / total).sum() * (1 - 1e-12)
    # A picture that one side has more of, the other has less.
    distances = np.abs(drawn).sum(axis=1) / 2 * (1 / count + 1 / len(training))
    p_value = min((1 + int(beyond.sum())) / (1 + _DRAWS) * (1 + len(QUANTITIES)), 1.0)
    verdict: AnswerVerdict = "follows" if p_value < LEVEL else "unchanged"
    return AnswerShift(*told, p_value, float(np.quantile(distances, _CHANCE)), verdict)


def alike(training: Int64, photos: Int64) -> tuple[Bools, Bools]:
    """Choose pictures such that each class is answered as often on both sides, as many as that allows.

    Parameters
    ----------
    training, photos
        int64 (pictures,): index of the class that each picture is answered with, in random order.

    Returns
    -------
    training, photos
        bool (pictures,), none of them where no class is answered on both sides.
    """
    size = max(training.max(initial=0), photos.max(initial=0)) + 1
    ours, theirs = (np.bincount(answers, minlength=size) for answers in (training, photos))
    common = (ours > 0) & (theirs > 0)

    def worth(ratio: float) -> float:
        """How much there is to compare, 1 / (1 / n + 1 / m), with n = m * ratio training pictures."""
        return float(np.minimum(theirs, ours / ratio).sum() * ratio / (1 + ratio))

    ratio = max((ours[common] / theirs[common]).tolist(), key=worth, default=1.0)
    return _first(training, np.minimum(ours, theirs * ratio)), _first(
        photos, np.minimum(theirs, ours / ratio)
    )


def _first(answers: Int64, counts: Float64) -> Bools:
    chosen = np.zeros(len(answers), bool)
    for each, count in enumerate(counts):
        chosen[np.flatnonzero(answers == each)[: int(count + 1e-9)]] = True
    return chosen


MOST = 1000
"""Pictures that are measured at most; of more, as many at random."""

KEPT = (64, 256)
"""Pictures, large and small ones, that are kept for asking the classifier."""

_KEPT_PIXELS = 1 << 22

_SEED_gathering = 0


@dataclass(frozen=True, eq=False, repr=False)
class Gathered:
    """Measures of pictures, and some of the pictures.

    Attributes
    ----------
    rows
        float64 (pictures, quantities), in the order of `kit.images.properties.QUANTITIES`.
    photos
        The first of them, `KEPT` at most.
    places
        Position of each row in what was given.
    answers
        int64 (pictures,): index of the class that a classifier answers; empty without one.
    found
        Pictures that there were.
    unreadable
        Name and reason, in the order in which they were given.
    interrupted
        Whether someone stopped it; the rows are a fair sample nevertheless.
    """

    rows: Float64
    photos: tuple[Photo, ...]
    places: tuple[int, ...]
    answers: Int64
    found: int
    unreadable: tuple[tuple[str, str], ...] = ()
    interrupted: bool = False


def gather(
    pictures: Pictures,
    what: str = "photos",
    *,
    classifier: Classifier | None = None,
    progress: Progress = True,
) -> Gathered:
    """Open and measure pictures, in random order, `MOST` of them at most.

    Parameters
    ----------
    pictures
        A folder, a glob pattern, an array, one picture or several: see `kit.images.photo`.
    what
        In words, for the progress bar.
    classifier
        To answer each picture, with the preprocessing in use.
    progress
        As for `kit.shift`.
    """
    found = at_least_one(each_picture(pictures))
    order = np.random.default_rng(_SEED_gathering).permutation(len(found))[:MOST].tolist()
    # In one list, so that an interruption leaves nothing half done.
    done: list[tuple[Float64, int, int]] = []
    photos: list[Photo] = []
    unreadable: dict[int, tuple[str, str]] = {}
    pixels = 0
    with Steps(order, f"measuring {what}", "picture", progress, keep=True) as measured:
        for place in measured:
            try:
                photo = found[place].open()
            except UNREADABLE as error:
                unreadable[place] = (found[place].name, str(error))
                continue
            answer = -1 if classifier is None else int(classifier.probabilities([photo])[0].argmax())
            done.append((measured_rows([photo])[0], place, answer))
            pixels += photo.pixels[..., 0].size
            if len(photos) < (KEPT[1] if pixels <= _KEPT_PIXELS else KEPT[0]):
                photos.append(photo)
    table = np.array([row for row, _, _ in done], np.float64).reshape(-1, len(QUANTITIES))
    places = tuple(place for _, place, _ in done)
    answers = np.array([answer for _, _, answer in done if classifier is not None], np.int64)
    told = tuple(unreadable[place] for place in sorted(unreadable))
    return Gathered(table, tuple(photos), places, answers, len(found), told, measured.interrupted)


CARES = 0.05
"""Share of the answers that must change at the strength of the shift.

Answers to training pictures are the last to change, so this is less than what photos lose.
"""

FEWEST_IMPACT = 10
"""Pictures from which that is said."""

_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
_INVERTIBLE = frozenset({"brightness", "contrast", "warmth", "tint", "saturation"})
_FARTHEST = 3.0
_SEED_impact = 0
_DRAWS_impact = 200


@dataclass(frozen=True)
class Response:
    """Answers of a classifier over the range of one alteration, or of several at once.

    Attributes
    ----------
    alteration
        Key of `kit.perturbation.alterations.ALTERATIONS`; several are joined by "and".
    pictures
        Which were altered: the ``"training"`` ones as the shift did, the photos back to what the training
        pictures are like (``"undone"``), or the photos ``"once more"``, where that cannot be done.
    strengths
        From none to that of the shift; of several alterations, the part 0..1 of the way there.
    changed
        Share of the answers that differ from those to the pictures as they are, for each strength.
    accuracy
        Share of right answers for each strength; None without labels.
    count
        Pictures.
    """

    alteration: str
    pictures: Literal["training", "undone", "once more"]
    strengths: tuple[float, ...]
    changed: tuple[float, ...]
    accuracy: tuple[float, ...] | None
    count: int

    @property
    def verdict(self) -> Literal["cares", "indifferent", "cannot_tell"]:
        """Whether at least `CARES` of the answers change at the full strength."""
        if self.count < FEWEST_IMPACT:
            return "cannot_tell"
        return "cares" if self.changed[-1] >= CARES else "indifferent"


def respond(
    classifier: Classifier,
    explanations: Sequence[Explanation],
    photos: Sequence[Photo],
    labels: Truth = (),
    *,
    training: bool = False,
) -> Response | None:
    """Alter pictures from nothing to the strength of a shift and ask the classifier each time.

    Parameters
    ----------
    classifier
        With the preprocessing in use.
    explanations
        Of the shift, at least one. Several are done to the same pictures, in the order of
        `kit.perturbation.alterations.ALTERATIONS`: light, colour, lens, noise, file.
    photos
        At least one.
    labels
        Index of the right class of each, None where it is not known; empty where none is.
    training
        Whether these are training pictures; else they are the photos.

    Returns
    -------
    Response
        None where some of several can be undone and others cannot.
    """
    treatments = {_treatment(one, training=training) for one in explanations}
    if len(treatments) > 1:
        return None
    (pictures,) = treatments
    order = list(ALTERATIONS)
    steps = sorted(
        ((ALTERATIONS[one.alteration], _full(one, pictures)) for one in explanations),
        key=lambda step: order.index(step[0].name),
        reverse=pictures == "undone",
    )
    strengths = [
        [alteration.neutral + part * (full - alteration.neutral) for alteration, full in steps]
        for part in _FRACTIONS
    ]
    answers = [
        classifier.probabilities(
            [_altered(photo, [item for item, _ in steps], chosen) if place else photo for photo in photos]
        )
        for place, chosen in enumerate(strengths)
    ]
    trials = [Trial(answers[0], answer, labels) for answer in answers]
    labelled = len(known(labels)[0])
    return Response(
        " and ".join(alteration.name for alteration, _ in steps),
        pictures,
        tuple(each[0] for each in strengths) if len(steps) == 1 else _FRACTIONS,
        tuple(float(trial.changed.mean()) for trial in trials),
        tuple(trial.right[1] / labelled for trial in trials) if labelled else None,
        len(photos),
    )


def _altered(photo: Photo, alterations: Sequence[Alteration], strengths: Sequence[float]) -> Photo:
    for alteration, strength in zip(alterations, strengths, strict=True):
        photo = alteration.apply(photo, strength)
    return photo


def _full(explanation: Explanation, pictures: str) -> float:
    if pictures == "undone" and not explanation.opposite:
        return float(np.clip(1 / max(explanation.strength, 1e-3), 1 / _FARTHEST, _FARTHEST))
    return explanation.strength


def _treatment(explanation: Explanation, *, training: bool) -> Literal["training", "undone", "once more"]:
    # What training pictures went through cannot be done to them again, so the photos go through it.
    if explanation.opposite:
        return "undone"
    if training:
        return "training"
    return "undone" if ALTERATIONS[explanation.alteration].quantity in _INVERTIBLE else "once more"


def layer_distance(classifier: Classifier, photos: Sequence[Photo]) -> tuple[float, float] | None:
    """Divergence of what the first layers receive from the training pictures, beside what is usual.

    Parameters
    ----------
    classifier
        With the preprocessing in use.
    photos
        At least one.

    Returns
    -------
    distance
        In nats, mean over the first layers of `distances`: the Kullback-Leibler
        divergence from the pictures to the moving averages of BatchNorm, or to the profile of training
        pictures.
    usual
        The 95th percentile of the same for as many pictures drawn from that profile; NaN where the file has
        no profile. None where nothing is known of the training pictures.
    """
    layers = classifier.first_layers
    if layers is None or not layers.source:
        return None
    tensors = np.concatenate([classifier.tensor(photo) for photo in photos])
    distance = float(distances(layers.measure(tensors).mean(axis=0), layers).mean())
    if layers.profile is None:
        return distance, float("nan")
    generator = np.random.default_rng(_SEED_impact)
    draws = generator.integers(len(layers.profile), size=(_DRAWS_impact, len(photos)))
    usual = [float(distances(layers.profile[draw].mean(axis=0), layers).mean()) for draw in draws]
    return distance, float(np.quantile(usual, 0.95))


Verdict = Literal["shifted", "follows", "unchanged", "cannot_tell"]

_HEAD = ("quantity", "unit", "training", "photos", "delta", "95 %", "p", "verdict")
_CARES = {
    "cares": "the classifier cares",
    "indifferent": "the classifier hardly cares",
    "cannot_tell": "too few pictures to tell whether the classifier cares",
}
_TREATED = {
    "training": "of the answers to training pictures change when they are altered in this way",
    "undone": "of the answers change when this is undone",
    "once more": "of the answers change when this is done to the photos once more",
}
_ANSWERED = {
    "other_classes": "other classes",
    "follows": "they differ, as these alterations may make them",
    "unchanged": "each class about as often",
}


@dataclass(frozen=True)
class QuantityShift:
    """What is said about one quantity.

    Attributes
    ----------
    quantity
        Key of `kit.images.properties.QUANTITIES`.
    verdict
        ``"shifted"``, ``"follows"`` (differs, but only as another shift makes it), ``"unchanged"``, or
        ``"cannot_tell"`` (too few pictures in which it can be measured).
    difference
        The numbers.
    explanation
        The alteration that explains it, where it is ``"shifted"`` and there is one.
    response
        What the classifier makes of that alteration; None without a classifier.
    """

    quantity: str
    verdict: Verdict
    difference: Difference
    explanation: Explanation | None = None
    response: Response | None = None

    @property
    def summary(self) -> str:
        """One line in words."""
        if self.explanation is None:
            return self.verdict.replace("_", " ")
        alteration = ALTERATIONS[self.explanation.alteration]
        name = alteration.opposite if self.explanation.opposite else alteration.name
        strength = f"{self.explanation.strength:.2g}"
        times = "\N{MULTIPLICATION SIGN}"
        about = f"{times}{strength}" if alteration.unit == "factor" else f"{strength} {alteration.unit}"
        return f"{self.verdict}: {name} (about {about})"


@dataclass(frozen=True, eq=False, repr=False)
class Shift(Result):
    """How photos differ from the training pictures.

    Attributes
    ----------
    findings
        One for each quantity: shifted ones first, that which explains most before the others.
    training, photos
        Pictures that were compared.
    auroc
        Area under the receiver operating characteristic of a random forest that tells photos from training
        pictures by all quantities, and its interval of 95 % confidence; NaN for too few pictures.
    layers
        Divergence in the first layers and what is usual there, in nats, from
        `kit.robustness.shifts.layer_distance`; None where nothing is known.
    unreadable
        Names of pictures that could not be read, each with the reason.
    notes
        What limits the answer, in words.
    together
        What the classifier makes of all these alterations at once; None for fewer than two, without a
        classifier, and where only some of them can be undone.
    answers
        How often each class is answered; None without a classifier or the training pictures themselves.
    """

    findings: tuple[QuantityShift, ...]
    training: int
    photos: int
    auroc: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    layers: tuple[float, float] | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    together: Response | None = None
    answers: AnswerShift | None = None

    @property
    def other_classes(self) -> bool:
        """Whether the photos show other classes than the training pictures, by the answers."""
        return self.answers is not None and self.answers.verdict == "other_classes"

    @property
    def shifted(self) -> tuple[QuantityShift, ...]:
        """The findings with this verdict, the most important first."""
        return tuple(finding for finding in self.findings if finding.verdict == "shifted")

    @property
    def verdict(self) -> Literal["shifted", "other_classes", "unchanged", "cannot_tell"]:
        """``"shifted"`` where a quantity is; ``"cannot_tell"`` where there are too few pictures on a side."""
        if min(self.training, self.photos) < FEWEST:
            return "cannot_tell"
        if self.shifted:
            return "shifted"
        return "other_classes" if self.other_classes else "unchanged"

    def text(self) -> str:
        """Return the report as lines of text."""
        lines = [self._headline(), *(f"Note: {note}" for note in self.notes)]
        lines += ["", str(self.table()), "", *self._remarks()]
        return "\n".join(lines).rstrip()

    def table(self) -> Table:
        """Set the findings in a table, one row for each quantity."""
        rows = [cells[:1] + cells[2:] for cells in map(_cells, self.findings)]
        return Table(_HEAD[:1] + _HEAD[2:], rows, "<>>><><", widths=(16, 8, 8, 6, 16, 6))

    def html(self) -> str:
        """Return the report as HTML; whatever came from a file or a person is escaped."""
        table = Table(_HEAD, map(_cells, self.findings), "<" * len(_HEAD))
        notes = "".join(f"<p>{escape(note)}</p>" for note in (*self.notes, *self._remarks()))
        return (
            f'<div class="kit-shift"><p><strong>{escape(self._headline())}</strong></p>'
            f"{table.html()}{notes}</div>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain lists, numbers and texts, for JSON; None for what is not known."""
        found = super().to_dict()
        findings = found.pop("findings")
        for each in findings:
            # A number for every quantity: what the share says in one.
            (each["explanation"] or {}).pop("moved", None)
        shifted = [finding.quantity for finding in self.shifted]
        return {"verdict": self.verdict, "shifted": shifted, **found, "findings": findings}

    def _headline(self) -> str:
        counts = f"{self.photos} photos against {self.training} training pictures"
        if self.verdict == "cannot_tell":
            return f"{counts}: cannot tell, {FEWEST} on each side are needed."
        if self.verdict == "other_classes":
            return f"{counts}: other classes by the answers, and no other pictures of them."
        if self.verdict == "unchanged":
            return f"{counts}: no measured quantity is shifted."
        names = ", ".join(QUANTITIES[finding.quantity].label for finding in self.shifted)
        return (
            f"{counts}: shifted in {names}{'; other classes by the answers' if self.other_classes else ''}."
        )

    def _remarks(self) -> list[str]:
        area, low, high = self.auroc
        asked = [(QUANTITIES[one.quantity].label, one.response) for one in self.shifted]
        causes = [QUANTITIES[one.quantity].label for one in self.shifted if one.explanation is not None]
        asked.append((f"{_listed(causes)} together", self.together))
        lines = [_answered(label, response) for label, response in asked if response is not None]
        if self.answers is not None and self.answers.verdict != "cannot_tell":
            lines.append(f"Answers: {_ANSWERED[self.answers.verdict]} ({self.answers.summary}).")
        if not np.isnan(area):
            lines.append(
                f"Told apart by all quantities together: AUROC {area:.2f} ({low:.2f} to {high:.2f});"
                " 0.5 and less is chance."
            )
        if self.layers is not None:
            distance, usual = self.layers
            beside = "" if np.isnan(usual) else f"; up to {usual:.2g} is usual"
            lines.append(f"Divergence in the first layers: {distance:.2g} nats{beside}.")
        if self.unreadable:
            lines.append(f"Not readable: {names_of(self.unreadable)}.")
        return lines

    def _repr_html_(self) -> str:
        return self.html()

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        names = ", ".join(finding.quantity for finding in self.shifted)
        return (
            f"Shift({self.photos} photos, {self.training} training pictures, {self.verdict}: {names or '-'})"
        )


def _answered(label: str, response: Response) -> str:
    changed = f"{response.changed[-1]:.0%} {_TREATED[response.pictures]}"
    right = response.accuracy
    accuracy = "" if right is None else f"; accuracy {right[0]:.0%} becomes {right[-1]:.0%}"
    return f"{label}: {_CARES[response.verdict]}. {changed}{accuracy} ({response.count} pictures)."


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if len(names) > 1 else names)


def _cells(finding: QuantityShift) -> tuple[str, ...]:
    one, quantity = finding.difference, QUANTITIES[finding.quantity]
    return (
        quantity.label,
        quantity.unit,
        _told(one.training, ".3g"),
        _told(one.photos, ".3g"),
        _told(one.delta, "+.2f"),
        "" if np.isnan(one.low) else f"{one.low:+.2f} to {one.high:+.2f}",
        "<0.001" if one.p_value < 0.001 else _told(one.p_value, ".3f"),
        finding.summary,
    )


def _told(value: float, form: str) -> str:
    return "" if np.isnan(value) else format(value, form)


def judged(
    statistics: InputStatistics,
    training: Gathered | None,
    photos: Gathered,
    classifier: Classifier | None,
    labels: Truth = (),
    *,
    progress: Progress = False,
) -> tuple[tuple[QuantityShift, ...], Response | None, AnswerShift | None, tuple[str, ...]]:
    """Tell other pictures from other classes; what `shift` does once everything is measured and answered.

    Other classes are other pictures too: T-shirts are brighter than shoes. So where the answers differ,
    pictures are compared with those that are answered alike; and alterations move no more answers than they
    change. What no quantity measures, such as a turn, looks like other classes.

    Parameters
    ----------
    statistics, training
        Of the training pictures; and those themselves, where there are any.
    photos
        With `Gathered.answers`, as the training pictures, where there is a classifier.
    classifier
        With a known preprocessing.
    labels, progress
        Of the photos that are kept, and as for `shift`.

    Returns
    -------
    findings, together, answers, notes
        As in `Shift`.
    """
    if classifier is None or not photos.photos:
        return findings(statistics, photos.rows), None, None, ()
    examples = () if training is None else training.photos
    ask = partial(_asked, classifier, examples, photos.photos, labels, progress=progress)
    found = findings(statistics, photos.rows, besides=int(training is not None))
    if training is None:
        return (
            *ask(found),
            None,
            ("the answers are not compared: that takes the training pictures themselves",),
        )
    answers = compared_answers(training.answers, photos.answers, tuple(classifier.class_names))
    if answers.verdict != "follows":
        return *ask(found), answers, ()
    ours, theirs = alike(training.answers, photos.answers)
    enough = min(ours.sum(), theirs.sum()) >= FEWEST
    counts = f"{theirs.sum()} photos with {ours.sum()} training pictures that are answered alike"
    note = f"compared are {counts}" if enough else f"classes may explain what is shifted: there are {counts}"
    within = (
        findings(replace(statistics, rows=statistics.rows[ours]), photos.rows[theirs], 1) if enough else ()
    )
    others = replace(answers, verdict="other_classes")
    if within and not any(one.verdict == "shifted" for one in within):
        return within, None, others, (note,)
    shifted, together = ask(found)
    if _accounted(answers, shifted, together):
        return shifted, together, answers, ()
    return *(ask(within) if within else (shifted, together)), others, (note,)


def _accounted(answers: AnswerShift, found: Sequence[QuantityShift], together: Response | None) -> bool:
    """Whether alterations change as many answers as differ, or are too strong to say how many."""
    responses = [together, *(one.response for one in found)]
    changed = max((one.changed[-1] for one in responses if one is not None), default=0.0)
    strongest = any(one.explanation is not None and one.explanation.strongest for one in found)
    return strongest or answers.distance - answers.chance <= changed


def findings(statistics: InputStatistics, rows: Any, besides: int = 0) -> tuple[QuantityShift, ...]:
    """Compare measures and rank the quantities; what `shift` does once everything is measured.

    Parameters
    ----------
    statistics
        Of the training pictures.
    rows
        float64 (pictures, quantities): measures of the photos, as
        `kit.classifier.reference.measured_rows` gives them.
    besides
        Other comparisons that share the probability of an accusation by chance.
    """
    compared = {one.quantity: one for one in differences(statistics.rows, rows, besides)}
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


def _asked(
    classifier: Classifier,
    examples: Sequence[Photo],
    photos: Sequence[Photo],
    labels: Truth,
    found: Sequence[QuantityShift],
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
        Training pictures (`kit.images.photo`), their `InputStatistics`, or a classifier whose file
        carries those (`Classifier.save` with ``training=`` puts them there).
    photos
        See `kit.images.photo`. At most 1,000 are measured, at random; interrupting keeps what was
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
