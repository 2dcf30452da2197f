"""Classifier: a network together with what it needs to be used rightly, in one file."""

from kit.classifier.classifier import Classifier, check_first, known_preprocessing

__all__ = ["Classifier", "check_first", "known_preprocessing"]
