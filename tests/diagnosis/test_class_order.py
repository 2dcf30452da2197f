"""The order of the classes, found from few labelled images."""

import numpy as np
import pytest

import kit
from kit.classifier.labels import label_indices
from kit.classifier.predictions import Predictions
from kit.diagnosis.class_order import check_class_order, known_orders


def answers(classes, count, sure=0.9):
    rows = np.full((len(classes), count), (1 - sure) / (count - 1), np.float32)
    rows[np.arange(len(classes)), classes] = sure
    return rows


def names(count):
    return [f"name {place:04d}" for place in range(count)]


def checked(rows, labels, class_names=()):
    named = tuple(class_names or names(rows.shape[1]))
    indices = label_indices(labels, named, rows)
    return check_class_order(Predictions(rows, named, indices, ("",) * len(rows)))


def test_one_place_too_far_needs_several_pictures_since_neighbours_are_alike():
    one, four = (
        checked(answers([label + 1 for label in labels], 1001), labels)
        for labels in ([5], [5, 90, 400, 700])
    )
    assert one is None
    assert four.verdict == "named"
    # Each of the orders hits a neighbour in 0.1 of all cases.
    assert four.evidence[2].value == pytest.approx(
        len(known_orders(names(1001))) * 1e-4
    )


def test_two_classes_that_changed_places_need_both_classes():
    labels = [0, 1] * 5
    assert (
        checked(answers([1, 0] * 5, 2, 0.95), labels, ["cat", "dog"]).verdict == "named"
    )
    assert checked(answers([1] * 5, 2), [0] * 5, ["cat", "dog"]) is None


def test_right_answers_unknown_labels_and_scattered_errors_are_not_accused():
    assert checked(answers([1, 2], 10), [1, 2]) is None
    assert checked(answers([1, 2], 10), [None, None]) is None
    # 40 of 64 are right, whatever else is predicted without a label.
    right, cycle = [3, 4, 5, 6, 7] * 8, [0, 1, 2] * 8
    rows = answers([*right, *cycle, *cycle], 8)
    labels = [*right, *[1, 2, 0] * 8, *[None] * 24]
    assert checked(rows, labels) is None
    # Reversed, half would be right, as it is.
    assert checked(answers([999, 998, 5, 6], 1001), [1, 2, 5, 6]) is None
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 40).tolist()
    assert checked(answers(random.integers(0, 10, 40), 10), labels) is None


def test_of_equal_orders_the_first_name_stays_and_the_order_in_use_is_none():
    assert [*known_orders(names(2))] == ["one place too far"]
    expected = ["one place too far", "one place too early", "reversed"]
    assert [*known_orders(names(3))] == expected
    assert known_orders(names(10))["one place too early"].tolist() == [*range(1, 10), 0]
    by_name = known_orders(["b", "C", "a", "d"])["sorted by name"]
    assert by_name.tolist() == [1, 2, 0, 3], "capitals first"


def test_pictures_of_one_class_count_once():
    # Output 8 for class 1 is what reversed classes would give, four times or once.
    one, four = (checked(answers([8] * count, 10), [1] * count) for count in (1, 4))
    assert one is None
    assert four is None
    three = checked(answers([8, 7, 6, 5], 10), [1, 2, 3, 1])
    assert three.verdict == "named"
    # 1 / 10 * 1 / 11 * 1 / 12, for each order.
    assert three.evidence[2].value == pytest.approx(len(known_orders(names(10))) / 1320)


def test_a_rule_that_leaves_a_network_half_wrong_is_not_named():
    labels = list(range(10)) * 8
    # A network that is right in 70 % has 45 of 80 or fewer in 0.6 % of all cases, 46 in 1.2 %.
    for right, said in ((45, "possible"), (46, "named")):
        outputs = [
            9 - label if place < right else label for place, label in enumerate(labels)
        ]
        assert checked(answers(outputs, 10), labels).verdict == said
    # As it is, half is right; sorted as text, all.
    half = checked(answers([0, 1, 5, 6], 13), [0, 1, 2, 3])
    assert half.verdict == "possible"


