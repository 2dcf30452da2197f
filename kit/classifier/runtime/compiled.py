"""What is known of a network once it was compiled, and how the contract in a file tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from kit.classifier.runtime.engine import LiteEngine, Shape, sides
from kit.classifier.runtime.heads import HEADS


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

    def engine(self) -> LiteEngine | None:
        """Return a new engine for the compiled form; None where there is none."""
        return None if self.data is None else LiteEngine(self.data)

    def to_contract(self) -> dict[str, Any]:
        """Return everything but the compiled form, as JSON takes it."""
        return {
            "head": self.head,
            "input_shape": list(self.input_shape),
            "output_count": self.output_count,
            "max_difference": self.max_difference,
            "reason": self.reason,
        }

    @classmethod
    def from_contract(cls, contract: Mapping[str, Any], data: bytes | None = None) -> Self:
        """Read what `to_contract` wrote.

        Raises
        ------
        ValueError
            A value of another kind.
        """

        def take(key: str, expected: str, *, met: bool) -> Any:
            if not met:
                raise ValueError(
                    f"Expected {key} as {expected} in the contract, received {_shown(contract.get(key))}"
                )
            return contract[key]

        head, shape, count = (contract.get(key) for key in ("head", "input_shape", "output_count"))
        difference, reason = contract.get("max_difference"), contract.get("reason")
        height, width, channels = take(
            "input_shape",
            "three sizes",
            met=isinstance(shape, list)
            and len(shape) == 3
            and all(side is None or (type(side) is int and side > 0) for side in shape),
        )
        return cls(
            take("head", f"one of {', '.join(HEADS)}", met=isinstance(head, str) and head in HEADS),
            (height, width, channels),
            take("output_count", "a whole number above 0", met=type(count) is int and count > 0),
            data,
            take("max_difference", "a number", met=isinstance(difference, int | float))
            if difference is not None
            else None,
            take("reason", "a text", met=isinstance(reason, str)) if reason is not None else None,
        )

    def __repr__(self) -> str:
        shape = sides(self.input_shape)
        return f"Compiled({shape} -> {self.output_count} {self.head}, {self.reason or 'LiteRT'})"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
