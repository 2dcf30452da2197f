"""The order of the classes, told from few labelled pictures."""

import numpy as np
import pytest

from kit import samples
from kit.diagnosis.checks.class_order import check_class_order, known_orders


def answers(classes, count, sure=0.9):
    rows = np.full((len(classes), count), (1 - sure) / (count - 1), np.float32)
    rows[np.arange(len(classes)), classes] = sure
    return rows


def names(count):
    return [f"name {place:04d}" for place in range(count)]


def test_text_sorting_is_what_sorted_does_with_folder_names():
    order = known_orders(names(12))["sorted as text"]
    assert order.tolist() == [0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
    assert "sorted as text" not in known_orders(names(10))


@pytest.mark.parametrize("labels", [[30], [7, 30]])
def test_text_sorting_of_sixty_four_folders_is_named_from_one_or_two_pictures(labels):
    # Folders "0" to "63": class 30 lies in place 25, class 7 in place 61, of "0", "1", "10", "11", …
    places = {30: 24, 7: 61}
    folders = sorted(map(str, range(64)))
    assert [folders[place] for place in places.values()] == ["30", "7"]
    finding = check_class_order(answers([places[label] for label in labels], 64), labels, names(64))
    assert (finding.cause, finding.summary.split(":")[0]) == (
        "class_order",
        "The classes of the network are sorted as text",
    )
    assert finding.verdict == ("named" if len(labels) == 2 else "possible")
    scope = {"class_names": names(64)}
    exec(finding.fix.code, scope)  # noqa: S102
    assert [scope["class_names"][places[label]] for label in labels] == [names(64)[label] for label in labels]


def test_one_picture_of_a_thousand_classes_is_enough_for_text_sorting():
    order = known_orders(names(1000))["sorted as text"]
    output = order.tolist().index(500)
    assert check_class_order(answers([output], 1000), [500], names(1000)).verdict == "named"


def test_one_place_too_far_needs_several_pictures_since_neighbours_are_alike():
    shifted = [answers([label + 1 for label in labels], 1001) for labels in ([5], [5, 90, 400, 700])]
    one, four = (
        check_class_order(rows, labels, names(1001))
        for rows, labels in zip(shifted, ([5], [5, 90, 400, 700]), strict=True)
    )
    assert one is None
    assert four.verdict == "named"
    # Six orders are tried; 6 * 0.1 ** 4
    assert four.evidence[2].value == pytest.approx(len(known_orders(names(1001))) * 1e-4)


def test_two_thousand_labelled_pictures_are_no_more_than_can_be_counted():
    labels = [label for label in range(10) for _ in range(200)]
    finding = check_class_order(answers([(label + 1) % 10 for label in labels], 10), labels, names(10))
    assert (finding.verdict, finding.evidence[2].value) == ("named", pytest.approx(0))


def test_two_classes_that_changed_places_need_both_classes():
    labels = [0, 1] * 5
    assert check_class_order(answers([1, 0] * 5, 2), labels, ["cat", "dog"]).verdict == "named"
    assert check_class_order(answers([1] * 5, 2), [0] * 5, ["cat", "dog"]) is None


def test_an_order_without_a_rule_is_named_when_it_is_one_to_one():
    moved = {0: 3, 1: 0, 2: 4, 3: 1, 4: 2}
    labels = list(range(5)) * 2
    rows = answers([moved[label] for label in labels], 5)
    assert check_class_order(rows, labels, list("abcde")).verdict == "named"


def test_a_network_that_always_gives_one_class_is_not_accused():
    labels = list(range(5)) * 2
    assert check_class_order(answers([3] * 10, 5), labels, list("abcde")) is None


def test_right_answers_unknown_labels_and_scattered_errors_are_not_accused():
    assert check_class_order(answers([1, 2], 10), [1, 2], names(10)) is None
    assert check_class_order(answers([1, 2], 10), [None, None], names(10)) is None
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, 40).tolist()
    assert check_class_order(answers(random.integers(0, 10, 40), 10), labels, names(10)) is None


@pytest.mark.parametrize("name", ["sorted as text", "one place too far", "reversed"])
def test_real_answers_name_the_order_and_their_own_order_is_not_accused(name):
    classifier = samples.classifier("efficientnet_lite0")
    labels = samples.labels("imagenet")
    rows = classifier.probabilities(samples.photos("imagenet"))
    assert check_class_order(rows, labels, classifier.class_names) is None
    order = known_orders(classifier.class_names)[name]
    # The network as it would be had its training had the classes in this order.
    finding = check_class_order(rows[:, order], labels, classifier.class_names)
    assert (finding.cause, finding.verdict) == ("class_order", "named")
    assert name in finding.summary