def exchanged(count):
    """Three of four classes with so many images each, two of them predicted as each other."""
    labels = [0, 1, 2] * count
    return checked(
        answers([[1, 0, 2][label] for label in labels], 4), labels, list("abcd")
    )


def test_two_classes_that_are_predicted_as_each_other_need_several_images():
    few, more = exchanged(2), exchanged(5)
    single = checked(answers([1, *[0] * 12, *[2] * 12], 4), [0, *[1] * 12, *[2] * 12])
    assert single.verdict == "possible", "one image of a class may err"
    assert (few.verdict, more.verdict) == ("possible", "named")
    # 3 classes, Laplace's 1 / 4 and 1 / 7 for the errors of the third, and 4 and 10 images of 1 / 2 each.
    assert few.evidence[1].value == pytest.approx(3 / 4 / 2**4)
    assert more.evidence[1].value == pytest.approx(3 / 7 / 2**10)
    # Where 8 of 28 others are wrong, too, many of 30 classes may be confused so.
    one = checked(answers([1, 0, *range(2, 22), *[2] * 8], 30), [*range(30)])
    assert one.evidence[1].value == 1


def test_an_order_without_a_rule_needs_many_classes_or_a_sure_network():
    order = [2, 0, 1, 5, 3, 4, 8, 9, 7, 6]
    for count, sure, said in (
        (10, 0.5, "named"),
        (3, 0.5, "possible"),
        (3, 0.95, "named"),
    ):
        labels = [*range(count)] * 8
        rows = answers([order[label] for label in labels], 10, sure)
        assert checked(rows, labels).verdict == said


def test_a_single_image_of_a_class_proves_no_order():
    order = [2, 4, 6, 8, 0, 9, 1]

    def in_order(*counts):
        labels = [label for label, count in enumerate(counts) for _ in range(count)]
        return answers([order[label] for label in labels], 10), labels

    # Two classes have more than one, and three are needed.
    assert checked(*in_order(8, 8, 1)) is None
    # Three have two images each: 6 of 6 by half, whatever the others are.
    found = checked(*in_order(2, 2, 2, 1, 1, 1, 1))
    assert found.verdict == "possible"
    assert found.evidence[1].value == pytest.approx(1 / 2**6)


def test_how_many_fit_and_that_their_outputs_differ_are_weighed_together():
    order, images = [2, 4, 6, 8, 0, 9, 1], [3, 2, 2, 2, 2, 2, 2]
    labels = [label for label, count in enumerate(images) for _ in range(count)]
    outputs = [order[label] for label in labels] + [9] * 4
    found = checked(answers(outputs, 10, 0.5), [*labels, 0, 1, 2, 3])
    # 15 of 19 by half; seven outputs of ten differ by chance in 0.06 of all cases.
    assert found.evidence[1].value == pytest.approx(0.0096, abs=1e-4)
    assert found.verdict == "possible"


def test_classes_that_a_network_confuses_are_not_exchanged():
    labels = [0] * 4 + [1] * 4 + [2] * 4
    # Half of each of two classes is predicted as the other, or one class as another, which is right.
    for outputs in (
        [0, 0, 1, 1, 0, 0, 1, 1],
        [1, 1, 2, 2, 0, 0, 2, 2],
        [1, 1, 1, 1, 1, 1, 1, 1],
    ):
        rows = answers([*outputs, 2, 2, 2, 2], 3)
        assert checked(rows, labels, list("abc")) is None


def test_an_order_is_no_more_than_possible_where_the_preprocessing_is_to_blame(
    fashion, sixteen
):
    broken = fashion.using(fashion.preprocessing.replace(invert=True))
    labels = (broken.predict(sixteen).index + 1) % 10
    found = kit.diagnose(broken, sixteen, labels.tolist()).findings
    verdicts = {one.cause: one.verdict for one in found}
    assert verdicts["inverted_polarity"] == "named"
    assert verdicts["class_order"] == "possible"
