"""Two classifiers on the same pictures: counted by hand, and by other parts of the kit."""

import json
from math import comb

import numpy as np
import pytest

import kit
from kit import samples
from kit.regression.rounding import only_rounded
from kit.validation.calibration import measure
from tests import forms
from tests.networks import GREY, small


@pytest.fixture(scope="module")
def early():
    """Trained on 500 pictures, apart from `fashion`."""
    return samples.classifier("fashion_mnist_500")


@pytest.fixture(scope="module")
def hundred(clothes, clothes_labels):
    return clothes[:100], clothes_labels[:100]


def saved(model, like, path):
    kit.Classifier(model, like.preprocessing, like.class_names).save(path)
    return kit.Classifier.load(path)


def test_answers_that_change_are_counted_by_pair(fashion, early, hundred):
    photos, _ = hundred
    found = kit.compare(fashion, early, photos, progress=False)
    before, after = (one.probabilities(photos).argmax(axis=1) for one in (fashion, early))
    assert found.changed == int((before != after).sum()) > 10
    assert sum(count for _, _, count in found.classes) == found.changed
    counts = [count for _, _, count in found.classes]
    assert counts == sorted(counts, reverse=True)
    names = fashion.class_names
    first, second, count = found.classes[0]
    assert count == sum(names[a] == first and names[b] == second for a, b in zip(before, after, strict=True))
    assert found.accuracy is found.calibration is None


def test_mcnemars_test_is_that_of_a_small_table(fashion, early, hundred):
    photos, labels = hundred
    found = kit.compare(fashion, early, photos, labels, progress=False).accuracy
    one, two = (each.probabilities(photos).argmax(axis=1) == labels for each in (fashion, early))
    b, c = int((one & ~two).sum()), int((two & ~one).sum())
    assert (found.only_first, found.only_second) == (b, c)
    assert (found.first, found.second) == (one.mean(), two.mean())
    # Exact and two-sided, as statsmodels' mcnemar(table, exact=True).
    by_hand = min(1, 2 * sum(comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c))
    assert found.p_value == pytest.approx(by_hand)
    assert 0 < found.p_value < 0.05


def test_the_pictures_that_moved_most_come_first(fashion, early, hundred):
    photos, labels = hundred
    found = kit.compare(fashion, early, photos, labels, progress=False)
    one, two = (each.probabilities(photos) for each in (fashion, early))
    change = np.abs(one - two).max(axis=1)
    assert [mover.change for mover in found.movers] == pytest.approx(sorted(change.tolist())[::-1][:10])
    place = int(change.argmax())
    first = found.movers[0]
    assert first.photo == photos[place].name
    assert first.label == fashion.class_names[labels[place]]
    assert first.before == (fashion.class_names[int(one[place].argmax())], pytest.approx(one[place].max()))
    assert first.after == (fashion.class_names[int(two[place].argmax())], pytest.approx(two[place].max()))
    assert found.difference == pytest.approx(change.mean())


def test_the_calibration_of_both_is_as_it_is_measured_elsewhere(fashion, early, hundred):
    photos, labels = hundred
    known = [label if place % 2 else None for place, label in enumerate(labels)]
    found = kit.compare(fashion, early, photos, known, progress=False)
    for classifier, error in zip((fashion, early), found.calibration, strict=True):
        rows = classifier.probabilities(photos)[1::2]
        assert error == pytest.approx(measure(rows, np.array(labels[1::2])).ece.value)


def test_a_classifier_and_itself_are_the_same(fashion, sixteen):
    found = kit.compare(fashion, fashion, sixteen, progress=False)
    assert (found.changed, found.difference, found.movers, found.classes) == (0, 0, (), ())
    assert found.forms.cause == "same"
    assert "0 of 16 answers change" in found.headline()


TRAININGS = (
    ("fashion_mnist", "fashion_mnist_500"),
    ("fashion_mnist_2000", "fashion_mnist_5000"),
    ("fashion_mnist_5000", "fashion_mnist_10000"),
)


@pytest.mark.parametrize(("first", "second"), TRAININGS)
def test_two_trainings_are_no_forms_of_one_network(first, second, clothes):
    one, two = samples.classifier(first), samples.classifier(second)
    found = kit.compare(one, two, clothes[:32], progress=False)
    assert found.changed > 0
    assert (found.forms, found.step) == (None, "")


@pytest.mark.parametrize(
    ("bits", "by_channel", "causes"),
    [
        (2, False, {"quantisation"}),
        (4, False, {"quantisation"}),
        (8, True, {"rounding", "same"}),
    ],
)
def test_rounded_weights_in_a_file_are_forms_of_one_network(
    fashion, clothes, tmp_path, bits, by_channel, causes
):
    model = forms.rounded(fashion, bits, by_channel=by_channel)
    found = kit.compare(fashion, saved(model, fashion, tmp_path / "r.keras"), clothes[:64], progress=False)
    assert found.forms.cause in causes


