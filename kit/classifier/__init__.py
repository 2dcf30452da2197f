"""Classifier: a network together with what it needs to be used rightly, in one file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kit.classifier.classifier import Classifier, check_first, known_preprocessing

__all__ = ["Classifier", "check_first", "known_preprocessing"]


def __getattr__(name: str) -> Any:
    # A process that only tries a network imports no more than what runs it.
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module("kit.classifier.classifier"), name)
