"""Classifier: a network together with what it needs to be used rightly, in one file."""
