"""`kit.calibrate`: which pictures a temperature is fitted and judged on, and what comes out."""

import numpy as np
import pytest

import kit
from kit import samples
from kit.validation.calibration import fit_temperature, fit_vector, fitting_part, measure


@pytest.fixture(scope="module")
def pictures(clothes, clothes_labels):
    return clothes[:600], clothes_labels[:600]


@pytest.fixture(scope="module")
def overconfident():
    return samples.classifier("fashion_mnist_500")


@pytest.fixture(scope="module")
def calibration(overconfident, pictures):
    return kit.calibrate(overconfident, *pictures, resamples=200, progress=False)


def test_the_temperature_is_fitted_on_one_part_and_judged_on_the_other(overconfident, pictures, calibration):
    photos, labels = pictures
    rows, truth = overconfident.probabilities(photos), np.array(labels)
    fitting = fitting_part(truth, 0.5, 0)
    assert (calibration.fitted, calibration.judged) == (fitting.sum(), (~fitting).sum())
    temperature = fit_temperature(rows[fitting], truth[fitting])
    assert calibration.temperature == pytest.approx(temperature)
    rest = {"resamples": 200}
    assert calibration.measured == measure(rows, truth, **rest)
    assert calibration.before == measure(rows[~fitting], truth[~fitting], **rest)
    after = overconfident.tempered(temperature).calibrated(rows[~fitting])
    assert calibration.after == measure(after, truth[~fitting], **rest)
    assert calibration.ece == calibration.measured.ece.value


def test_an_overconfident_network_is_mended_on_pictures_that_the_temperature_never_saw(calibration):
    assert calibration.temperature > 1.3
    assert calibration.after.ece.value < calibration.before.ece.value / 2
    assert calibration.after.nll.value < calibration.before.nll.value
    assert calibration.after.sure_errors.value < calibration.before.sure_errors.value
    assert calibration.after.accuracy == calibration.before.accuracy


def test_reliability_diagrams_count_every_picture_once(calibration):
    expected = {"measured": 600, "before": calibration.judged, "after": calibration.judged}
    for name, count in expected.items():
        found = calibration.reliability[name]
        for bins in (found.equal_width, found.equal_mass):
            assert sum(one.count for one in bins) == count
    gaps = [
        one.count / 600 * abs(one.accuracy - one.confidence)
        for one in calibration.reliability["measured"].equal_width
    ]
    assert calibration.ece == pytest.approx(sum(gaps))


def test_the_temperature_travels_in_the_file(calibration, pictures, tmp_path):
    path = tmp_path / "calibrated.keras"
    calibration.classifier.save(path)
    loaded = kit.Classifier.load(path)
    assert loaded.temperature == calibration.temperature
    rows = loaded.probabilities(pictures[0][:5])
    np.testing.assert_array_equal(loaded.calibrated(rows), calibration.classifier.calibrated(rows))


def test_the_classifier_itself_is_left_as_it_was(overconfident, calibration):
    assert overconfident.temperature == 1
    assert calibration.classifier.name == overconfident.name


def test_a_temperature_that_is_there_does_not_count(overconfident, pictures, calibration):
    again = kit.calibrate(overconfident.tempered(3), *pictures, resamples=200, progress=False)
    assert again.temperature == calibration.temperature


def test_names_serve_as_labels(overconfident, pictures, calibration):
    photos, labels = pictures
    names = [overconfident.class_names[label] for label in labels]
    assert repr(kit.calibrate(overconfident, photos, names, resamples=200, progress=False)) == repr(
        calibration
    )


def test_vector_scaling_has_a_number_for_each_class_where_there_are_pictures_enough(
    overconfident, clothes, clothes_labels
):
    calibration = kit.calibrate(overconfident, clothes, clothes_labels, resamples=10, progress=False)
    assert len(calibration.vector.factors) == len(calibration.vector.biases) == 10
    assert calibration.after_vector.pictures == calibration.judged
    assert calibration.after_vector.nll.value < calibration.after.nll.value
    few = kit.calibrate(
        overconfident,
        samples.photos("fashion_mnist")[:60],
        samples.labels("fashion_mnist")[:60],
        resamples=50,
        progress=False,
    )
    assert (few.vector, few.after_vector) == (None, None)
    assert "vector scaling is left out: its 20 numbers need 200 pictures to be fitted on" in few.notes


