"""Reports from the field, reproduced with bundled or tiny networks, and what is named.

Where a reporter's pictures and network cannot decide the cause, nothing may be named.
"""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from sklearn.datasets import load_digits

import kit
from kit import Classifier, Perturbation, Preprocessing, Scaling, samples
from kit.preprocessing.faults import CATALOGUE
from tests import networks
from tests.outliers import outliers

RandomShift, BatchStatistics = networks.careless_layers()
LITE = samples.classifier("efficientnet_lite0")
RIGHT = LITE.preprocessing
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

# Reports of one fault are one case: `test_diagnosis.py` has every fault of the pipeline with one photograph.
FAULTS = {
    # https://github.com/onnx/onnx/issues/1440, https://github.com/fastai/fastai/issues/3281
    "missing_mean_std": "wrong_mean_std",
    # https://github.com/NVIDIA/DIGITS/issues/85: transparent pixels on black
    "alpha_black": "alpha_matte",
    # https://github.com/mittagessen/kraken/pull/760: orientation tag ignored
    "exif_ignored": "exif_orientation",
}
UNDECIDED = [
    # https://github.com/triton-inference-server/server/pull/1938: x / 128 - 1 instead of x / 127.5 - 1
    "range_minus1_1",
    # https://github.com/googlecreativelab/teachablemachine-community/issues/61: squashed where others crop
    "fit_squash",
    # https://github.com/tensorflow/tensorflow/issues/15688: cropped where training squashed
    "fit_crop_all",
    # https://github.com/keras-team/keras/pull/8435: nearest became bilinear
    "filter_nearest",
    # https://github.com/NVIDIA/gpu-rest-engine/issues/27: the resize of another library
    "filter_tf_bilinear",
    # https://github.com/keras-team/keras/issues/14231: a metric that was wrong; the network is fine
    None,
]


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


@pytest.mark.parametrize(("fault", "cause"), FAULTS.items())
def test_the_preprocessing_that_was_reported_is_named(fault, cause):
    photos = [SPECIAL[NEEDS[cause]]] if cause in NEEDS else PHOTOS
    classifier = LITE.using(CATALOGUE[fault].apply(RIGHT))
    assert cause in names_of(kit.diagnose(classifier, photos))


@pytest.mark.parametrize("fault", UNDECIDED)
def test_what_cannot_be_decided_is_not_named(fault):
    used = RIGHT if fault is None else CATALOGUE[fault].apply(RIGHT)
    assert kit.diagnose(LITE.using(used), PHOTOS).best is None


# https://github.com/mrdbourke/tensorflow-deep-learning/issues/14: 0..1 into EfficientNet
# https://github.com/tensorflow/models/issues/9054: normalised inside and outside
@pytest.mark.parametrize("scaling", ["0..1", "imagenet"])
def test_scaling_on_top_of_the_network_s_own_is_named(scaling):
    model = tiny(layers.Rescaling(1 / 255))
    assert "double_scaling" in names_of(diagnose_tiny(model, scaling))


# a picture that was not turned into an array became -1 everywhere:
# https://github.com/keras-team/keras/issues/12350
def test_a_constant_tensor_is_named():
    used = RIGHT.replace(scaling=Scaling(1e12, mean=1.0))
    assert "wrong_range" in names_of(kit.diagnose(LITE.using(used), PHOTOS))


# https://github.com/keras-team/keras/issues/12865: softmax over one output
# https://github.com/keras-team/keras/issues/6327: two sigmoids read as softmax
@pytest.mark.parametrize(("outputs", "activation"), [(1, "softmax"), (2, "sigmoid")])
def test_a_head_that_is_no_softmax_is_named(outputs, activation):
    assert names_of(diagnose_tiny(tiny(outputs=outputs, activation=activation))) == {"softmax_head"}


# https://github.com/keras-team/keras/issues/3085: statistics of the batch at prediction
def test_answers_that_depend_on_the_batch_are_named():
    assert names_of(diagnose_tiny(tiny(BatchStatistics()))) == {"batchnorm_mode"}


# random crop and flip in the test transform:
# https://github.com/kuangliu/pytorch-cifar/pull/6
def test_augmentation_at_prediction_is_named():
    assert names_of(diagnose_tiny(tiny(RandomShift()))) == {"training_mode"}


