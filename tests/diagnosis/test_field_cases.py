"""Reports from the field, reproduced with bundled or tiny networks, and what is named.

Where a reporter's images and network cannot decide the cause, nothing may be named.
"""

import keras
import numpy as np
import pytest
from PIL import Image

import kit
from kit import Classifier, Scaling, samples
from kit.preprocessing.faults import CATALOGUE

LITE = samples.classifier("efficientnet_lite0")
RIGHT = LITE.preprocessing
PHOTOS = samples.photos("imagenet")[:2]
FASHION, FASHION_LABELS = (
    samples.photos("fashion_mnist"),
    samples.labels("fashion_mnist"),
)

UNDECIDED = [
    # https://github.com/triton-inference-server/server/pull/1938: x / 128 - 1 instead of x / 127.5 - 1
    "range_minus1_1",
    # https://github.com/googlecreativelab/teachablemachine-community/issues/61: squashed where others crop
    "fit_squash",
    # https://github.com/tensorflow/tensorflow/issues/15688: cropped where training squashed
    "fit_crop_all",
    # https://github.com/keras-team/keras/pull/8435: nearest became bilinear
    "filter_nearest",
]


@pytest.mark.parametrize("fault", UNDECIDED)
def test_what_cannot_be_decided_is_not_named(fault):
    assert kit.diagnose(LITE.using(CATALOGUE[fault].apply(RIGHT)), PHOTOS).best is None


def redone(function, photos):
    return [
        kit.Photo.from_array(function(photo.pixels), photo.name) for photo in photos
    ]


# https://github.com/tensorflow/hub/issues/821: the deviation in place of the variance, here nearly the same
# https://github.com/xpwu95/IP102/issues/9: statistics of the own pictures
ROOTS = Scaling(
    255, mean=(0.485, 0.456, 0.406), std=(0.229**0.5, 0.224**0.5, 0.225**0.5)
)


@pytest.mark.parametrize(
    "scaling", [ROOTS, Scaling(255, mean=(0.51, 0.5, 0.47), std=(0.5, 0.49, 0.51))]
)
def test_statistics_that_differ_a_little_are_not_named(scaling):
    assert kit.diagnose(LITE.using(RIGHT.replace(scaling=scaling)), PHOTOS).best is None


def small(picture):
    """Half as large in the middle of the frame."""
    inner = np.asarray(Image.fromarray(picture).resize((14, 14), Image.Resampling.BOX))
    return np.pad(inner, ((7, 7), (7, 7), (0, 0)))


# https://github.com/bdiesel/tensorflow-svhn/issues/3: training pictures tightly cropped, own ones not
# https://github.com/makeyourownneuralnetwork/makeyourownneuralnetwork/issues/49: the background is paper
@pytest.mark.parametrize("function", [small, lambda picture: np.maximum(picture, 110)])
def test_pictures_that_are_framed_otherwise_are_not_called_a_fault_of_the_pipeline(
    function,
):
    classifier = samples.classifier("fashion_mnist")
    photos, truth = (
        redone(function, FASHION[200:260]),
        np.array(FASHION_LABELS[200:260]),
    )
    failing = np.flatnonzero(classifier.probabilities(photos).argmax(axis=1) != truth)[
        :8
    ]
    diagnosis = kit.diagnose(
        classifier, [photos[place] for place in failing], truth[failing].tolist()
    )
    assert diagnosis.verdict == "cannot_tell"


# one forward pass in training mode moves the averages:
# https://github.com/pytorch/vision/issues/2079
def test_averages_that_one_pass_moved_are_not_named():
    model = keras.models.load_model(samples.classifier("fashion_mnist").source.path)
    model(np.random.default_rng(0).random((8, 28, 28, 1), np.float32), training=True)
    used = samples.classifier("fashion_mnist").preprocessing
    assert kit.diagnose(Classifier(model, used), FASHION[200:204]).best is None
