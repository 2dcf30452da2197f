"""Regression cases: pin an image, check that its prediction stays."""
