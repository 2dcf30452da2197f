"""Two forms of one network, such as Keras and an export: whether they do the same, and what differs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from kit._arrays import Float32
from kit.preprocessing import Preprocessing
from kit.preprocessing.scaling import SCALINGS, scale, unscale

Function = Callable[[Float32], Float32]

EQUAL = 1e-3
"""Largest difference of a probability, 0..1, of forms that do the same."""
ROUNDED = 0.1
"""Largest mean over pictures of the largest difference that rounded weights may make."""
AGREED = 0.95
"""Share of the answers that stay with weights rounded well."""
RESTORED = 0.25
"""Share of the difference that may be left where a cause is undone."""
RELATED = 0.6
"""Correlation of logarithms of probabilities from which on two networks are taken for forms of one."""
LEAST = 4
"""Fewer pictures say nothing about an order of classes."""
_FLOOR = 1e-4

CAUSES = {
    "same": "both do the same",
    "rounding": "the same but for rounded weights, and the answers stay",
    "inference_mode": "the second answers differently each time, or beside other pictures: as in training",
    "softmax_head": "the second puts out no softmax probabilities",
    "range": "the second expects another range of values",
    "channel_order": "the second expects red and blue the other way round",
    "layout": "the second expects height and width the other way round",
    "class_order": "the second has its classes in another order",
    "quantisation": "the second has weights that are rounded so far that answers change",
    "other_network": "the second is another network, or its weights are rounded beyond recognition",
    "cannot_tell": "the pictures are too few, or answered too much alike, to tell",
}
"""What can differ, in words; the first two are sound."""
SOUND = ("same", "rounding")
UNDONE = ("inference_mode", "softmax_head", "range", "channel_order", "layout", "class_order")
"""Those that are seen in the answers alone, or undone: two networks that are trained apart show none."""


@dataclass(frozen=True)
class Forms:
    """What came of two forms.

    Attributes
    ----------
    cause
        A key of `CAUSES`.
    difference
        Mean over pictures of the largest difference of a probability, 0..1.
    left
        The same once the cause is undone; None where none was undone.
    undone
        What undoes it, in words; empty where nothing does.
    order
        For an order of classes: the index in the first of each class of the second.
    """

    cause: str
    difference: float
    left: float | None = None
    undone: str = ""
    order: tuple[int, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether the second can take the place of the first."""
        return self.cause in SOUND

    def text(self) -> str:
        """Return one sentence."""
        undone = f"; undone by {self.undone}, {self.left:.3f} is left" if self.left is not None else ""
        return f"{CAUSES[self.cause]} (a probability differs by {self.difference:.3f} on average{undone})"


def compare_forms(
    first: Function, second: Function, tensors: Float32, preprocessing: Preprocessing | None = None
) -> Forms:
    """Hold a second form of a network against the first.

    Parameters
    ----------
    first, second
        From float32 tensors (N, H, W, C), as the first expects them, to probabilities float32 (N, classes).
    tensors
        Of pictures that are answered in various ways, 8 or more.
    preprocessing
        That made them; without it another range is looked for among the usual ones all the same.
    """
    rows = first(tensors)
    others = second(tensors)
    if not is_distribution(others):
        return Forms("softmax_head", 1.0)
    if not _steady(second, tensors, others):
        return Forms("inference_mode", _apart(rows, others))
    difference = _apart(rows, others)
    if difference <= EQUAL:
        return Forms("same", difference)
    tried = list(_undone(second, rows, others, tensors, preprocessing))
    best = min(tried, key=lambda one: one.left or 0.0, default=None)
    if best is not None and best.left is not None:
        # An order is made to fit, so it has to fit to the last.
        most = 10 * EQUAL if best.cause == "class_order" else max(RESTORED * difference, EQUAL)
        if best.left <= most:
            return best
    related = rows.shape == others.shape and _correlation(rows, others) >= RELATED
    if related:
        agreed = float(np.mean(rows.argmax(axis=1) == others.argmax(axis=1)))
        cause = "rounding" if agreed >= AGREED and difference <= ROUNDED else "quantisation"
        return Forms(cause, difference)
    varied = len(set(rows.argmax(axis=1).tolist())) >= min(LEAST, rows.shape[1])
    return Forms("other_network" if varied and len(rows) >= LEAST else "cannot_tell", difference)


