"""Classifier: a network together with what it needs to be used rightly, in one file."""

from kit.classifier.classifier import (
    Classifier as Classifier,
    check_first as check_first,
    known_preprocessing as known_preprocessing,
)