# a few updates, so the moving averages are far from converged:
# https://intellipaat.com/community/11257/resnet-100-accuracy-during-training-but-33-prediction-accuracy-with-the-same-data
def test_moving_averages_that_never_converged_are_named():
    model = tiny(layers.BatchNormalization())
    model.compile("sgd", "sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    for _ in range(3):
        model.train_on_batch(random.random((8, 32, 32, 3), np.float32), random.integers(0, 3, 8))
    assert names_of(diagnose_tiny(model)) == {"batchnorm_mode"}


# https://github.com/pytorch/vision/issues/714: folders 1, 10, 100 sorted as text
def test_text_sorting_is_named_from_four_labelled_pictures():
    places = sorted(range(1000), key=str)
    # The labels of a person who counts, for a network that was trained on folders sorted as text.
    photos, labels = [photo for photo, _ in FOUR], [places[label] for _, label in FOUR]
    assert names_of(kit.diagnose(LITE, photos, labels)) == {"class_order"}


# predictions of a shuffled generator against labels that are not shuffled:
# https://github.com/keras-team/keras/issues/6499
def test_shuffled_labels_are_no_order():
    photos = [photo for photo, _ in ORDINARY[:8]]
    labels = [label for _, label in [*ORDINARY[3:8], *ORDINARY[:3]]]
    diagnosis = kit.diagnose(LITE, photos, labels)
    assert "class_order" not in names_of(diagnosis)


# the light changed since the training:
# https://github.com/googlecreativelab/teachable-machine-v1/issues/45
def test_pictures_that_became_too_dark_are_named():
    photos = [Perturbation(brightness=0.1).apply(photo) for photo, _ in ORDINARY]
    labels = [label for _, label in ORDINARY]
    wrong = LITE.probabilities(photos).argmax(axis=1) != labels
    failing = [photo for photo, fails in zip(photos, wrong, strict=True) if fails]
    known = [label for label, fails in zip(labels, wrong, strict=True) if fails]
    assert names_of(kit.diagnose(LITE, failing, known)) == {"dark"}


def redone(function, photos=PHOTOS):
    return [kit.Photo.from_array(function(photo.pixels), photo.name) for photo in photos]


# pictures of 224 pixels for a network of 600:
# https://github.com/pytorch/vision/issues/4936
def test_too_small_pictures_enlarged_again_are_named():
    used = RIGHT.replace(thumbnail=(224 * 224 // 600, 224 * 224 // 600))
    assert names_of(kit.diagnose(LITE.using(used), PHOTOS)) == {"target_size"}


# https://github.com/tensorflow/hub/issues/821: the deviation in place of the variance, here nearly the same
# https://github.com/xpwu95/IP102/issues/9: statistics of the own pictures
@pytest.mark.parametrize(
    "scaling",
    [
        Scaling(255, mean=(0.485, 0.456, 0.406), std=(0.229**0.5, 0.224**0.5, 0.225**0.5)),
        Scaling(255, mean=(0.51, 0.5, 0.47), std=(0.5, 0.49, 0.51)),
    ],
)
def test_statistics_that_differ_a_little_are_not_named(scaling):
    assert kit.diagnose(LITE.using(RIGHT.replace(scaling=scaling)), PHOTOS).best is None


def halved_chroma(pixels):
    """Colour in half the resolution, and each of its values four times."""
    luma, *colours = Image.fromarray(pixels).convert("YCbCr").split()
    halves = [plane.reduce(2).resize(plane.size, Image.Resampling.NEAREST) for plane in colours]
    return np.asarray(Image.merge("YCbCr", (luma, *halves)).convert("RGB"))


# https://github.com/AlexeyAB/darknet/issues/3368: chroma subsampling 4:2:0 in place of 4:4:4
def test_what_a_decoder_does_is_told_as_sensitivity_and_not_named():
    photos = [photo for photo, _ in ORDINARY[4:8]]
    diagnosis = kit.diagnose(LITE, redone(halved_chroma, photos))
    assert diagnosis.best is None
    (decoder,) = (row for row in diagnosis.sensitivity if row.name == "decoder")
    assert 0 < decoder.typical < 0.2


# noise that was stored as JPEG, and not: https://github.com/hendrycks/robustness/issues/16
def test_noise_that_was_compressed_is_called_nothing_else():
    photos = [Perturbation(noise=12, jpeg_quality=75).apply(photo) for photo in PHOTOS]
    assert names_of(kit.diagnose(LITE, photos)) <= {"noisy", "jpeg"}


# another camera and place: https://github.com/AlexOlsen/DeepWeeds/issues/6
def test_other_colours_of_the_light_do_not_put_the_blame_on_the_pipeline():
    photos = redone(lambda pixels: (pixels * np.array([1.0, 0.8, 0.6])).astype(np.uint8))
    assert kit.diagnose(LITE, photos).best is None


def small(picture):
    """Half as large in the middle of the frame."""
    inner = np.asarray(Image.fromarray(picture).resize((14, 14), Image.Resampling.BOX))
    return np.pad(inner, ((7, 7), (7, 7), (0, 0)))


# https://github.com/bdiesel/tensorflow-svhn/issues/3: training pictures tightly cropped, own ones not
# https://github.com/makeyourownneuralnetwork/makeyourownneuralnetwork/issues/49: the background is paper
@pytest.mark.parametrize("function", [small, lambda picture: np.maximum(picture, 110)])
def test_pictures_that_are_framed_otherwise_are_not_called_a_fault_of_the_pipeline(function):
    classifier = samples.classifier("fashion_mnist")
    photos, truth = redone(function, FASHION[200:260]), np.array(FASHION_LABELS[200:260])
    failing = np.flatnonzero(classifier.probabilities(photos).argmax(axis=1) != truth)[:8]
    diagnosis = kit.diagnose(classifier, [photos[place] for place in failing], truth[failing].tolist())
    assert diagnosis.verdict == "cannot_tell"


# The scaler that was fitted in training is left out:
# https://github.com/AayushG159/Plant-Leaf-Identification/pull/2
def test_a_standard_scaler_that_is_left_out_is_named():
    data = load_digits()
    photos = [kit.Photo.from_array(np.round(each * 255 / 16).astype(np.uint8)) for each in data.images]
    right = Preprocessing(size=(8, 8), channels="gray", scaling=Scaling(255, mean=0.3, std=0.38))
    tensors = np.concatenate([right.apply(photo) for photo in photos[:1000]])
    keras.utils.set_random_seed(3)
    body = [layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(2)]
    last = [layers.Flatten(), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((8, 8, 1)), *body, *last])
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(tensors, data.target[:1000], epochs=6, batch_size=64, verbose=0)
    classifier = Classifier(model, right.replace(scaling=()))
    diagnosis = kit.diagnose(classifier, photos[1500:1516], reference=tensors[:40])
    assert "missing_scaling" in names_of(diagnosis)


# one forward pass in training mode moves the averages:
# https://github.com/pytorch/vision/issues/2079
def test_averages_that_one_pass_moved_are_not_named():
    model = keras.models.load_model(samples.classifier("fashion_mnist").source.path)
    model(np.random.default_rng(0).random((8, 28, 28, 1), np.float32), training=True)
    used = samples.classifier("fashion_mnist").preprocessing
    assert kit.diagnose(Classifier(model, used), FASHION[200:204]).best is None


@pytest.fixture(scope="module")
def knowing():
    """The network for clothes with what it needs to know foreign pictures."""
    training = list(samples.fashion_mnist_arrays("train")[0][:2000])
    return kit.fit_novelty(samples.classifier("fashion_mnist"), training, FASHION[1000:1500]).attached()


# https://github.com/OlafenwaMoses/IdenProf/issues/3: a dog called a waiter
# https://github.com/keras-team/keras/issues/13224: no leaf, and yet a disease
@pytest.mark.parametrize("name", ["digits", "noise"])
def test_pictures_of_no_class_are_named_where_the_file_knows_ordinary_ones(knowing, name):
    assert names_of(kit.diagnose(knowing, list(outliers(name))[:4])) == {"out_of_distribution"}


def test_ordinary_pictures_are_not_called_foreign(knowing):
    diagnosis = kit.diagnose(knowing, FASHION[300:304])
    assert diagnosis.best is None
    foreign = {one.verdict for one in diagnosis.findings if one.cause == "out_of_distribution"}
    assert foreign == {"ruled_out"}
