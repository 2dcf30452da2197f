"""What an architecture may ask of Keras: layers and what layers are made of, and no other function of it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kit._checking import told

_FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers")
"""Modules of Keras whose functions compute on tensors alone; others set options, or read files."""


class CodeError(ValueError):
    """An architecture that would have more run than its layers."""


def serialized(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each part of a configuration that Keras makes an object or a function of.

    What the whole was trained with, a loss for one, is left out, since nothing is opened for training.
    """
    pending: list[Any] = [config]
    if isinstance(config, Mapping):
        pending = [{key: part for key, part in config.items() if key != "compile_config"}]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            if "class_name" in value:
                yield value
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)


def refuse_code(config: Any, name: str, kinds: Collection[str] = ()) -> None:
    """Refuse layers of some kinds, and functions of Keras that do more than compute on tensors.

    Keras itself would call each function that an architecture names, with the arguments that stand there.

    Raises
    ------
    CodeError
        There is one.
    """
    for part in serialized(config):
        kind, home = told(str(part["class_name"]))[:60], told(str(part.get("module")))[:60]
        if kind in kinds:
            raise CodeError(
                f"Expected a network without code in its file, received {name!r} with a {kind} layer; build"
                " the network in Python, use load_weights, and save it as .keras"
            )
        root = home.removeprefix("keras.").removeprefix("src.").partition(".")[0]
        # Keras takes a function where it is named like a class, too; those of applications look like classes.
        called = told(str(part.get("config")))[:60] if kind == "function" else kind
        is_class = called[:1].isupper() and kind != "function" and root != "applications"
        if home.partition(".")[0] == "keras" and not is_class and root not in _FUNCTIONS:
            raise CodeError(
                f"Expected a network without code in its file, received {name!r} with the function"
                f" {called!r} of {home}; build the network without it, and save that"
            )
