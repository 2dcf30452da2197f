"""What the search for a fault is tried on: clothes, and a network that is judged by a profile of some."""

import pytest

from kit.diagnosis.candidates import Evaluator


@pytest.fixture(scope="package")
def evaluator(no_batchnorm):
    return Evaluator(no_batchnorm, no_batchnorm.first_layers)