def _undone(
    second: Function, rows: Float32, others: Float32, tensors: Float32, preprocessing: Preprocessing | None
) -> Iterator[Forms]:
    """Undo one thing after the other, and say what is left."""
    difference = _apart(rows, others)
    for cause, words, changed in _inputs(tensors, preprocessing):
        try:
            again = second(changed)
        except (TypeError, ValueError):
            continue  # a form of another shape refuses it
        yield Forms(cause, difference, _apart(rows, again), words)
    order = _order(rows, others)
    if order is not None:
        left = _apart(rows[:, list(order)], others)
        yield Forms("class_order", difference, left, "putting the classes in order", order)


def _inputs(tensors: Float32, preprocessing: Preprocessing | None) -> Iterator[tuple[str, str, Float32]]:
    """Yield the tensors as another form may expect them, with the cause and what was done."""
    if tensors.shape[-1] == 3:
        yield "channel_order", "exchanging red and blue", np.ascontiguousarray(tensors[..., ::-1])
    if tensors.shape[1] == tensors.shape[2]:
        turned = np.ascontiguousarray(tensors.transpose(0, 2, 1, 3))
        yield "layout", "exchanging height and width", turned
    if preprocessing is None or preprocessing.layout != "channels_last":
        return
    levels = unscale(tensors, preprocessing.scaling)
    for name, scaling in SCALINGS.items():
        fits = all(part.channels in {None, tensors.shape[-1]} for part in scaling)
        if fits and scaling != preprocessing.scaling:
            scaled = scale(levels, scaling)
            yield "range", f"scaling as {name!r}", scaled
            if tensors.shape[-1] == 3:
                both = f"scaling as {name!r}, and exchanging red and blue"
                yield "range", both, np.ascontiguousarray(scaled[..., ::-1])


def _order(rows: Float32, others: Float32) -> tuple[int, ...] | None:
    """Return the best order of the first's classes for the second's; None where pictures are too few."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 (slow to import)

    if rows.shape != others.shape or len(rows) < LEAST:
        return None
    firsts, seconds = linear_sum_assignment(_costs(rows, others))
    order = np.empty(rows.shape[1], int)
    order[seconds] = firsts
    return None if (order == np.arange(len(order))).all() else tuple(order.tolist())


def _costs(rows: Float32, others: Float32) -> Float32:
    """Return the squared distances of classes, float32 (classes, classes)."""
    squares: Float32 = (rows**2).sum(axis=0)[:, None] + (others**2).sum(axis=0)[None]
    return np.asarray(squares - 2 * rows.T @ others, np.float32)


def _apart(rows: Float32, others: Float32) -> float:
    if rows.shape != others.shape:
        return 1.0
    return float(np.nan_to_num(np.abs(rows - others), nan=1.0).max(axis=1).mean())


def _correlation(rows: Float32, others: Float32) -> float:
    ours, theirs = (np.log(np.maximum(each, _FLOOR)).ravel() for each in (rows, others))
    if ours.std() == 0 or theirs.std() == 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def is_distribution(rows: Float32) -> bool:
    """Whether rows are probabilities: within 0..1, and 1 together."""
    inside = bool(np.isfinite(rows).all() and (rows >= -EQUAL).all() and (rows <= 1 + EQUAL).all())
    return inside and bool(np.allclose(rows.sum(axis=1), 1, atol=1e-2))


def _steady(second: Function, tensors: Float32, rows: Float32) -> bool:
    """Whether a form answers the same again, and the same alone as beside others."""
    again = second(tensors)
    alone = np.concatenate([second(tensors[place : place + 1]) for place in range(min(len(tensors), LEAST))])
    return _apart(rows, again) <= EQUAL and _apart(rows[: len(alone)], alone) <= EQUAL
