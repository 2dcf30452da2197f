"""Two classifiers on the same images, counted by hand, and what is wrong with another form of a network."""

import json

import numpy as np
import pytest

import kit
from kit import samples
from kit.diagnosis.comparing import Compared, _Cause, _proven_cause
from kit.diagnosis.report import Mover
from tests import forms, networks


def compared(network, function):
    photos = samples.photos(
        "fashion_mnist" if network == "fashion_mnist" else "imagenet"
    )
    return kit.compare(samples.classifier(network), function, photos[:12])


def test_only_labelled_images_are_right_or_wrong(fashion, clothes, clothes_labels):
    early = samples.classifier("fashion_mnist_500")
    labels = np.array(clothes_labels[:100])
    known = [
        label if place % 2 else None for place, label in enumerate(labels.tolist())
    ]
    found = kit.compare(fashion, early, clothes[:100], known)
    right = [
        (each.predict(clothes[:100]).index == labels)[1::2].mean()
        for each in (fashion, early)
    ]
    assert [found.accuracy.first, found.accuracy.second] == right
    read = json.loads(json.dumps(found.to_dict()))
    told = read["changed"], read["accuracy"]["first"]
    assert told == (found.changed, right[0])
    assert found._repr_html_().count("<tr>") == len(found.movers) + 1
    assert kit.compare(fashion, early, clothes[:2]).accuracy is None


OTHERS = (
    ({"filter": "nearest"}, "resize_filter"),
    ({"channels": "bgr"}, "channel_order"),
    ({"scaling": "0..255"}, "missing_scaling"),
    ({"channels": "bgr", "scaling": "imagenet"}, "channel_order and wrong_mean_std"),
)


@pytest.mark.parametrize(("changes", "cause"), OTHERS)
def test_another_preprocessing_is_named_and_undone(classifier, photos, changes, cause):
    classifier = classifier.tempered(2)
    other = classifier.using(classifier.preprocessing.replace(**changes))
    found = kit.compare(classifier, other, photos[:4])
    assert found.cause == cause
    assert found.left < 0.001
    for words in changes.values():
        assert words in found.prepared


def test_classes_in_another_order_are_compared_by_name(
    fashion, clothes, clothes_labels, monkeypatch
):
    names = fashion.class_names
    wrong = kit.Classifier.load(fashion.source.path, class_names=[*names[1:], names[0]])
    found = kit.compare(fashion, wrong, clothes[:50], clothes_labels[:50])
    assert (found.cause, found.changed) == ("class_order", 50)
    assert found.reproduced_by == "reading its classes one place too far"
    assert found.accuracy.first - found.accuracy.second > 0.6
    predict = type(wrong).predict_tensors
    turned = kit.Classifier.load(fashion.source.path, class_names=names[::-1])
    by_name = lambda self, tensors: predict(self, tensors)[
        :, :: -1 if self is turned else 1
    ]
    monkeypatch.setattr(type(turned), "predict_tensors", by_name)
    found = kit.compare(fashion, turned, clothes[:50])
    assert (found.cause, found.changed, found.difference) == ("", 0, 0)
    plain = kit.Classifier.load(
        fashion.source.path, class_names=[f"class {each}" for each in range(10)]
    )
    assert kit.compare(fashion, plain, clothes[:5]).changed == 0, "by their place"


def test_of_photos_that_are_not_resized_those_of_one_size_tell_the_cause(
    photos,
):
    networks.imported_keras().utils.set_random_seed(0)
    right = kit.Preprocessing(size=None, scaling="imagenet")
    made = kit.Classifier(networks.of_any_size(), right)
    other = made.using(right.replace(channels="bgr"))
    for count, cause in ((1, "channel_order"), (2, "")):
        assert kit.compare(made, other, photos[:count]).cause == cause


def test_classes_of_one_name_stay_in_their_order(classifier, photos):
    twins = kit.Classifier.load(
        classifier.source.path, class_names=["left", "right"] * 500
    )
    found = kit.compare(twins, twins, photos[:4])
    assert (found.changed, found.difference) == (0, 0)


