"""Reports from the field, reproduced with bundled or tiny networks, and what is named.

Each case has its number, its source and our own words for the cause. Where a reporter's pictures and network
cannot decide it, nothing may be named.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import kit
from kit import Classifier, Perturbation, Preprocessing, Scaling, samples
from kit.faults import CATALOGUE

MODEL = Path(__file__).parents[1] / "data" / "models" / "efficientnet_lite0.keras"
RIGHT = samples.classifier("efficientnet_lite0").preprocessing
ORDINARY = [
    (photo, label)
    for photo, label in zip(samples.photos("imagenet"), samples.labels("imagenet"), strict=True)
    if photo.name != "clock_blurred.jpg"
]
PHOTOS = [photo for photo, _ in ORDINARY[:4]]
FOUR = [(photo, label) for photo, label in ORDINARY if label > 1][:4]
FASHION, FASHION_LABELS = samples.photos("fashion_mnist"), samples.labels("fashion_mnist")
SPECIAL = {photo.name: photo for photo in samples.photos("special")}
NEEDS = {"alpha_matte": "alpha.webp", "exif_orientation": "exif.jpg"}

FAULTS = [
    (
        "fc001",
        "https://github.com/GoogleCloudPlatform/asl-ml-immersion/pull/424",
        "0..1 divided by 255 once more",
        "double_scaling",
        "double_scaling",
    ),
    (
        "fc003",
        "https://github.com/lmoroney/dlaicourse/issues/129",
        "upload cell without the division",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc011",
        "https://github.com/Piyush-Sharma788/PixelTruth/issues/124",
        "raw 0..255 into a network trained on -1..1",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc013",
        "https://github.com/keras-team/keras/issues/2929",
        "own pictures fed raw",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc015",
        "https://github.com/dotnet/machinelearning/issues/5387",
        "pixel extraction without a scale",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc019",
        "https://github.com/tensorflow/models/issues/429",
        "raw pixels into Inception-ResNet",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc021",
        "http://pullrequest.ru/8874612/trebuetsya-predvaritelnaya-obrabotka-moego-testovogo-izobrazheniya",
        "own digit not divided",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc133",
        "https://github.com/tensorflow/similarity/issues/224",
        "evaluation without the scaling of the training",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc135",
        "https://github.com/keras-team/keras/issues/17143",
        "one raw pipeline for all families",
        "missing_scaling",
        "missing_scaling",
    ),
    (
        "fc025",
        "https://github.com/tensorflow/tensorflow/issues/41643",
        "0..1 where the weights want another range",
        "range_0_1",
        "wrong_range",
    ),
    (
        "fc027",
        "https://github.com/ageron/handson-ml/issues/80",
        "0..1 where the weights want -1..1",
        "range_0_1",
        "wrong_range",
    ),
    (
        "fc031",
        "https://github.com/aadeshnpn/OSDN/issues/19",
        "0..1 cast to uint8",
        "cast_to_uint8",
        "dtype_cast",
    ),
    (
        "fc033",
        "https://github.com/onnx/onnx/issues/1440",
        "normalisation left out before export",
        "missing_mean_std",
        "wrong_mean_std",
    ),
    (
        "fc035",
        "https://github.com/mr-eggplant/FOA/issues/2",
        "ImageNet statistics where 0.5 is right",
        "imagenet_mean_std",
        "wrong_mean_std",
    ),
    (
        "fc037",
        "https://github.com/fastai/fastai/issues/3281",
        "normalised in training alone",
        "missing_mean_std",
        "wrong_mean_std",
    ),
    (
        "fc047",
        "https://github.com/ShiqiYu/SimpleCNNbyCPP/pull/4",
        "BGR of OpenCV into an RGB network",
        "channels_swapped",
        "channel_order",
    ),
    (
        "fc049",
        "https://github.com/opencv/opencv/issues/9625",
        "red and blue swapped for Caffe weights",
        "channels_swapped",
        "channel_order",
    ),
    (
        "fc051",
        "https://github.com/qubvel/classification_models/issues/4",
        "preprocess_input swapped the channels",
        "channels_swapped",
        "channel_order",
    ),
    (
        "fc053",
        "https://github.com/imatge-upc/detection-2016-nipsws/issues/11",
        "two loaders with two orders",
        "channels_swapped",
        "channel_order",
    ),
    (
        "fc055",
        "https://github.com/EdjeElectronics/TensorFlow-Object-Detection-API-Tutorial-Train-Multiple-Objects-Windows-10/pull/167",
        "webcam frames passed as BGR",
        "channels_swapped",
        "channel_order",
    ),
    (
        "fc075",
        "https://example-a.com/answer/78029738",
        "dark on light where training was light on dark",
        "inverted",
        "inverted_polarity",
    ),
    (
        "fc077",
        "https://github.com/NVIDIA/DIGITS/issues/85",
        "transparent pixels on black",
        "alpha_black",
        "alpha_matte",
    ),
    (
        "fc079",
        "https://github.com/mittagessen/kraken/pull/760",
        "orientation tag ignored",
        "exif_ignored",
        "exif_orientation",
    ),
    (
        "fc081",
        "https://github.com/atulapra/Emotion-detection/issues/14",
        "colour and grey mixed up",
        "gray_input",
        "grayscale",
    ),
    (
        "fc131",
        "https://github.com/ikostrikov/pytorch-a3c/pull/47",
        "np.reshape instead of moving the axis",
        "reshaped",
        "channel_layout",
    ),
    (
        "fc141",
        "https://github.com/keras-team/keras/issues/9279",
        "height and width exchanged",
        "transposed",
        "channel_layout",
    ),
]

UNDECIDED = [
    (
        "fc029",
        "https://github.com/triton-inference-server/server/pull/1938",
        "x / 128 - 1 instead of x / 127.5 - 1",
        "range_minus1_1",
    ),
    (
        "fc057",
        "https://github.com/keras-team/keras-applications/issues/99",
        "squashed by nearest instead of cropped by cubic",
        "fit_squash",
    ),
    (
        "fc059",
        "https://github.com/googlecreativelab/teachablemachine-community/issues/61",
        "squashed where the browser crops",
        "fit_squash",
    ),
    (
        "fc061",
        "https://github.com/tensorflow/tensorflow/issues/15688",
        "cropped where training squashed",
        "fit_crop_all",
    ),
    ("fc067", "https://github.com/keras-team/keras/pull/8435", "nearest became bilinear", "filter_nearest"),
    (
        "fc069",
        "https://github.com/NVIDIA/gpu-rest-engine/issues/27",
        "the resize of another library",
        "filter_tf_bilinear",
    ),
    (
        "fc099",
        "https://github.com/keras-team/keras/issues/14231",
        "a metric that was rebuilt wrongly; the network is fine",
        None,
    ),
    (
        "fc127",
        "https://github.com/stefyste/RIAWELC/issues/2",
        "test pictures among the training pictures; the network cannot tell",
        None,
    ),
    (
        "fc129",
        "https://github.com/ArnabKumarRoy02/ResEmoteNet/issues/42",
        "the same faces in all splits",
        None,
    ),
    ("fc137", "https://github.com/keras-team/keras/issues/9337", "no cause known", None),
    ("fc139", "https://github.com/NVIDIA/DIGITS/issues/44", "no cause known", None),
]

INSIDE = [
    (
        "fc005",
        "https://github.com/mrdbourke/tensorflow-deep-learning/issues/14",
        "0..1 into EfficientNet",
        "0..1",
    ),
    (
        "fc007",
        "https://github.com/tensorflow/models/issues/9054",
        "normalised inside and outside",
        "imagenet",
    ),
    ("fc009", "https://github.com/tensorflow/tensorflow/issues/42506", "0..1 into EfficientNet", "0..1"),
]

HEADS = [
    ("fc101", "https://github.com/keras-team/keras/issues/12865", "softmax over one output", 1, "softmax"),
    (
        "fc103",
        "https://github.com/keras-team/keras/issues/6327",
        "two sigmoids read as softmax",
        2,
        "sigmoid",
    ),
]

BATCHES = [
    ("fc089", "https://github.com/keras-team/keras/issues/3085", "statistics of the batch at prediction"),
    (
        "fc093",
        "https://github.com/qubvel-org/segmentation_models.pytorch/issues/128",
        "evaluation mode forgotten",
    ),
]

ORDERS = [
    ("fc105", "https://github.com/NVIDIA/DIGITS/issues/289", "indices not looked up in labels.txt"),
    ("fc109", "https://github.com/keras-team/keras/issues/3054", "folders in the order of the file system"),
    ("fc113", "https://github.com/Xilinx/finn-examples/pull/14", "folders not sorted"),
]

TEXT_ORDERS = [
    ("fc107", "https://github.com/pytorch/vision/issues/714", "folders 1, 10, 100 sorted as text"),
    ("fc115", "https://github.com/keras-team/keras/issues/7543", "folders 1 to 64 sorted as text"),
]


def with_ids(cases):
    return [pytest.param(*case[2:], id=case[0]) for case in cases]


def names_of(diagnosis):
    """The cause named, and those that come to the same."""
    best = diagnosis.best
    return set() if best is None else {best.cause, *best.equivalent}


def tiny(*first, outputs=3, activation="softmax"):
    keras.utils.set_random_seed(7)
    body = [layers.Conv2D(8, 3, bias_initializer="random_normal"), layers.GlobalAveragePooling2D()]
    last = layers.Dense(outputs, activation=activation, bias_initializer="random_normal")
    return keras.Sequential([keras.Input((32, 32, 3)), *first, *body, last])


def diagnose_tiny(model, scaling="0..1"):
    return kit.diagnose(Classifier(model, Preprocessing(size=(32, 32), scaling=scaling)), PHOTOS)


class RandomShift(layers.Layer):
    """An augmentation that forgets to ask whether it is training."""

    def call(self, x):
        return x + keras.random.normal((1, 1, 1, 3))


class BatchStatistics(layers.Layer):
    """Normalization by the statistics of the batch for ever."""

    def call(self, x):
        return x - keras.ops.mean(x, axis=0, keepdims=True)


@pytest.mark.parametrize(("words", "fault", "cause"), with_ids(FAULTS))
def test_the_preprocessing_that_was_reported_is_named(words, fault, cause):
    photos = [SPECIAL[NEEDS[cause]]] if cause in NEEDS else PHOTOS
    classifier = Classifier.load(MODEL, preprocessing=CATALOGUE[fault].apply(RIGHT))
    assert cause in names_of(kit.diagnose(classifier, photos))


@pytest.mark.parametrize(("words", "fault"), with_ids(UNDECIDED))
def test_what_cannot_be_decided_is_not_named(words, fault):
    used = RIGHT if fault is None else CATALOGUE[fault].apply(RIGHT)
    assert kit.diagnose(Classifier.load(MODEL, preprocessing=used), PHOTOS).best is None


@pytest.mark.parametrize(("words", "scaling"), with_ids(INSIDE))
def test_scaling_on_top_of_the_network_s_own_is_named(words, scaling):
    model = tiny(layers.Rescaling(1 / 255))
    assert "double_scaling" in names_of(diagnose_tiny(model, scaling))


# fc023, a picture that was not turned into an array became -1 everywhere:
# https://github.com/keras-team/keras/issues/12350
def test_a_constant_tensor_is_named():
    used = RIGHT.replace(scaling=Scaling(1e12, mean=1.0))
    assert "wrong_range" in names_of(kit.diagnose(Classifier.load(MODEL, preprocessing=used), PHOTOS))


@pytest.mark.parametrize(("words", "outputs", "activation"), with_ids(HEADS))
def test_a_head_that_is_no_softmax_is_named(words, outputs, activation):
    assert names_of(diagnose_tiny(tiny(outputs=outputs, activation=activation))) == {"softmax_head"}


@pytest.mark.parametrize("words", with_ids(BATCHES))
def test_answers_that_depend_on_the_batch_are_named(words):
    assert names_of(diagnose_tiny(tiny(BatchStatistics()))) == {"batchnorm_mode"}


# fc097, random crop and flip in the test transform:
# https://github.com/kuangliu/pytorch-cifar/pull/6
def test_augmentation_at_prediction_is_named():
    assert names_of(diagnose_tiny(tiny(RandomShift()))) == {"training_mode"}


# fc091, a few updates, so the moving averages are far from converged:
# https://intellipaat.com/community/11257/resnet-100-accuracy-during-training-but-33-prediction-accuracy-with-the-same-data
def test_moving_averages_that_never_converged_are_named():
    model = tiny(layers.BatchNormalization())
    model.compile("sgd", "sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    for _ in range(3):
        model.train_on_batch(random.random((8, 32, 32, 3), np.float32), random.integers(0, 3, 8))
    assert names_of(diagnose_tiny(model)) == {"batchnorm_mode"}


@pytest.mark.parametrize("words", with_ids(TEXT_ORDERS))
def test_text_sorting_is_named_from_four_labelled_pictures(words):
    places = sorted(range(1000), key=str)
    # The labels of a person who counts, for a network that was trained on folders sorted as text.
    photos, labels = [photo for photo, _ in FOUR], [places[label] for _, label in FOUR]
    diagnosis = kit.diagnose(samples.classifier("efficientnet_lite0"), photos, labels)
    assert names_of(diagnosis) == {"class_order"}


@pytest.mark.parametrize("words", with_ids(ORDERS))
def test_another_order_without_a_rule_is_named(words):
    moved = np.array([3, 0, 7, 1, 9, 2, 8, 4, 5, 6])
    chosen = [place for place, label in enumerate(FASHION_LABELS[:80]) if label is not None]
    photos = [FASHION[place] for place in chosen]
    labels = [int(moved[FASHION_LABELS[place]]) for place in chosen]
    assert names_of(kit.diagnose(samples.classifier("fashion_mnist"), photos, labels)) == {"class_order"}


# fc111, predictions of a shuffled generator against labels that are not shuffled:
# https://github.com/keras-team/keras/issues/6499
def test_shuffled_labels_are_no_order():
    photos = [photo for photo, _ in ORDINARY[:8]]
    labels = [label for _, label in [*ORDINARY[3:8], *ORDINARY[:3]]]
    diagnosis = kit.diagnose(samples.classifier("efficientnet_lite0"), photos, labels)
    assert "class_order" not in names_of(diagnosis)


# fc125, the light changed since the training:
# https://github.com/googlecreativelab/teachable-machine-v1/issues/45
def test_pictures_that_became_too_dark_are_named():
    photos = [Perturbation(brightness=0.1).apply(photo) for photo, _ in ORDINARY]
    labels = [label for _, label in ORDINARY]
    classifier = samples.classifier("efficientnet_lite0")
    wrong = classifier.probabilities(photos).argmax(axis=1) != labels
    failing = [photo for photo, fails in zip(photos, wrong, strict=True) if fails]
    known = [label for label, fails in zip(labels, wrong, strict=True) if fails]
    assert names_of(kit.diagnose(classifier, failing, known)) == {"dark"}