def test_a_network_that_chance_may_explain_is_told_from_an_overconfident_one(calibration):
    assert not any("chance" in note for note in calibration.notes)
    photos, labels = samples.photos("fashion_mnist"), samples.labels("fashion_mnist")
    sound = kit.calibrate(samples.classifier("fashion_mnist"), photos, labels, resamples=200, progress=False)
    error, chance = sound.before.ece, sound.before.ece_by_chance
    left_out, note = sound.notes
    assert left_out == "vector scaling is left out: it does no better than one temperature"
    assert (sound.vector, sound.after_vector) == (None, None)
    assert note.startswith(
        f"chance may explain the ECE of {error.value:.3f} before: on 1000 pictures it gives"
    )
    assert note.endswith(f" {chance:.3f} on average where nothing is wrong")
    assert error.low == 0


def test_answers_that_are_all_right_determine_no_temperature(overconfident):
    photos, labels = samples.photos("fashion_mnist"), samples.labels("fashion_mnist")
    top = overconfident.probabilities(photos[:200]).argmax(axis=1)
    right = [index for index in range(200) if top[index] == labels[index]]
    found = kit.calibrate(
        overconfident,
        [photos[index] for index in right],
        [labels[index] for index in right],
        resamples=20,
        progress=False,
    )
    assert "the pictures determine no temperature between 0.05 and 20" in found.notes


def test_text_and_repr_tell_both_sides(calibration):
    before, after = calibration.before.ece.value, calibration.after.ece.value
    assert repr(calibration) == (
        f"Calibration('fashion_mnist_500', temperature {calibration.temperature:.2f}, ECE {before:.3f} ->"
        f" {after:.3f} on {calibration.judged} pictures that it was not fitted on)"
    )
    lines = str(calibration).splitlines()
    assert lines[0].startswith(f"Temperature {calibration.temperature:.2f}, fitted on {calibration.fitted} ")
    ece = next(line for line in lines if line.startswith("ECE (equal width)"))
    assert str(calibration.before.ece) in ece
    assert str(calibration.after.ece) in ece
    assert not any(line != line.rstrip() for line in lines)


def test_vector_scaling_that_is_worse_on_the_judged_pictures_is_not_offered(clothes, clothes_labels):
    sound, truth = samples.classifier("fashion_mnist"), np.array(clothes_labels)
    rows, fitting = sound.probabilities(clothes), fitting_part(truth, 0.5, 1)
    vector, temperature = (fit(rows[fitting], truth[fitting]) for fit in (fit_vector, fit_temperature))
    after, before = (
        measure(part, truth[~fitting], resamples=10).nll.value
        for part in (vector.apply(rows[~fitting]), sound.tempered(temperature).calibrated(rows[~fitting]))
    )
    assert after > before
    found = kit.calibrate(sound, clothes, clothes_labels, seed=1, resamples=10, progress=False)
    assert (found.vector, found.after_vector) == (None, None)
    assert "vector scaling is left out: it does no better than one temperature" in found.notes


@pytest.mark.parametrize("share", [0.5, 0.3, 0.1])
def test_each_class_is_split_in_the_same_proportion(share):
    labels = np.repeat(np.arange(4), (10, 50, 1, 139))
    fitting = fitting_part(labels, share, seed=1)
    assert fitting.sum() == 200 * share
    for each in range(4):
        inside = labels == each
        assert abs(fitting[inside].sum() - share * inside.sum()) <= 1
    assert not np.array_equal(fitting, fitting_part(labels, share, seed=2))


def test_every_picture_needs_a_label(overconfident, pictures):
    photos, labels = pictures
    with pytest.raises(ValueError, match="received None for number 2; leave out pictures"):
        kit.calibrate(overconfident, photos[:30], [*labels[:2], None, *labels[3:30]], progress=False)


@pytest.mark.parametrize(
    ("count", "settings", "error", "message"),
    [
        (19, {}, ValueError, "Expected at least 20 pictures, .* received 19; give more"),
        (30, {"share": 1}, ValueError, "a share that leaves pictures in both parts, received 1"),
        (30, {"share": 0}, ValueError, "Expected share above 0"),
        (30, {"bins": 0}, ValueError, "Expected bins as a whole number not below 1, received 0"),
        (30, {"resamples": 2.5}, TypeError, "Expected resamples as a whole number not below 1, received 2.5"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(
    overconfident, pictures, count, settings, error, message
):
    photos, labels = pictures
    with pytest.raises(error, match=message) as caught:
        kit.calibrate(overconfident, photos[:count], labels[:count], progress=False, **settings)
    assert "\n" not in str(caught.value)


def test_labels_may_be_an_array(overconfident, pictures):
    photos, labels = pictures
    found = kit.calibrate(overconfident, photos[:40], np.array(labels[:40]), resamples=10, progress=False)
    assert found.measured.pictures == 40
