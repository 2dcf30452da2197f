"""The code of a fix runs as it is printed, and asking again shows that it put something right.

It knows four names: `kit`, and the classifier, photos and labels that were asked about.
"""

from dataclasses import replace

import numpy as np
import pytest
from keras import layers

import kit
from kit import Classifier, Preprocessing, samples
from kit.classifier.labels import label_indices
from tests import networks
from tests.diagnosis import certain

keras = networks.imported_keras()
CLOTHES = samples.classifier("fashion_mnist")
PHOTOGRAPHS = list(samples.photos("imagenet")[:2])
PICTURES, CLASSES = (
    list(samples.photos("fashion_mnist")),
    samples.labels("fashion_mnist"),
)
SMALL = Preprocessing(size=(32, 32), scaling="0..1")


def found(cause, classifier, photos, labels=None):
    """What the checks find about one cause; None for nothing."""
    truth = label_indices(labels, classifier.class_names, photos)
    return next(
        (one for one in certain(classifier, photos, truth) if one.cause == cause),
        None,
    )


def run(code, classifier, photos, labels=None):
    """Run the code in a namespace of four names; return what they stand for afterwards, and what is new."""
    scope = {"kit": kit, "classifier": classifier, "photos": photos, "labels": labels}
    exec(code, scope)  # noqa: S102
    return scope


def right(classifier, photos, labels):
    return int((classifier.probabilities(photos).argmax(axis=1) == labels).sum())


def network(*first, last):
    keras.utils.set_random_seed(7)
    body = [
        layers.Conv2D(8, 3, bias_initializer="random_normal"),
        layers.GlobalAveragePooling2D(),
    ]
    return Classifier(networks.stacked((32, 32, 3), *first, *body, *last), SMALL)


def dense():
    return layers.Dense(3, activation="softmax")


def test_what_the_network_does_inside_is_left_to_it():
    classifier = network(layers.Rescaling(1 / 255), last=[dense()])
    finding = found("double_scaling", classifier, PHOTOGRAPHS)
    assert finding.verdict == "named"
    fixed = run(finding.fix.code, classifier, PHOTOGRAPHS)["classifier"]
    assert found("double_scaling", fixed, PHOTOGRAPHS).verdict == "ruled_out"
    # A classifier that says the same as a person's own code proves neither right.
    own = classifier.preprocessing.apply
    diagnosis = kit.diagnose(
        classifier, PHOTOGRAPHS, preprocess=lambda x: own(kit.Photo.from_array(x))
    )
    assert diagnosis.fix() == fixed.preprocessing


def inner(*last):
    whole = networks.stacked((8,), *last)
    return keras.Model(whole.inputs[0], whole.outputs[0], name="inner")


OF_ONE_NAME = [
    inner(layers.ReLU(name="again"), dense()),
    layers.Activation("softmax", name="again"),
]


@pytest.mark.parametrize("last", [[inner(dense(), layers.Softmax())], OF_ONE_NAME])
def test_a_second_softmax_is_taken_out_and_all_else_is_kept(last):
    classifier = network(last=last)
    finding = found("softmax_head", classifier, PHOTOGRAPHS)
    assert finding.verdict == "named"
    fixed = run(finding.fix.code, classifier, PHOTOGRAPHS)["classifier"]
    assert found("softmax_head", fixed, PHOTOGRAPHS) is None
    # The logarithm of a softmax is what it was given, less one number for each image.
    twice = np.log(classifier.probabilities(PHOTOGRAPHS))
    once = fixed.probabilities(PHOTOGRAPHS)
    np.testing.assert_allclose(np.diff(once), np.diff(twice), atol=1e-5)


def test_moving_averages_are_measured_anew():
    classifier = Classifier(
        networks.barely_averaged(CLOTHES.model, steps=5),
        CLOTHES.preprocessing,
        CLOTHES.class_names,
    )
    photos = PICTURES[:64]
    finding = found("batchnorm_mode", classifier, photos)
    assert finding.verdict == "named"
    # Nothing is measured on few images, or on images of one class.
    for measured, labels in ((photos[:15], None), (photos[:16], [9] * 16)):
        other = found("batchnorm_mode", classifier, measured, labels)
        assert not other.fix.code
        assert "on 16 or more images as in training, of all classes" in other.fix.text
    fixed = run(finding.fix.code, classifier, photos)["classifier"]
    assert found("batchnorm_mode", fixed, photos) is None
    # Of 200 images about 70 are right before, 190 after.
    others = PICTURES[64:264], CLASSES[64:264]
    assert right(fixed, *others) >= right(classifier, *others) + 60


ORDERS = {
    "sorted as text from 1 on": np.array([0, 9, 1, 2, 3, 4, 5, 6, 7, 8]),
    "always the same": np.array([3, 0, 7, 1, 9, 2, 8, 4, 5, 6]),
}
GIVEN = [
    ("sorted as text from 1 on", "indices"),
    ("always the same", "names"),
    ("always the same", "folders"),
]


@pytest.mark.parametrize(("words", "given"), GIVEN)
def test_classes_are_put_in_order_and_labels_with_them(words, given):
    # A person who gives the labels by `order` of the network's outputs.
    order = ORDERS[words]
    photos, classifier = PICTURES[:80], CLOTHES
    labels = [None, *(int(order[label]) for label in CLASSES[1:80])]
    if given == "names":
        labels = [None, *(CLOTHES.class_names[label] for label in labels[1:])]
    if given == "folders":
        # Of classes without names, whose folders are in order.
        classifier = Classifier(CLOTHES.model, CLOTHES.preprocessing)
        photos = [
            replace(photo, name=f"folder {label}/{photo.name}")
            for photo, label in zip(photos[1:], labels[1:], strict=True)
        ]
        labels = given
    finding = found("class_order", classifier, photos, labels)
    assert (finding.verdict, words in finding.summary) == ("named", True)
    after = run(finding.fix.code, classifier, photos, labels)
    assert (
        found("class_order", after["classifier"], after["photos"], after["labels"])
        is None
    )
    assert after["classifier"].class_names == tuple(
        classifier.class_names[place] for place in order
    )
    assert after["classifier"].network is classifier.network
