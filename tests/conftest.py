"""What every test relies on, and the networks and images that many of them ask for.

Fixtures of a session are shared: whoever wants another preprocessing in use takes ``classifier.using``.
"""

import os
import random

import pytest

from kit import Classifier, fit_novelty, samples
from kit.classifier import loading
from kit.diagnosis.candidates import Evaluator
from tests import networks
from tests.project import VARIABLES

# Timed runs, started by hand.
collect_ignore = ["benchmarks"]

# Before anything imports TensorFlow, and inherited by the kernels of the notebooks.
for name, value in VARIABLES.items():
    os.environ.setdefault(name, value)

SEED = 7


def pytest_make_collect_report():
    random.seed(SEED)


def pytest_runtest_setup():
    """Let Keras, which takes the seeds of its weights from here, draw the same in every order of tests."""
    random.seed(SEED)


@pytest.fixture(scope="session", autouse=True)
def own_machine(tmp_path_factory):
    """A folder for compiled networks in place of the developer's own, and cores that nothing else uses."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr(loading, "cache_folder", lambda: folder)
        patch.setattr("os.getloadavg", lambda: [0], raising=False)
        yield


@pytest.fixture(scope="session")
def classifier():
    """EfficientNet-Lite0, for photos."""
    return samples.classifier("efficientnet_lite0")


@pytest.fixture(scope="session")
def photos():
    """The photos that show a class of `classifier`; `labels` has these."""
    return samples.photos("imagenet")


@pytest.fixture(scope="session")
def labels():
    return samples.labels("imagenet")


@pytest.fixture(scope="session")
def cat():
    return samples.photo("cat.jpg")


@pytest.fixture(scope="session")
def fashion():
    """The small network for images of clothes."""
    return samples.classifier("fashion_mnist")


@pytest.fixture(scope="session")
def clothes():
    """2,000 images that `fashion` was not trained on; `clothes_labels` has their classes."""
    return samples.photos("fashion_mnist")


@pytest.fixture(scope="session")
def clothes_labels():
    return samples.labels("fashion_mnist")


@pytest.fixture(scope="session")
def sixteen(clothes):
    return clothes[200:216]


@pytest.fixture(scope="session")
def truth(clothes_labels):
    """The classes of `sixteen`."""
    return clothes_labels[200:216]


@pytest.fixture(scope="session")
def no_batchnorm():
    """As `fashion`, without batch normalization: what it knows of its training images is a profile."""
    return samples.classifier("fashion_mnist_no_batchnorm")


@pytest.fixture(scope="session")
def evaluator(no_batchnorm):
    """What the search for a fault is tried on."""
    return Evaluator(no_batchnorm, no_batchnorm.first_layers)


@pytest.fixture(scope="session")
def held_back(clothes):
    """Those of the clothes that set the thresholds of `novelty`; `others` has the rest."""
    return clothes[:1000]


@pytest.fixture(scope="session")
def others(clothes):
    return clothes[1000:]


@pytest.fixture(scope="session")
def novelty(fashion, held_back):
    """What `fashion` knows of ordinary images."""
    return fit_novelty(
        fashion, list(samples.fashion_mnist_arrays("train")[0][:5000]), held_back
    )


@pytest.fixture(scope="session")
def keras():
    return networks.imported_keras()


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
    return networks.saved_plain(networks.small(), path)
