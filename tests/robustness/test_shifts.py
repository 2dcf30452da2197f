"""`kit.shift`: ranking on real pictures with one thing changed, SciPy's statistics, files and words."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import kit
from kit.classifier.reference import InputStatistics, measured_rows
from kit.images.photo import each_picture
from kit.perturbation.conditions import ALTERATIONS, QUANTITIES
from kit.robustness import shifts
from kit.robustness.attribution import (
    POINTS,
    Explanation,
    NearestPaths,
    _covariance,
    _Remainder,
    combined_movements,
    paths,
)
from kit.robustness.differences import (
    AnswerShift,
    QuantityShift,
    compared_answers,
    quantity_shifts,
    with_equal_classes,
)
from kit.robustness.shifts import (
    Shift,
    judged_shifts,
    ranked_findings,
    with_changed_share,
)
from tests.pictures import file_of

CLASSIFIER = kit.samples.classifier("fashion_mnist")
CLOTHES = kit.samples.photos("fashion_mnist")
LABELS = kit.samples.labels("fashion_mnist")
TRAINING = tuple(
    map(kit.Photo.from_array, kit.samples.fashion_mnist_arrays("train")[0][:300])
)
STATISTICS = InputStatistics.of(TRAINING)


def altered(count=100, start=0, **settings):
    perturbation = kit.Perturbation(**settings)
    return [perturbation.apply(photo) for photo in CLOTHES[start : start + count]]


def by_quantity(found):
    return {one.quantity: one for one in found}


def found_in(photos):
    return by_quantity(ranked_findings(STATISTICS, measured_rows(photos)))


def ranked(photos):
    return [name for name, one in found_in(photos).items() if one.verdict == "shifted"]


ALTERED = [
    ({"brightness": 0.6}, "brightness"),
    ({"brightness": 1.5}, "brightness"),
    ({"contrast": 0.6}, "contrast"),
    ({"noise": 10}, "noise"),
    ({"blur": 0.8}, "sharpness"),
    ({"jpeg_quality": 60}, "blocking"),
]


@pytest.mark.parametrize(("settings", "quantity"), ALTERED)
def test_the_one_property_that_was_altered_is_ranked_first(settings, quantity):
    found = [ranked(altered(start=start, **settings))[0] for start in (0, 100)]
    assert found == [quantity] * 2


def test_other_pictures_of_the_same_kind_are_not_accused():
    assert [ranked(altered(start=start)) for start in range(0, 500, 100)] == [[]] * 5
    assert kit.shift(STATISTICS, altered()).verdict == "unchanged"


def test_what_moves_along_follows_and_the_strength_is_found():
    found = found_in(altered(noise=10))
    assert found["saturation"].verdict == found["colour_noise"].verdict == "follows"
    assert found["noise"].explanation.alteration == "noisy"
    # Of what is unchanged, that which differs most is first.
    sizes = [-abs(one.delta) for one in found.values() if one.verdict == "unchanged"]
    assert sizes == sorted(sizes)
    assert found["noise"].explanation.strength == pytest.approx(10, rel=0.25)


TWO = [
    ({"brightness": 0.55, "noise": 14}, {"brightness", "noise"}),
    ({"contrast": 0.6, "noise": 10}, {"contrast", "noise"}),
    ({"blur": 1, "noise": 10}, {"sharpness", "noise"}),
    ({"blur": 1, "jpeg_quality": 50}, {"sharpness", "blocking"}),
]


@pytest.mark.parametrize(("settings", "quantities"), TWO)
def test_the_two_properties_that_were_altered_and_no_others_are_named(
    settings, quantities
):
    found = [set(ranked(altered(start=start, **settings))) for start in (0, 100)]
    assert found == [quantities] * 2


def test_another_size_is_named_alone_whatever_its_filter_does_to_texture():
    half = [kit.Photo.from_array(photo.pixels[::2, ::2]) for photo in CLOTHES[:60]]
    assert ranked(half) == ["size"]


AT_TWO = int(np.abs(POINTS - 2).argmin())
"""Where a path is at its second strength."""


def column(quantity):
    """Where a quantity lies in a movement."""
    return list(QUANTITIES).index(quantity)


def paths_of(alteration, quantity, movements):
    """An alteration that moves nothing but one quantity, at its three strengths, and its opposite."""
    response = np.zeros((len(ALTERATIONS), 3, len(QUANTITIES)))
    response[list(ALTERATIONS).index(alteration), :, column(quantity)] = movements
    return [each for each in paths(response) if each.alteration.name == alteration]


def test_of_white_pixels_no_more_than_all_can_go():
    path, *_ = paths_of("paler", "highlights", [-0.1, -0.2, -0.3])
    base, white = np.zeros(len(QUANTITIES)), column("highlights")
    base[white] = 0.12
    assert combined_movements(path, path, base)[AT_TWO, AT_TWO, white] == -0.12


def test_noise_is_more_in_less_light_and_as_much_in_another_colour():
    noisy, _ = paths_of("noisy", "sharpness", [2, 8, 25])
    for name, expected in (("darker", 8 / 0.6), ("cooler", 8)):
        (other,) = paths_of(name, "tint", [0, 0, 0])
        moved = combined_movements(other, noisy, np.zeros(len(QUANTITIES)))[
            AT_TWO, AT_TWO
        ]
        assert moved[column("sharpness")] == pytest.approx(expected)


def test_two_alterations_explain_all_between_what_either_does_and_what_both_do():
    first, _ = paths_of("noisy", "tint", [1, 2, 3])
    (second,) = paths_of("darker", "tint", [0.5, 1, 1.5])
    # Beyond the strongest, noise goes on; light does not fall below nothing.
    assert (first.corner_strengths[-1], second.corner_strengths[-1]) == (42, 0.3)
    movement = np.zeros(len(QUANTITIES))
    step = NearestPaths(
        explanations=(),
        about=first.about | second.about,
        single_movements=np.stack([first.movements[AT_TWO], second.movements[AT_TWO]]),
        distance=0.0,
        joint_movement=1.5 * first.movements[AT_TWO],
    )
    for movement[column("tint")] in (0.5, 1, 2, 3, 3.5):
        outside = movement.sum() not in {1, 2, 3}
        assert step.out_of_reach(movement, np.full_like(movement, 0.1)).any() == outside


def test_only_what_an_alteration_is_about_speaks_for_it():
    for quantity, speaks in (("noise", True), ("colour_noise", False)):
        path, opposite = paths_of("noisy", quantity, [1, 2, 3])
        movement = path.corners[1]
        assert (path.moves_like(movement), path.moves_like(-movement)) == (
            speaks,
            False,
        )
        assert (path.opposite, opposite.opposite) == (False, True)
        assert opposite.moves_like(-movement) == speaks
    # Whether or not they cancel.
    apart = np.stack([path.movements[4], opposite.movements[4]])
    pair = NearestPaths((), path.about, apart, distance=0, joint_movement=0 * movement)
    np.testing.assert_array_equal(pair.size, 2 * np.abs(path.movements[4]))
    # Judged at the strongest that was measured: as far again, 2 and 3 and 1 would be -1.
    path, _ = paths_of("noisy", "noise", [2, 3, 1])
    assert path.moves_like(path.corners[1])


def test_what_did_not_move_is_not_shifted_by_what_goes_with_it():
    rows = STATISTICS.rows.copy()
    rows[:, column("highlights")] += 0.1
    found = by_quantity(ranked_findings(STATISTICS, rows))
    verdicts = found["brightness"].verdict, found["highlights"].verdict
    assert verdicts == ("unchanged", "shifted")


def test_two_alterations_at_once_are_about_two_quantities():
    kinds = ("noisy", "noise"), ("grainy", "colour_noise")
    pair = [paths_of(*kind, [1, 2, 3])[0] for kind in kinds]
    movement = pair[0].movements[AT_TWO] + pair[1].movements[AT_TWO]
    chance = np.eye(len(movement))
    left = _Remainder(movement, movement, movement > 0, 0 * movement, chance, 1)
    assert len(left.step(pair).explained) == 1


def test_of_two_explanations_of_a_quantity_the_first_counts(monkeypatch):
    causes = [explained(name, 2) for name in ("noisy", "darker", "brighter")]
    nothing = np.zeros(len(QUANTITIES), bool)
    monkeypatch.setattr(shifts, "explanations", lambda *_: (causes, nothing))
    found = ranked_findings(STATISTICS, STATISTICS.rows)
    assert [one.explanation for one in found[:3]] == [*causes[:2], None]


def test_of_images_that_are_large_together_fewer_are_kept(monkeypatch):
    monkeypatch.setattr(shifts, "_SMALL_PIXELS", 3 * 28 * 28)
    monkeypatch.setattr(shifts, "LARGE_EXAMPLES", 1)
    monkeypatch.setattr(shifts, "MOST", 5)
    gathered = shifts.gather(tuple(each_picture(CLOTHES[:6])))
    assert (len(gathered.rows), len(gathered.photos)) == (5, 3)
    assert gathered.photos != CLOTHES[:3], "at random"


def test_too_few_images_cannot_tell_and_are_not_even_opened(monkeypatch):
    monkeypatch.setattr("kit.images.photo.Picture.open", None)
    for shift in (
        kit.shift(STATISTICS, CLOTHES[:19]),
        kit.shift(CLOTHES[:19], CLOTHES[:20]),
    ):
        assert (shift.verdict, shift.findings) == ("cannot_tell", ())
        assert shift.text().endswith("cannot tell, it takes 20 on each side.")


def test_a_difference_is_neither_chance_nor_negligible():
    for more, less, verdict in [
        (14, 0, "unchanged"),
        (16, 0, "follows"),
        (16, 3, "unchanged"),
    ]:
        ours, theirs = np.ones((2, 400, len(QUANTITIES)))
        theirs[: 4 * more], theirs[396 - 4 * less : 396] = 2, 0.5
        found = by_quantity(quantity_shifts(ours, theirs))["tint"]
        assert (found.delta, found.verdict) == (
            pytest.approx((more - less) / 100),
            verdict,
        )
    # Of nine in twenty the p-value is 0.012, of ten 0.005.
    theirs[9:20] = 1
    assert quantity_shifts(ours[:20], theirs[:20])[0].verdict == "unchanged"
    theirs[9] = 2
    assert quantity_shifts(ours[:20], theirs[:20])[0].verdict == "follows"
    assert quantity_shifts(ours[:20], theirs[:19])[0].verdict == "cannot_tell"


def test_steps_below_the_resolution_are_equal_and_turns_are_shares():
    names = list(QUANTITIES)
    ours = np.ones((30, len(names)))
    theirs = ours.copy()
    ours[:9, names.index("turned")] = 0
    theirs[:3, names.index("turned")] = 0
    theirs[:, names.index("noise")] += 0.1  # of 0.25 levels
    theirs[:, names.index("size")] *= 1.01
    found = by_quantity(quantity_shifts(ours, theirs))
    assert (found["turned"].training, found["turned"].photos) == pytest.approx(
        (0.7, 0.9)
    )
    # Of 900 pairs the photo has more in 27 * 9 and less in 3 * 21.
    assert found["turned"].delta == pytest.approx((27 * 9 - 3 * 21) / 900)
    for name in ("noise", "size", "tint"):
        assert (found[name].delta, found[name].p_value) == (0, 1)


def answers(photos):
    return CLASSIFIER.probabilities(photos).argmax(axis=1)


def test_the_answers_of_the_classifier_are_those_that_it_gives():
    training = TRAINING[:20]
    shift = kit.shift(training, altered(60, brightness=0.5), classifier=CLASSIFIER)
    cause = shift.shifted[0].explanation
    assert (cause.tried, cause.count) == ("training images are changed in this way", 20)
    dimmed = [
        kit.Perturbation(brightness=cause.strength).apply(photo) for photo in training
    ]
    assert cause.changed == (answers(training) != answers(dimmed)).mean()
    unknown = CLASSIFIER.using(CLASSIFIER.preprocessing)
    unknown.preprocessing = None
    assert kit.shift(STATISTICS, CLOTHES[:20], classifier=unknown).answers is None


def explained(name, strength, *, opposite=False):
    return Explanation(name, opposite, strength)


def test_photos_are_brought_back_no_farther_than_threefold():
    dark = altered(60, brightness=0.1)
    blurred = explained("blurred", 3, opposite=True)
    for given, training, does in [
        (explained("darker", 0.5), (), {"brightness": 2}),
        (explained("darker", 0.1), (), {"brightness": 3}),
        (explained("brighter", 9), (), {"brightness": 1 / 3}),
        # What training images went through cannot be done to them again.
        (blurred, CLOTHES[:40], {"blur": 3}),
    ]:
        cause = with_changed_share(CLASSIFIER, given, training, dark)
        after = [kit.Perturbation(**does).apply(photo) for photo in dark]
        changed = (answers(dark) != answers(after)).mean()
        found = cause.changed, cause.count, cause.tried
        assert found == (changed, 60, "this is undone")


def test_what_cannot_be_undone_is_not_judged_by_doing_it_twice():
    # Noise once took 62 % of other predictions along, and noise on top of that 4 %.
    noisy = explained("noisy", 25)
    assert with_changed_share(CLASSIFIER, noisy, (), CLOTHES[:30]) is noisy


def test_predictions_are_accounted_for_by_what_changes_them_and_by_chance():
    # 10 % of the images get another class.
    answers = AnswerShift((50, 50), (60, 40), ("a", "b"), chance=0.05)
    finding = found_in(CLOTHES[:20])["brightness"]
    assert not shifts._explains_answers(answers, [finding])
    for strength, changed, accounted in [
        (0.5, 0.06, 1),
        (0.5, 0.04, 0),
        (0.3, 0, 1),
        (0.5, np.nan, 1),
    ]:
        cause = Explanation("darker", False, strength, changed)
        findings = replace(finding, explanation=cause), finding
        assert shifts._explains_answers(answers, findings) == accounted


def test_what_is_no_factor_is_not_undone_by_one_over_it(monkeypatch):
    darker = replace(ALTERATIONS["darker"], neutral=0)
    monkeypatch.setitem(ALTERATIONS, "darker", darker)
    cause = with_changed_share(CLASSIFIER, explained("darker", 0.5), (), CLOTHES[:1])
    assert np.isnan(cause.changed)


def gathered_from(pictures):
    return shifts.gather(list(each_picture(pictures)), classifier=CLASSIFIER)


@pytest.fixture(scope="module")
def known():
    """400 training images, measured and answered."""
    pictures = list(kit.samples.fashion_mnist_arrays("train")[0][:400])
    gathered = gathered_from(pictures)
    return InputStatistics(
        gathered.rows, STATISTICS.response, gathered.answers
    ), gathered.photos


def printable(known, photos):
    gathered = gathered_from(photos)
    found, answers, notes = judged_shifts(*known, gathered, CLASSIFIER)
    return {one.quantity for one in found if one.verdict == "shifted"}, answers, notes


def of_class(*classes, count=100):
    return [
        photo for photo, label in zip(CLOTHES, LABELS, strict=True) if label in classes
    ][:count]


def test_other_classes_are_told_from_other_pictures(known):
    # Of T-shirts alone "flatter" was said, since they are brighter than all clothes on average.
    assert set(ranked(of_class(0))) == {"contrast"}
    shifted, answers, notes = printable(known, of_class(0))
    assert (shifted, answers.verdict) == (set(), "other_classes")
    assert answers.summary.startswith("T-shirt/top +")
    assert notes[0].endswith(
        " photos with as many training images of the same predicted classes"
    )
    dark = [kit.Perturbation(brightness=0.55).apply(photo) for photo in of_class(0)]
    shifted, answers, _ = printable(known, dark)
    assert (shifted, answers.verdict) == ({"brightness"}, "other_classes")


def test_a_file_that_knows_how_its_training_images_are_predicted_tells_other_classes(
    known,
):
    statistics, _ = known
    carrying = CLASSIFIER.reference.with_arrays("properties", statistics.arrays())
    knowing = CLASSIFIER.with_reference(carrying)
    found = kit.shift(knowing, of_class(0, 5))
    assert (found.verdict, found.shifted) == ("other_classes", ())
    # Clothes upside down are no other classes, and not told from them.
    turned = [photo.pixels[::-1].copy() for photo in CLOTHES[:100]]
    for shift in (found, kit.shift(knowing, turned)):
        assert shift.verdict == "other_classes"
        assert "Predictions: other classes, or a change that no quantity measures" in (
            str(shift)
        )
    # What it predicted of them is not what another one does, or it from other tensors.
    inverted = knowing.using(knowing.preprocessing.replace(invert=True))
    for training, given in ((knowing, CLASSIFIER), (inverted, None)):
        assert kit.shift(training, CLOTHES[:20], classifier=given).notes == (
            "predictions are not compared: that takes the training images themselves",
        )


def test_answers_that_an_alteration_changes_follow(known):
    shifted, answers, notes = printable(known, altered(contrast=0.5))
    assert (shifted, answers.verdict, notes) == ({"contrast"}, "follows", ())
    shifted, answers, notes = printable(known, altered())
    assert (shifted, answers.verdict, notes) == (set(), "unchanged", ())


def test_where_few_photos_are_predicted_as_training_is_no_alteration_is_named(known):
    statistics, examples = known
    boots = answers(CLOTHES) == 9
    photos = [photo for photo, boot in zip(CLOTHES, boots, strict=True) if boot][:60]
    gathered = gathered_from(photos)
    places = np.flatnonzero(statistics.answers == 9)
    for count, note in (
        (
            19,
            "classes may explain what differs: only 19 photos are predicted as training images",
        ),
        (
            20,
            "compared are 20 photos with as many training images of the same predicted classes",
        ),
    ):
        ours = statistics.answers.copy()
        ours[places[count:]] = 8
        ours = replace(statistics, answers=ours)
        found, compared, notes = judged_shifts(ours, examples, gathered, CLASSIFIER)
        told = {one.verdict for one in found}
        assert (told == {"cannot_tell"}) == (count == 19)
        assert all(one.explanation is None for one in found if count == 19)
        assert (compared.verdict, notes) == ("other_classes", (note,))


def test_answers_are_compared_by_the_distance_of_their_shares():
    # Of four the three that changed most, and of equal ones the first.
    shift = AnswerShift((50, 30, 19, 1), (20, 39, 38, 3), tuple("abcd"), 0.0)
    assert shift.summary == "a -30%, c +19%, b +9%"
    shift = AnswerShift((12, 12, 12) * 4, (10, 10, 16) * 4, tuple("abcdefghijkl"), 0.0)
    assert shift.summary == "c +3%, f +3%, i +3%"
    # By Fisher's exact test 0.014, which may be chance, and 0.009.
    even = np.repeat([0, 1], 50)
    for count, verdict in ((68, "unchanged"), (69, "follows")):
        uneven = np.repeat([0, 1], (count, 100 - count))
        assert compared_answers(even, uneven, tuple("ab")).verdict == verdict
    one = compared_answers(np.zeros(50, int), np.zeros(50, int), tuple("ab"))
    assert (one.verdict, one.distance) == ("unchanged", 0)
    other = compared_answers(np.zeros(50, int), np.ones(50, int), tuple("ab"))
    assert (other.verdict, other.distance) == ("follows", 1)


def test_as_many_pictures_as_possible_are_alike_in_their_answers():
    ours, theirs = np.repeat([0, 1, 2], (100, 3, 10)), np.repeat([0, 1, 3], (50, 5, 7))
    one, other = with_equal_classes(ours, theirs)
    assert (
        np.bincount(ours[one]).tolist()
        == np.bincount(theirs[other]).tolist()
        == [50, 3]
    )


def test_a_classifier_without_statistics_says_what_to_do():
    with pytest.raises(
        ValueError,
        match=(
            r"Expected a classifier with statistics of its training images, received "
            r"'fashion_mnist' without; write kit.shift\(images, photos, classifier=classifier\)$"
        ),
    ):
        kit.shift(CLASSIFIER, CLOTHES[:30])


@pytest.mark.parametrize("given", [([], CLOTHES[:30]), (CLOTHES[:30], [])])
def test_no_images_are_refused_on_either_side(given):
    with pytest.raises(ValueError, match="Expected at least one image, received none"):
        kit.shift(*given)


def test_files_are_measured_and_what_cannot_be_read_is_reported():
    files = [
        file_of(Image.fromarray(photo.pixels), "JPEG", quality=40)
        for photo in CLOTHES[:24]
    ]
    received = [b"none", *files, b"no image", b"none"]
    shift = kit.shift(STATISTICS, received)
    assert shift.photos == 24
    names = ["image 0", "image 25", "image 26"]
    assert [name for name, _ in shift.unreadable] == names
    # Those of the training, too.
    both = kit.shift(received, received)
    assert [name for name, _ in both.unreadable] == 2 * names
    assert shift.shifted[0].quantity == "blocking"
    quality = next(one for one in shift.findings if one.quantity == "jpeg_quality")
    assert quality.photos == pytest.approx(40, abs=1)


def test_statistics_from_before_a_quantity_are_read_for_the_others():
    arrays, tint = STATISTICS.arrays(), list(QUANTITIES).index("tint")
    names = arrays["names"].tobytes().replace(b"tint, ", b"").replace(b"darker, ", b"")
    response = np.delete(arrays["response"], tint, axis=2)
    earlier = {
        "names": np.frombuffer(names, np.uint8),
        "rows": np.delete(arrays["rows"], tint, axis=1),
        "response": response[1:],
        "strengths": arrays["strengths"][3:],
    }
    statistics = InputStatistics.of_arrays(earlier)
    np.testing.assert_array_equal(
        statistics.response[1:, :, :tint], response[1:, :, :tint]
    )
    assert np.isnan(statistics.response[0]).all()
    found = kit.shift(statistics, altered(60, noise=15)).findings
    assert by_quantity(found)["noise"].explanation.alteration == "noisy"
    assert by_quantity(found)["tint"].verdict == "cannot_tell"


def test_where_no_image_can_be_read_nothing_can_be_told():
    shift = kit.shift([b"no image"] * 20, CLOTHES[:30])
    assert (shift.verdict, shift.training) == ("cannot_tell", 0)


def test_an_interruption_keeps_what_was_measured(monkeypatch):
    seen = []

    def stopping(photos):
        seen.append(photos)
        if len(seen) > 30:
            raise KeyboardInterrupt
        return measured_rows(photos)

    monkeypatch.setattr(shifts, "measured_rows", stopping)
    gathered = shifts.gather(list(each_picture(CLOTHES[:50])))
    assert len(gathered.rows) == 30
    assert gathered.answers.tolist() == [-1] * 30
    seen.clear()
    assert kit.shift(STATISTICS, CLOTHES[:50]).photos == 30


def test_a_report_by_hand():
    darker = Explanation(
        "darker", False, 0.5, 0.25, 32, "training images are changed in this way"
    )
    cleaner = Explanation("noisy", True, 8, 0.02, 60, "this is undone")
    findings = (
        QuantityShift("brightness", 128, 64, -0.8, 0.0, "shifted", darker),
        QuantityShift("noise", 9, 1, -0.5, 0.002, "shifted", cleaner),
        QuantityShift("saturation", 0.0, 0.2, 0.3, 0.009, "follows"),
        QuantityShift("tint", 1, np.nan, np.nan, np.nan, "cannot_tell"),
    )
    names = tuple((f"{name}.png", "why") for name in ("<a>", "b", "c", "d", "e"))
    shift = Shift(findings, 2560, 1060, names, ("<note>",))
    lines = shift.text().splitlines()
    assert (
        lines[0]
        == "1,060 photos compared with 2,560 training images: shifted in brightness, noise."
    )
    assert lines[1] == "Note: <note>"
    # The p-value is so small that it is 0 here.
    row = "brightness       128      64  -0.80  <0.001  shifted: darker (about ×0.5)"
    assert lines[3] == row
    assert lines[-1] == "Not readable: <a>.png, b.png, c.png and 2 more."
    assert "<note>" not in shift._repr_html_()
    assert "&lt;a&gt;.png, b.png, c.png and 2 more" in shift._repr_html_()
    # Nothing is said of an effect on other images than these where there is none.
    without = replace(findings[0], explanation=replace(darker, changed=0.0))
    assert "%" not in replace(shift, findings=(without,)).text()
    # Where a classifier answered, it is said that the effect is not known.
    unknown = replace(findings[0], explanation=replace(darker, changed=np.nan))
    unknown = replace(shift, findings=(unknown,))
    told = "brightness: how many predictions this changes, only the training images themselves tell."
    assert told not in unknown.text()
    answers = AnswerShift((50, 50), (60, 40), ("a", "b"), chance=0.05)
    assert told in replace(unknown, answers=answers).text()
    assert replace(shift, findings=findings[2:]).verdict == "unchanged"
    few = replace(shift, findings=findings[2:], photos=19, unreadable=names[:3])
    told = "19 photos compared with 2,560 training images: cannot tell, it takes 20 on each side."
    assert few.text().startswith(told)
    assert few.text().endswith("\nNot readable: <a>.png, b.png, c.png.")
    assert replace(few, photos=1).text().startswith("1 photo compared")


def test_numbers_that_are_missing_are_taken_for_the_mean_of_the_others():
    table = np.array([[2, 1], [4, 3], [np.nan, 5], [6, 7]])
    # 2, 4, 4, 6 vary by 8/3, and 1, 3, 5, 7 by 20/3; their means by a quarter of it.
    np.testing.assert_allclose(np.diag(_covariance(table)), [2 / 3, 5 / 3])