KINDS = (
    "expects -1..1",
    "logits",
    "temperature of 2",
    "divides again",
    "cast",
    "logits, mirrored",
)
FAULTS = [("fashion_mnist", kind) for kind in KINDS]
FAULTS += [("efficientnet_lite0", kind) for kind in ("classes sorted", "caffe")]


@pytest.mark.parametrize(("network", "kind"), FAULTS)
def test_what_is_wrong_with_a_form_is_named(network, kind):
    causes, form = forms.faults(samples.classifier(network))[kind]
    found = compared(network, form)
    assert set(found.cause.split(" and ")) <= causes, repr(found)
    assert found.left < 0.01
    assert ("a temperature" in found.reproduced_by) == (kind == "temperature of 2")
    both = "a softmax and giving it tensors mirrored left to right"
    assert (found.reproduced_by == both) == (kind == "logits, mirrored")
    assert ("classes sorted" in found.reproduced_by) == (kind == "classes sorted")


def test_two_causes_are_named_only_where_they_leave_half_of_what_one_does(classifier):
    _, form = forms.faults(classifier)["grey"]
    photos = samples.photos("imagenet")[:6]
    found = kit.compare(classifier, form, photos)
    # Rounded luma leaves 2 %, over all six, and another scaling besides hardly less.
    grey = classifier.preprocessing.replace(channels="gray_rgb")
    rows = form(np.concatenate([*map(classifier.tensor, photos)]))
    apart = np.abs(classifier.probabilities(photos, preprocessing=grey) - rows)
    left = apart.max(axis=1).mean() / found.difference
    assert (found.cause, found.left) == ("grayscale", pytest.approx(left, rel=0.01))
    words = "(channels: gray_rgb (grey in all three channels))"
    assert found.reproduced_by == f"doing the same to efficientnet_lite0 {words}"


def test_a_form_whose_fault_has_no_name_gets_none_and_is_not_sound(fashion):
    rest = np.random.default_rng(10).dirichlet(np.ones(10))
    noisy = lambda x: forms.float32(0.75 * fashion.predict_tensors(x) + 0.25 * rest)
    assert "; cause unknown. " in repr(compared("fashion_mnist", noisy))


QUANTISED = [
    (0.06, True, "quantisation"),
    (0.06, False, ""),
    (0.3, True, ""),
    (0.005, True, ""),
]


@pytest.mark.parametrize(("share", "quantised", "cause"), QUANTISED)
def test_quantisation_is_named_where_the_file_has_it_and_both_are_close(
    fashion, sixteen, monkeypatch, share, quantised, cause
):
    other, predict = kit.Classifier.load(fashion.source.path), fashion.predict_tensors
    mixed = lambda x: forms.float32((1 - share) * predict(x) + share * np.eye(10)[3])
    monkeypatch.setattr(other, "predict_tensors", mixed)
    monkeypatch.setattr("kit.diagnosis.comparing.is_quantised", lambda _: quantised)
    assert kit.compare(fashion, other, sixteen).cause == cause


def test_a_sound_conversion_is_not_accused(fashion):
    predict = fashion.predict_tensors
    one_by_one = lambda x: np.concatenate([predict(each[None]) for each in x])
    of_16_bits = lambda x: forms.float32(predict(x).astype(np.float16))
    for form in (one_by_one, of_16_bits):
        assert "no difference found" in repr(compared("fashion_mnist", form))


def test_channels_with_means_of_their_own_that_are_reversed_after_scaling_are_named(
    classifier, photos
):
    other = classifier.using(
        classifier.preprocessing.replace(scaling="imagenet", layout="transposed")
    )
    found = kit.compare(
        other, lambda x: other.predict_tensors(x[..., ::-1]), photos[:1]
    )
    assert (found.cause, found.reproduced_by) == (
        "channel_order",
        "giving it tensors with their channels reversed",
    )


def test_a_form_that_predicts_otherwise_again_or_beside_others_is_as_in_training(
    fashion, sixteen
):
    predict, random = fashion.predict_tensors, np.random.default_rng(0)

    def by_chance(tensors):
        return predict(
            tensors * random.uniform(0.2, 2, tensors.shape).astype(np.float32)
        )

    def by_batch(tensors):
        return predict(tensors) if len(tensors) > 1 else predict(tensors)[:, ::-1]

    causes = [
        kit.compare(fashion, each, sixteen).cause for each in (by_chance, by_batch)
    ]
    assert causes == ["training_mode", "batchnorm_mode"]