def test_weights_that_are_scaled_or_trained_on_are_not_rounded(fashion, early):
    scaled = forms.copy_of(fashion)
    for layer in scaled.layers:
        arrays = layer.get_weights()
        if arrays and arrays[0].ndim > 1:
            layer.set_weights([1.05 * arrays[0], *arrays[1:]])
    other = kit.Classifier(scaled, fashion.preprocessing, fashion.class_names)
    assert not only_rounded(fashion, other)
    assert not only_rounded(other, fashion)
    assert not only_rounded(fashion, early)
    # One that began with the same weights, and one of another architecture.
    assert not only_rounded(early, samples.classifier("fashion_mnist_10000"))
    assert not only_rounded(fashion, samples.classifier("efficientnet_lite0"))


CHANGES = {
    "size": ({"filter": "nearest", "fit": "squash"}, "resize"),
    "bgr": ({"channels": "bgr"}, "channels"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_preprocessing_is_named_by_its_step(classifier, four, name):
    changes, step = CHANGES[name]
    found = kit.compare(
        classifier, classifier.using(classifier.preprocessing.replace(**changes)), four, progress=False
    )
    assert (found.step, found.forms) == (step, None)
    assert "otherwise" in found.headline() or "another order" in found.headline()


def test_classes_in_another_order_are_compared_by_name(fashion, clothes, clothes_labels):
    names = fashion.class_names
    wrong = kit.Classifier.load(fashion.source.path, class_names=[*names[1:], names[0]])
    found = kit.compare(fashion, wrong, clothes[:50], clothes_labels[:50], progress=False)
    assert (found.step, found.changed) == ("class_names", 50)
    assert found.accuracy.second < 0.2
    assert found.accuracy.first > 0.8
    reversed_head = forms.copy_of(fashion)
    kernel, *bias = reversed_head.layers[-1].get_weights()
    reversed_head.layers[-1].set_weights([kernel[:, ::-1], *(each[::-1] for each in bias)])
    right = kit.Classifier(reversed_head, fashion.preprocessing, names[::-1])
    found = kit.compare(fashion, right, clothes[:50], clothes_labels[:50], progress=False)
    assert (found.step, found.changed) == ("class_names", 0)
    assert found.difference < 1e-4
    assert found.accuracy.second == found.accuracy.first


def test_classes_without_names_are_compared_by_their_place(fashion, sixteen):
    plain = kit.Classifier(forms.copy_of(fashion), fashion.preprocessing)
    assert plain.class_names[0] == "class 0"
    found = kit.compare(fashion, plain, sixteen, progress=False)
    assert (found.changed, found.forms.cause) == (0, "same")


def test_another_form_may_be_a_function_of_tensors(fashion, sixteen, truth):
    def exported(tensors):
        return fashion.predict_tensors(tensors / 255)

    found = kit.compare(fashion, exported, sixteen, truth, progress=False)
    assert found.second == "exported"
    assert found.forms.cause == "range"
    assert "the second expects another range of values" in found.headline()


def test_logits_of_a_form_are_told_and_compared_all_the_same(fashion, sixteen, truth):
    found = kit.compare(
        fashion, lambda tensors: np.log(fashion.predict_tensors(tensors)), sixteen, truth, progress=False
    )
    assert (found.forms.cause, found.changed) == ("softmax_head", 0)
    assert found.calibration is None
    assert found.accuracy.first == found.accuracy.second
    assert found.difference <= 1


def test_the_report_can_be_read_by_people_and_machines(fashion, early, sixteen, truth):
    found = kit.compare(fashion, early, sixteen, truth, progress=False)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["changed"] == found.changed
    assert told["movers"][0]["before"] == list(found.movers[0].before)
    assert "(McNemar)" in repr(found)
    assert found._repr_html_().count("<tr>") == len(found.movers) + 1
    other = kit.compare(
        fashion, lambda tensors: fashion.predict_tensors(tensors / 255), sixteen, progress=False
    )
    assert json.loads(json.dumps(other.to_dict()))["forms"]["cause"] == "range"


def test_what_cannot_be_compared_is_refused(fashion, classifier, sixteen):
    with pytest.raises(ValueError, match="Expected as many classes, received 10 and 3"):
        kit.compare(fashion, kit.Classifier(small(), GREY), sixteen, progress=False)
    with pytest.raises(ValueError, match="Expected as many classes, received 10 and 4"):
        kit.compare(fashion, lambda tensors: fashion.predict_tensors(tensors)[:, :4], sixteen, progress=False)
    with pytest.raises(TypeError, match=r"kit\.compare\(first, second, photos\)"):
        kit.compare(sixteen, fashion, fashion, progress=False)
    with pytest.raises(TypeError, match="a classifier or a function of tensors, received str"):
        kit.compare(fashion, "model.keras", sixteen, progress=False)
    with pytest.raises(ValueError, match="Expected"):
        kit.compare(fashion, fashion, [], progress=False)
    with pytest.raises(ValueError, match="Expected 16 labels"):
        kit.compare(fashion, fashion, sixteen, [1, 2], progress=False)
