"""`kit.diagnose` on the bundled networks: faults are named, healthy pipelines are not accused."""

from dataclasses import replace

import numpy as np
import pytest

import kit
from kit.preprocessing.faults import CATALOGUE
from tests import networks, zoo
from tests.diagnosis import named
from tests.outliers import outliers

# Those that are certain without a search: test_checks.py; four more are in `PAIRS`.
STRONG = ["fit_letterbox", "gray_input", "range_0_1", "caffe_means"]


def with_faults(name, *faults):
    """The bundled classifier, used with the faults, which are put in one after the other."""
    classifier = kit.samples.classifier(name)
    for fault in faults:
        classifier = classifier.using(CATALOGUE[fault].apply(classifier.preprocessing))
    return classifier


def photo(name):
    return kit.samples.photo(f"{name}.jpg")


def on_white():
    """A product shot: an object cut out and put on white."""
    return kit.samples.photo("alpha.webp")


@pytest.mark.parametrize("fault", STRONG)
def test_a_fault_in_the_pipeline_is_named_from_one_photograph_without_a_label(fault):
    classifier = with_faults("efficientnet_lite0", fault)
    diagnosis = kit.diagnose(classifier, photo("koala"))
    assert diagnosis.best.cause == CATALOGUE[fault].cause


@pytest.mark.parametrize("fit", ["letterbox_corner", "pad"])
def test_bars_are_named_whatever_fit_adds_them(fit):
    classifier = with_faults("efficientnet_lite0")
    broken = classifier.preprocessing.replace(fit=fit, crop_fraction=1.0)
    diagnosis = kit.diagnose(classifier.using(broken), photo("koala"))
    assert diagnosis.best.cause == "resize_fit"
    assert diagnosis.fix().fit in {"squash", "crop"}


def causes(diagnosis):
    return {finding.cause for finding in named(diagnosis.findings)}


PAIRS = (
    ("channels_swapped", "imagenet_mean_std"),
    ("inverted", "channels_swapped"),
    ("missing_scaling", "transposed"),
)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_two_faults_at_once_are_both_named_and_put_right_by_one_fix(pair):
    right = with_faults("efficientnet_lite0").preprocessing
    diagnosis = kit.diagnose(with_faults("efficientnet_lite0", *pair), photo("koala"))
    assert causes(diagnosis) == {CATALOGUE[fault].cause for fault in pair}
    # (x - 127) / 128 and x / 127.5 - 1 cannot be told apart.
    restored = diagnosis.fix().apply(photo("koala"))
    np.testing.assert_allclose(restored, right.apply(photo("koala")), atol=1 / 64)


OF_SMALL = (
    ("missing_scaling", "inverted"),
    ("inverted", "transposed"),
    ("small_before", "missing_scaling"),
)


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion_mnist_no_batchnorm"])
@pytest.mark.parametrize("pair", OF_SMALL, ids="+".join)
def test_small_networks_are_diagnosed_with_two_faults_as_well(name, pair, sixteen):
    right = with_faults(name).preprocessing
    diagnosis = kit.diagnose(with_faults(name, *pair), sixteen)
    assert causes(diagnosis) == {CATALOGUE[fault].cause for fault in pair}
    np.testing.assert_allclose(
        diagnosis.fix().apply(sixteen[0]), right.apply(sixteen[0]), atol=1e-6
    )


@pytest.mark.parametrize("picture", ["ordinary", "white", "grey"])
def test_a_healthy_pipeline_is_not_accused(picture):
    pictures = {
        "ordinary": photo("koala"),
        "white": on_white(),
        "grey": photo("tripod"),
    }
    diagnosis = kit.diagnose(with_faults("efficientnet_lite0"), pictures[picture])
    assert diagnosis.best is None
    excluded = {one.cause for one in diagnosis.findings if one.verdict == "ruled_out"}
    # The order of channels is no cause of what happens to a grey picture.
    assert ("channel_order" in excluded) == (picture != "grey")


OTHERS = [
    one
    for one in kit.samples.photos("imagenet")
    if one.name not in {"koala.jpg", "panda.jpg"}
]


def unprofiled(classifier):
    layers = replace(classifier.first_layers, profile=None)
    return networks.with_first_layers(classifier, layers)


@pytest.fixture(scope="module")
def by_profile():
    """EfficientNet-Lite0 as if it had no batch normalization, with a profile of thirteen photos."""
    classifier = with_faults("efficientnet_lite0")
    tensors = np.concatenate([classifier.tensor(one) for one in OTHERS[::2]])
    layers = classifier.first_layers.with_profile(tensors)
    return networks.with_first_layers(
        classifier, replace(layers, means=None, variances=None)
    )


def test_a_network_of_photographs_without_batch_normalization_is_diagnosed_by_its_profile(
    by_profile,
):
    for picture in (on_white(), photo("tripod")):
        assert kit.diagnose(by_profile, picture).best is None
    for fault in ("missing_scaling", "transposed"):
        broken = by_profile.using(CATALOGUE[fault].apply(by_profile.preprocessing))
        assert kit.diagnose(broken, photo("koala")).best.cause == CATALOGUE[fault].cause