def test_outputs_that_are_no_probabilities_are_compared_all_the_same(
    fashion, sixteen, clothes
):
    def logits(tensors):
        return np.log(fashion.predict_tensors(tensors) + 1e-12)

    found = kit.compare(fashion, logits, sixteen)
    assert (found.second, found.cause, found.changed) == ("logits", "softmax_head", 0)
    with pytest.raises(
        ValueError, match="Expected probabilities from '<lambda>', received nan"
    ):
        kit.compare(fashion, lambda x: np.full((len(x), 10), np.nan), sixteen)
    rows = fashion.probabilities(clothes[:24])
    rows[::3] = -1
    movers = kit.compare(fashion, rows, clothes[:24]).movers[:8]
    told = [(one.photo, one.change) for one in movers]
    assert told == [(photo.name, 1) for photo in clothes[:24:3]], "in their order"


PROVEN = [
    # A thousandth of the difference, not of all.
    (0.02, (5e-4, 0), "second"),
    # What has no name is no other cause.
    (0.02, (0.001, 0.0012), "first"),
    # A tenth of it, and no more than a hundredth.
    (0.02, (0.0021, 0.1), ""),
    (0.5, (0.011, 0.1), ""),
    # Where it is sound, a fiftieth.
    (0.01, (0.00021, 0.1), ""),
]


@pytest.mark.parametrize(("difference", "remaining", "name"), PROVEN)
def test_a_cause_is_proven_by_how_little_it_leaves(difference, remaining, name):
    causes = map(_Cause, (("first", ""), ("second",)), ("", ""), remaining)
    assert "".join(_proven_cause(difference, causes).causes) == name


def test_no_form_is_called_sound_that_differs_by_more_than_a_hundredth():
    for difference, words in {
        0.009: "no difference found but near ties",
        0.011: "cause unknown, perhaps other weights, weights of 8 bits, or dropout or augmentation left on",
    }.items():
        # However much one of them changes.
        mover = Mover("cat", ("a", 0.9), ("b", 0.8), 0.9 if words[0] == "c" else 0)
        found = Compared("first", "second", 24, 1, difference, movers=(mover,))
        assert f"; {words}. Probabilities change" in repr(found)


def test_what_the_second_prepares_otherwise_may_be_the_cause():
    made = Compared("first", "second", 20, 1, 0.1, prepared="scale: x")
    assert made.text().endswith("\nThe second prepares images differently: scale: x.")
    assert "; perhaps the preprocessing, which differs. " in repr(made)


def test_what_cannot_be_compared_is_refused(fashion, classifier, sixteen):
    refused = {
        (fashion, classifier): "Expected as many classes, received 10 and 1000",
        (
            fashion,
            lambda x: fashion.predict_tensors(x)[:, :4],
        ): (
            r"as many classes, received 10 and 4; give one probability for each, as "
            r"np\.hstack\(\[1 - p, p\]\) of a sigmoid; a function .* is for kit\.check$"
        ),
        (
            sixteen[0],
            fashion,
        ): r"Expected a Classifier, received Photo; see kit\.Classifier\.load",
        (
            fashion,
            "model.keras",
        ): r"^Expected a classifier, a function of tensors, or outputs \(photos, classes\), received str$",
    }
    for (first, second), message in refused.items():
        with pytest.raises((TypeError, ValueError), match=message):
            kit.compare(first, second, sixteen)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"channels": "bgr"}, "channel_order"),
        ({"fit": "squash"}, "resize_fit"),
    ],
)
def test_what_an_app_predicts_for_one_photo_tells_its_fault(classifier, fault, cause):
    photo = samples.photo("cat.jpg")
    wrong = classifier.using(classifier.preprocessing.replace(**fault))
    outputs = wrong.predict(photo).probabilities
    found = kit.compare(classifier, outputs, photo)
    assert found.cause == cause
    assert found.left < 1e-3


