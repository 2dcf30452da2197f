"""What is known of a network once it was compiled, and how the contract in a file tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Self

from kit.classifier.archive.layout import check_fields
from kit.classifier.runtime.heads import HEADS
from kit.classifier.runtime.shapes import Shape, sides


@dataclass(frozen=True, repr=False)
class Compiled:
    """A network's shapes and head, with its compiled form or the reason why it has none.

    Parameters
    ----------
    head
        One of `kit.classifier.runtime.heads.HEADS`.
    input_shape
        (H, W, C); ``None`` for a side that the network leaves open.
    output_count
        Numbers that the last layer puts out.
    data
        The compiled form, in the ``.tflite`` format.
    max_difference
        Largest difference in a probability, 0..1, that was found between the compiled form and Keras.
    reason
        Why ``data`` is missing.
    """

    head: str
    input_shape: Shape
    output_count: int
    data: bytes | None = None
    max_difference: float | None = None
    reason: str | None = None

    @property
    def class_count(self) -> int:
        """Columns of the probabilities; one sigmoid or one logit stands for two classes."""
        return 2 if self.output_count == 1 and self.head != "softmax" else self.output_count

    def differing(self, difference: float) -> Self:
        """Return the same without its compiled form, which was found to differ from Keras by so much."""
        reason = f"its compiled form differs by {difference:.1e} in a probability"
        if not isfinite(difference):
            reason = "some answers are no numbers"
        return replace(self, data=None, max_difference=difference, reason=reason)

    def to_contract(self) -> dict[str, Any]:
        """Return everything but the compiled form, as JSON takes it."""
        return {name: value for name, value in vars(self).items() if name != "data"}

    @classmethod
    def from_contract(cls, contract: Mapping[str, Any], data: bytes | None = None, file: str = "") -> Self:
        """Read what `to_contract` wrote; `file` is named in errors.

        Raises
        ------
        ValueError
            A value of another kind.
        """
        keys = ("head", "input_shape", "output_count", "max_difference", "reason")
        values: list[Any] = [contract.get(key) for key in keys]
        head, shape, count, difference, reason = values
        three = isinstance(shape, list | tuple) and len(shape) == 3
        sizes = three and all(side is None or (type(side) is int and side > 0) for side in shape)
        checks = {
            "head": (f"one of {', '.join(HEADS)}", head in HEADS),
            "input_shape": ("three sizes", sizes),
            "output_count": ("a whole number above 0", type(count) is int and count > 0),
            "max_difference": ("a number", isinstance(difference, int | float | None)),
            "reason": ("a text", isinstance(reason, str | None)),
        }
        check_fields(contract, checks, file)
        return cls(head, tuple(shape), count, data, difference, reason)

    def __repr__(self) -> str:
        shape = sides(self.input_shape)
        return f"Compiled({shape} -> {self.output_count} {self.head}, {self.reason or 'LiteRT'})"
