"""Reports from the field, reproduced with bundled or tiny networks, and what is named.

Each case has its number, its source and our own words for the cause. Where a reporter's pictures and network
cannot decide it, nothing may be named.
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


@pytest.mark.parametrize(("words", "fault", "cause"), with_ids(FAULTS))
def test_the_preprocessing_that_was_reported_is_named(words, fault, cause):
    photos = [SPECIAL[NEEDS[cause]]] if cause in NEEDS else PHOTOS
    classifier = LITE.using(CATALOGUE[fault].apply(RIGHT))
    assert cause in names_of(kit.diagnose(classifier, photos))


@pytest.mark.parametrize(("words", "fault"), with_ids(UNDECIDED))
def test_what_cannot_be_decided_is_not_named(words, fault):
    used = RIGHT if fault is None else CATALOGUE[fault].apply(RIGHT)
    assert kit.diagnose(LITE.using(used), PHOTOS).best is None


@pytest.mark.parametrize(("words", "scaling"), with_ids(INSIDE))
def test_scaling_on_top_of_the_network_s_own_is_named(words, scaling):
    model = tiny(layers.Rescaling(1 / 255))
    assert "double_scaling" in names_of(diagnose_tiny(model, scaling))


# fc023, a picture that was not turned into an array became -1 everywhere:
# https://github.com/keras-team/keras/issues/12350
def test_a_constant_tensor_is_named():
    used = RIGHT.replace(scaling=Scaling(1e12, mean=1.0))
    assert "wrong_range" in names_of(kit.diagnose(LITE.using(used), PHOTOS))


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
    diagnosis = kit.diagnose(LITE, photos, labels)
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
    diagnosis = kit.diagnose(LITE, photos, labels)
    assert "class_order" not in names_of(diagnosis)


# fc125, the light changed since the training:
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


# fc071, pictures of 224 pixels for a network of 600:
# https://github.com/pytorch/vision/issues/4936
def test_too_small_pictures_enlarged_again_are_named():
    used = RIGHT.replace(thumbnail=(224 * 224 // 600, 224 * 224 // 600))
    assert names_of(kit.diagnose(LITE.using(used), PHOTOS)) == {"target_size"}


NEARLY = [
    (
        "fc041",
        "https://github.com/tensorflow/hub/issues/821",
        "the standard deviation in place of the variance; on this network it comes to its own scaling",
        Scaling(255, mean=(0.485, 0.456, 0.406), std=(0.229**0.5, 0.224**0.5, 0.225**0.5)),
    ),
    (
        "fc039",
        "https://github.com/anujshah1003/Transfer-Learning-in-keras---custom-data/pull/1",
        "a mean that differs a little: the same class, 0.50 in place of 0.58",
        Scaling(128, mean=tuple(value / 128 for value in (126.0, 125.5, 129.0))),
    ),
    (
        "fc045",
        "https://github.com/xpwu95/IP102/issues/9",
        "statistics of the own pictures; no cause confirmed",
        Scaling(255, mean=(0.51, 0.5, 0.47), std=(0.5, 0.49, 0.51)),
    ),
]


@pytest.mark.parametrize(("words", "scaling"), with_ids(NEARLY))
def test_statistics_that_differ_a_little_are_not_named(words, scaling):
    assert kit.diagnose(LITE.using(RIGHT.replace(scaling=scaling)), PHOTOS).best is None


def quicker_transform(pixels):
    """Every value at most one level off."""
    steps = np.random.default_rng(7).integers(-1, 2, pixels.shape)
    return np.clip(pixels + steps, 0, 255).astype(np.uint8)


def halved_chroma(pixels):
    """Colour in half the resolution, and each of its values four times."""
    luma, *colours = Image.fromarray(pixels).convert("YCbCr").split()
    halves = [plane.reduce(2).resize(plane.size, Image.Resampling.NEAREST) for plane in colours]
    return np.asarray(Image.merge("YCbCr", (luma, *halves)).convert("RGB"))


DECODED = [
    (
        "fc083",
        "https://github.com/CODAIT/deep-histopath/pull/12",
        "another cosine transform: one level up or down",
        quicker_transform,
    ),
    (
        "fc085",
        "https://github.com/AlexeyAB/darknet/issues/3368",
        "chroma subsampling 4:2:0 in place of 4:4:4",
        halved_chroma,
    ),
]


@pytest.mark.parametrize(("words", "function"), with_ids(DECODED))
def test_what_a_decoder_does_is_told_as_sensitivity_and_not_named(words, function):
    photos = [photo for photo, _ in ORDINARY[4:8]]
    diagnosis = kit.diagnose(LITE, redone(function, photos))
    assert diagnosis.best is None
    (decoder,) = (row for row in diagnosis.sensitivity if row.name == "decoder")
    assert 0 < decoder.typical < 0.2


# fc087, noise that was stored as JPEG, and not: https://github.com/hendrycks/robustness/issues/16
def test_noise_that_was_compressed_is_called_nothing_else():
    photos = [Perturbation(noise=12, jpeg_quality=75).apply(photo) for photo in PHOTOS]
    assert names_of(kit.diagnose(LITE, photos)) <= {"noisy", "jpeg"}


# fc123, another camera and place: https://github.com/AlexOlsen/DeepWeeds/issues/6
def test_other_colours_of_the_light_do_not_put_the_blame_on_the_pipeline():
    photos = redone(lambda pixels: (pixels * np.array([1.0, 0.8, 0.6])).astype(np.uint8))
    assert kit.diagnose(LITE, photos).best is None


def small(picture):
    """Half as large in the middle of the frame."""
    inner = np.asarray(Image.fromarray(picture).resize((14, 14), Image.Resampling.BOX))
    return np.pad(inner, ((7, 7), (7, 7), (0, 0)))


FRAMED = [
    (
        "fc063",
        "https://github.com/bdiesel/tensorflow-svhn/issues/3",
        "training pictures tightly cropped, own ones not",
        small,
    ),
    (
        "fc065",
        "https://github.com/3b1b/3Blue1Brown.com/issues/169",
        "drawn too high: not centred",
        lambda picture: np.pad(picture, ((0, 7), (0, 0), (0, 0)))[7:],
    ),
    (
        "fc073",
        "https://github.com/makeyourownneuralnetwork/makeyourownneuralnetwork/issues/49",
        "the background is paper and not black",
        lambda picture: np.maximum(picture, 110),
    ),
]


@pytest.mark.parametrize(("words", "function"), with_ids(FRAMED))
def test_pictures_that_are_framed_otherwise_are_not_called_a_fault_of_the_pipeline(words, function):
    classifier = samples.classifier("fashion_mnist")
    photos, truth = redone(function, FASHION[200:260]), np.array(FASHION_LABELS[200:260])
    failing = np.flatnonzero(classifier.probabilities(photos).argmax(axis=1) != truth)[:8]
    diagnosis = kit.diagnose(classifier, [photos[place] for place in failing], truth[failing].tolist())
    assert diagnosis.verdict == "cannot_tell"


@pytest.fixture(scope="module")
def digits():
    """Digits of scikit-learn, and a function that trains on tensors of them."""
    data = load_digits()
    pictures = np.round(data.images * 255 / 16).astype(np.uint8)

    def train(tensors):
        keras.utils.set_random_seed(3)
        body = [layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(2)]
        last = [layers.Flatten(), layers.Dense(10, activation="softmax")]
        model = keras.Sequential([keras.Input((8, 8, 1)), *body, *last])
        model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
        model.fit(tensors, data.target[: len(tensors)], epochs=6, batch_size=64, verbose=0)
        return keras.models.clone_model(model), model.get_weights()

    return [kit.Photo.from_array(picture) for picture in pictures], train


def trained(digits, tensors, used):
    plain, weights = digits[1](tensors)
    plain.set_weights(weights)
    return Classifier(plain, used)


# fc017, the scaler that was fitted in training is left out:
# https://github.com/AayushG159/Plant-Leaf-Identification/pull/2
def test_a_standard_scaler_that_is_left_out_is_named(digits):
    photos = digits[0]
    right = Preprocessing(size=(8, 8), channels="gray", scaling=Scaling(255, mean=0.3, std=0.38))
    tensors = np.concatenate([right.apply(photo) for photo in photos[:1000]])
    classifier = trained(digits, tensors, right.replace(scaling=()))
    diagnosis = kit.diagnose(classifier, photos[1500:1516], reference=tensors[:40])
    assert "missing_scaling" in names_of(diagnosis)


# fc043, the mean picture was subtracted in training, the mean level later:
# https://github.com/NVIDIA/DIGITS/issues/1551
def test_a_mean_picture_is_not_taken_for_another_scaling(digits):
    photos = digits[0]
    plain = Preprocessing(size=(8, 8), channels="gray", scaling="0..1")
    tensors = np.concatenate([plain.apply(photo) for photo in photos[:1000]])
    mean = tensors.mean(axis=0)
    used = plain.replace(scaling=Scaling(255, mean=float(mean.mean())))
    classifier = trained(digits, tensors - mean, used)
    diagnosis = kit.diagnose(classifier, photos[1500:1504], reference=(tensors - mean)[:40])
    assert names_of(diagnosis) <= {"wrong_mean_std"}


# fc095, one forward pass in training mode moves the averages:
# https://github.com/pytorch/vision/issues/2079
def test_averages_that_one_pass_moved_are_not_named():
    model = keras.models.load_model(samples.classifier("fashion_mnist").source.path)
    model(np.random.default_rng(0).random((8, 28, 28, 1), np.float32), training=True)
    used = samples.classifier("fashion_mnist").preprocessing
    assert kit.diagnose(Classifier(model, used), FASHION[200:204]).best is None


OUTSIDE = [
    ("fc117", "https://github.com/apple/turicreate/issues/583", "a tree called a cat", "textures"),
    ("fc119", "https://github.com/OlafenwaMoses/IdenProf/issues/3", "a dog called a waiter", "digits"),
    ("fc121", "https://github.com/keras-team/keras/issues/13224", "no leaf, and yet a disease", "noise"),
]


@pytest.fixture(scope="module")
def knowing():
    """The network for clothes with what it needs to know foreign pictures."""
    training = list(samples.fashion_mnist_arrays("train")[0][:2000])
    return kit.fit_novelty(samples.classifier("fashion_mnist"), training, FASHION[1000:1500]).attached()


@pytest.mark.parametrize(("words", "name"), with_ids(OUTSIDE))
def test_pictures_of_no_class_are_named_where_the_file_knows_ordinary_ones(knowing, words, name):
    assert names_of(kit.diagnose(knowing, list(outliers(name))[:4])) == {"out_of_distribution"}


def test_ordinary_pictures_are_not_called_foreign(knowing):
    diagnosis = kit.diagnose(knowing, FASHION[300:304])
    assert diagnosis.best is None
    foreign = {one.verdict for one in diagnosis.findings if one.cause == "out_of_distribution"}
    assert foreign == {"ruled_out"}
