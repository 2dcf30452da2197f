"""Regression: a fault that was found stays found.

A `Case` is a picture with what a classifier has to make of it; `pin` writes one, `check_cases` runs a folder
of them and says at which step what moved. `compare` holds two classifiers against each other.
"""