def test_the_order_of_its_channels_is_named_from_sixteen_and_never_denied(by_profile):
    broken = by_profile.using(
        CATALOGUE["channels_swapped"].apply(by_profile.preprocessing)
    )
    many = [photo("koala"), photo("panda"), *OTHERS[1::2]]
    assert kit.diagnose(broken, many[:16]).best.cause == "channel_order"
    alone = kit.diagnose(broken, photo("koala"))
    assert (alone.best, alone.clean) == (None, False)
    told = {one.cause: one.verdict for one in alone.findings}
    assert told["channel_order"] in {"possible", "cannot_tell"}


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion_mnist_no_batchnorm"])
def test_a_healthy_small_network_is_clean_but_for_quiet_changes_that_no_evidence_singles_out(
    name, sixteen
):
    for pictures in (sixteen, *sixteen[:6]):
        diagnosis = kit.diagnose(with_faults(name), pictures)
        moving = {
            row.name for row in diagnosis.sensitivity if row.changed > row.photos / 8
        }
        excluded = all(finding.verdict == "ruled_out" for finding in diagnosis.findings)
        assert (diagnosis.best, diagnosis.clean) == (None, excluded)
        if excluded:
            assert {*diagnosis.undecided} == moving


def test_images_that_are_not_resized_have_one_size(fashion, sixteen):
    unsized = fashion.using(fashion.preprocessing.replace(size=None))
    assert kit.diagnose(unsized, sixteen[:4]).verdict == "clean"
    with pytest.raises(
        ValueError,
        match=r"^Expected images of one size, received \(28, 28\) and \(300, 451\); give a size$",
    ):
        kit.diagnose(unsized, [photo("cat"), sixteen[0]])


def test_without_statistics_and_labels_the_cause_cannot_be_told(sixteen):
    classifier = unprofiled(with_faults("fashion_mnist_no_batchnorm", "inverted"))
    diagnosis = kit.diagnose(classifier, sixteen)
    assert diagnosis.verdict == "cannot_tell"
    assert "give more labels (labels=, --labels)" in diagnosis.notes[1]


def test_a_reference_counts_where_no_layers_can_be_run(tmp_path):
    (tmp_path / "small.onnx").write_bytes(zoo.onnx(first=False))
    right = kit.Preprocessing(size=(zoo.SIDE, zoo.SIDE), scaling="0..1")
    classifier = kit.Classifier.load(tmp_path / "small.onnx", preprocessing=right)
    assert classifier.first_layers is None
    photos = kit.samples.photos("photographs")
    training = np.concatenate([classifier.tensor(photo) for photo in photos[4:14]])
    healthy = kit.diagnose(classifier, photos[0], reference=training)
    assert healthy.best is None
    assert healthy.notes[-1] == "layers and weights were not checked"
    unscaled = classifier.using(right.replace(scaling=()))
    assert kit.diagnose(unscaled, photos[:4], reference=training).fix() == right
    for unfit in ("photos", training[0], training[:9]):
        with pytest.raises(
            ValueError,
            match=r"^Expected at least 10 reference tensors \(N, H, W, C\), received the shape \(",
        ):
            kit.diagnose(unscaled, photos[0], reference=unfit)
    with pytest.raises(ValueError, match=r"received NaN or infinity$"):
        kit.diagnose(unscaled, photos[0], reference=training * np.nan)


@pytest.mark.parametrize("name", ["fashion_mnist", "fashion_mnist_no_batchnorm"])
@pytest.mark.parametrize("foreign", ["photographs", "digits"])
def test_pictures_of_something_else_are_no_fault_of_the_pipeline(name, foreign):
    pictures = (
        kit.samples.photos(foreign)
        if foreign == "photographs"
        else list(outliers(foreign))
    )
    diagnosis = kit.diagnose(with_faults(name), pictures[:16])
    assert (causes(diagnosis), diagnosis.verdict) == (set(), "cannot_tell")


def test_of_classes_told_by_colour_exchanged_channels_are_no_other_order():
    layers = networks.imported_keras().layers
    body = layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")
    model = networks.stacked((32, 32, 3), *body)
    model.layers[-1].set_weights([20 * np.eye(3), np.zeros(3)])
    random = np.random.default_rng(3)
    labels = [0, 1, 2] * 6
    colours = random.integers(20, 120, (18, 3))
    colours[np.arange(18), labels] = random.integers(150, 250, 18)
    grain = random.normal(0, 20, (18, 32, 32, 3))
    pictures = (colours[:, None, None] + grain).clip(0, 255).astype(np.uint8)
    swapped = kit.Preprocessing(size=32, channels="bgr", scaling="0..1")
    classifier = kit.Classifier(model, swapped, ("red", "green", "blue"))
    # Names in the order blue, green, red would make all predictions right, too.
    diagnosis = kit.diagnose(classifier, [*pictures], labels)
    assert [(each.cause, each.verdict) for each in diagnosis.findings] == [
        ("channel_order", "named"),
        ("class_order", "possible"),
    ]
