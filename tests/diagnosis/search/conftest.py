"""The bundled network for clothes without batch normalization, which is judged by its profile."""

import pytest

import kit
from kit.diagnosis.search.evaluator import Evaluator


@pytest.fixture(scope="package")
def classifier():
    return kit.samples.classifier("fashion_mnist_no_batchnorm")


@pytest.fixture(scope="package")
def clothes():
    return tuple(kit.samples.photos("fashion_mnist")[200:216])


@pytest.fixture(scope="package")
def truth():
    return tuple(kit.samples.labels("fashion_mnist")[200:216])


@pytest.fixture(scope="package")
def evaluator(classifier):
    return Evaluator(classifier, classifier.first_layers)
