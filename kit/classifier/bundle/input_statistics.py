"""InputStatistics: measures of training pictures, small enough to travel in a ``.keras`` file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from kit._arrays import Float64
from kit._checking import whole
from kit._reporting import plain
from kit.images import Photo
from kit.images.properties import QUANTITIES, measure
from kit.perturbation.alterations import ALTERATIONS, middle, responses

KEPT = 256
"""Pictures whose measures are kept; of more, as many at random."""

TRIED = (16, 64)
"""Pictures, large and small ones, on which the response to each alteration is measured."""

_TRIED_PIXELS = 1 << 20

_FORMAT = 1
_DIGITS = 4
_SEED = 0


@dataclass(frozen=True, eq=False, repr=False)
class InputStatistics:
    """Measures of some pictures, and how they respond to alterations.

    Attributes
    ----------
    rows
        float64 (pictures, quantities): measures in the order of `QUANTITIES`; NaN
        where there was nothing to measure. `KEPT` pictures at most. Read-only.
    response
        float64 (alterations, strengths, quantities): what `responses` gives for some of the
        pictures. Read-only.
    count
        Pictures that there were.
    """

    rows: Float64
    response: Float64
    count: int

    def __post_init__(self) -> None:
        for name in ("rows", "response"):
            array = np.array(getattr(self, name), np.float64)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of(cls, photos: Sequence[Photo]) -> Self:
        """Measure pictures, `KEPT` of them at most.

        Raises
        ------
        ValueError
            No pictures.
        """
        if not photos:
            raise ValueError("Expected at least one picture, received none")
        order = np.random.default_rng(_SEED).permutation(len(photos))[:KEPT]
        chosen = [photos[place] for place in order]
        return cls(measured_rows(chosen), measured_responses(chosen), len(photos))

    def to_bytes(self) -> bytes:
        """Return this value as JSON in UTF-8; about 70 bytes for each picture."""
        content = plain(_layout() | {"count": self.count, "rows": self.rows, "response": self.response})
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the value that `to_bytes` wrote.

        Raises
        ------
        ValueError
            Anything else, and what was written with other quantities or alterations than there are here.
        """
        try:
            content = json.loads(data)
            for key, expected in _layout().items():
                _check(key, content[key] == expected)
            rows = np.array(content["rows"], np.float64).reshape(-1, len(QUANTITIES))
            shape = (len(ALTERATIONS), -1, len(QUANTITIES))
            return cls(
                rows,
                np.array(content["response"], np.float64).reshape(shape),
                whole("count", content["count"], 0, 1 << 53),
            )
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise ValueError(
                f"Expected input statistics of this version of the kit, received other bytes ({error});"
                " save the classifier anew with training="
            ) from error

    def __repr__(self) -> str:
        return f"InputStatistics({len(self.rows)} of {self.count} pictures, {len(QUANTITIES)} quantities)"


def measured_rows(photos: Sequence[Photo]) -> Float64:
    """Measure pictures: float64 (pictures, quantities), rounded as `InputStatistics` keeps them."""
    return _rounded([tuple(measure(photo).values()) for photo in photos]).reshape(-1, len(QUANTITIES))


def measured_responses(photos: Sequence[Photo]) -> Float64:
    """Measure how the first `TRIED` pictures respond to alterations, as `InputStatistics` keeps it."""
    middles = [middle(photo) for photo in photos[: TRIED[1]]]
    pixels = np.cumsum([photo.pixels[..., 0].size for photo in middles])
    return _rounded(responses(middles[: max(TRIED[0], int((pixels <= _TRIED_PIXELS).sum()))]))


def _rounded(values: Any) -> Float64:
    """Round to `_DIGITS` significant digits, as they are kept, so that a file changes nothing."""
    table = np.asarray(values, np.float64)
    flat = [float(f"{value:.{_DIGITS}g}") for value in table.reshape(-1)]
    return np.array(flat).reshape(table.shape)


def _layout() -> dict[str, Any]:
    """Return what the columns stand for, so that a file from another version is not misread."""
    strengths = {name: list(item.strengths) for name, item in ALTERATIONS.items()}
    return {"format": _FORMAT, "quantities": list(QUANTITIES), "alterations": strengths}


def _check(key: str, same: bool) -> None:
    if not same:
        raise ValueError(f"other {key}")
