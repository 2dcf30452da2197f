"""What every test relies on, and the networks and pictures that many of them ask for.

Fixtures of a session are shared: whoever wants another preprocessing in use takes ``classifier.using``.
"""

import os

import pytest

from kit import Classifier, samples
from kit._launch import VARIABLES
from tests import networks

# Timed runs, started by hand.
collect_ignore = ["benchmarks"]

# Before anything imports TensorFlow, and inherited by the kernels of the notebooks.
os.environ.update({name: os.environ.get(name, value) for name, value in VARIABLES.items()})


@pytest.fixture(scope="session")
def classifier():
    """EfficientNet-Lite0, for photographs."""
    return samples.classifier("efficientnet_lite0")


@pytest.fixture(scope="session")
def photos():
    """The photographs that show a class of `classifier`; `labels` has these."""
    return samples.photos("imagenet")


@pytest.fixture(scope="session")
def labels():
    return samples.labels("imagenet")


@pytest.fixture(scope="session")
def cat(photos):
    return next(photo for photo in photos if photo.name == "cat.jpg")


@pytest.fixture(scope="session")
def fashion():
    """The small network for pictures of clothes."""
    return samples.classifier("fashion_mnist")


@pytest.fixture(scope="session")
def clothes():
    """2,000 pictures that `fashion` was not trained on; `clothes_labels` has their classes."""
    return samples.photos("fashion_mnist")


@pytest.fixture(scope="session")
def clothes_labels():
    return samples.labels("fashion_mnist")


@pytest.fixture(scope="session")
def small():
    """`networks.small`, compiled."""
    return Classifier(networks.small(), networks.GREY, networks.NAMES)


@pytest.fixture(scope="session")
def small_file(small, tmp_path_factory):
    """`small` as it is saved."""
    path = tmp_path_factory.mktemp("classifiers") / "small.keras"
    small.save(path)
    return path


@pytest.fixture(scope="session")
def plain_file(tmp_path_factory):
    """`networks.small` as Keras alone saves it."""
    path = tmp_path_factory.mktemp("classifiers") / "plain.keras"
    networks.small().save(path)
    return path