def test_two_faults_of_an_app_are_named_together(classifier, photos):
    wrong = classifier.preprocessing.replace(filter="nearest", scaling="0..1")
    outputs = classifier.probabilities(photos[:2], preprocessing=wrong)
    found = kit.compare(classifier, outputs, photos[:2])
    assert found.cause == "wrong_range and resize_filter"
    assert found.left < 1e-3


def test_a_temperature_counts_on_both_sides(fashion, sixteen):
    sharp = fashion.tempered(3)
    found = [
        kit.compare(*pair, sixteen) for pair in ((fashion, sharp), (sharp, fashion))
    ]
    assert [each.reproduced_by for each in found] == [
        f"a temperature of {temperature}" for temperature in ("3", "0.333")
    ]


def test_nothing_is_fitted_to_one_image(fashion, sixteen):
    shuffled = fashion.predict(sixteen[0]).probabilities[
        :, [3, 0, 4, 1, 5, 9, 2, 6, 8, 7]
    ]
    # A sure prediction is that of many faults.
    inverted = fashion.using(fashion.preprocessing.replace(invert=True))
    sure = inverted.predict(sixteen[1]).probabilities
    assert sure.max() > 0.99
    causes = [
        kit.compare(fashion, outputs, photo).cause
        for outputs, photo in zip((shuffled, sure), sixteen, strict=False)
    ]
    assert causes == ["", ""]


def test_outputs_that_hardly_depend_on_the_photo_tell_no_fault(fashion, sixteen):
    def predict_nearly_white(tensors):
        return fashion.predict_tensors(1 - 0.02 * (1 - tensors))

    assert kit.compare(fashion, predict_nearly_white, sixteen).cause == ""


def test_an_order_of_classes_is_named_of_photos_that_tell_three_classes_apart(
    fashion, sixteen
):
    rows = fashion.predict(sixteen).probabilities
    # The first three that are sure of a class are of a boot, a pullover and trousers.
    sure = [place for place in range(16) if rows[place].max() > 0.99][:3]
    assert len({*rows[sure].argmax(axis=1)}) == 3
    for order in (np.roll(np.arange(10), -1), [3, 0, 4, 1, 5, 9, 2, 6, 8, 7]):
        named = [
            kit.compare(
                fashion,
                rows[sure[:count]][:, order],
                [sixteen[place] for place in sure[:count]],
            ).cause
            == "class_order"
            for count in (1, 2, 3)
        ]
        assert named == [False, False, True]


def test_an_app_that_takes_the_photos_in_another_order_is_told_so(fashion, clothes):
    rows = fashion.probabilities(clothes)
    found = kit.compare(fashion, np.roll(rows, 1, axis=0), clothes)
    assert (found.cause, found.left) == ("photo_order", 0)
    # Of photos with the same outputs, any two that are predicted otherwise may seem to have changed places.
    alike = [clothes[0], clothes[0], clothes[1], clothes[1]]
    two_wrong = fashion.probabilities(alike)[[2, 1, 0, 3]]
    assert kit.compare(fashion, two_wrong, alike).cause == ""


def test_a_second_softmax_of_sure_outputs_is_no_temperature(fashion, clothes):
    twice = forms.softmax(fashion.probabilities(clothes))
    found = kit.compare(fashion, twice, clothes)
    assert found.reproduced_by == "taking one of two softmaxes out"


def test_an_app_predicts_each_photo_once(fashion, sixteen):
    for count in (15, 17):
        words = f"outputs for each of 16 images, received {count}"
        with pytest.raises(ValueError, match=words):
            kit.compare(fashion, np.ones((count, 10)), sixteen)
    whole = np.round(fashion.predict(sixteen).probabilities * 256).clip(0, 255)
    outputs = (whole - 128).astype(np.int8)
    reproduced = kit.compare(fashion, outputs, sixteen).reproduced_by
    assert reproduced == "applying scale and zero point, (x + 128) / 256,"
    percentages = np.round(fashion.predict(sixteen).probabilities * 100)
    reproduced = kit.compare(fashion, percentages, sixteen).reproduced_by
    assert reproduced == "dividing by the sum"
    with pytest.raises(ValueError, match=r"received shape \(16,\); labels are not"):
        kit.compare(fashion, percentages.argmax(axis=1), sixteen)
