"""Two sets of measures held against each other: test, effect size with interval, domain classifier."""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from kit._arrays import Float64
from kit._interrupts import held
from kit.images.properties import QUANTITIES

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
    with held():
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
    with held():
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
    with held():
        from scipy.stats import mannwhitneyu  # noqa: PLC0415 (heavy)

    if np.unique(np.concatenate([training, photos])).size == 1:
        share, p_value = 0.5, 1.0
    else:
        tested = mannwhitneyu(photos, training, method="asymptotic")
        share, p_value = float(tested.statistic) / (len(training) * len(photos)), float(tested.pvalue)
    low, high = interval(share, len(training), len(photos))
    return 2 * share - 1, 2 * low - 1, 2 * high - 1, p_value
