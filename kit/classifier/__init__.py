"""Classifier: a network together with what it needs to be used rightly, in one ``.keras`` file."""

from kit.classifier.classifier import Classifier

__all__ = ["Classifier"]
