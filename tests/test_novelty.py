"""Pictures that are none of the classes are told from ordinary ones, at a stated rate of errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

import kit
from kit import archive, samples
from kit.diagnosis.statistics import distances
from kit.engine import LiteEngine
from kit.novelty_finding import _judged, out_of_distribution
from kit.novelty_scores import combined, energy, fit_features
from kit.outliers import NAMES, outliers
from tests import networks

HELD = 1000


@pytest.fixture(scope="module")
def classifier():
    return samples.classifier("fashion_mnist")


@pytest.fixture(scope="module")
def clothes():
    """Held-back pictures for thresholds, and others."""
    photos = samples.photos("fashion_mnist")
    return photos[:HELD], photos[HELD:]


@pytest.fixture(scope="module")
def novelty(classifier, clothes):
    return kit.fit_novelty(classifier, list(samples.fashion_mnist_arrays("train")[0]), clothes[0])


@pytest.fixture(scope="module")
def ordinary(novelty, clothes):
    return novelty.scores(clothes[1])


def area(ordinary, foreign):
    truth = np.repeat([0, 1], [len(ordinary), len(foreign)])
    return roc_auc_score(truth, np.concatenate([ordinary, foreign]))


# Judged


@pytest.mark.parametrize("name", ["digits", "noise", "inverted", "textures"])
def test_foreign_pictures_are_told_from_clothes(novelty, ordinary, name):
    scores = novelty.scores(list(outliers(name)))["combined"]
    assert area(ordinary["combined"], scores) >= 0.97
    assert (scores > novelty.thresholds["combined"]).mean() >= 0.95


def test_rotated_clothes_are_told_less_well(novelty, ordinary):
    assert 0.9 < area(ordinary["combined"], novelty.scores(list(outliers("rotated")))["combined"]) < 0.95


def test_the_largest_probability_takes_textures_for_clothes(novelty, ordinary):
    assert area(ordinary["probability"], novelty.scores(list(outliers("textures")))["probability"]) < 0.5


def test_other_clothes_lie_above_each_threshold_as_often_as_stated(novelty, ordinary):
    for name, limit in novelty.thresholds.items():
        # 1,000 pictures for the threshold and as many to judge: 99.9 % of such runs lie within.
        low, high = 1000 * (0.05 + np.array([-3.3, 3.3]) * np.sqrt(2 * 0.05 * 0.95 / 1000))
        assert low < (ordinary[name] > limit).sum() < high


# Scores


def test_energy_is_minus_the_logarithm_of_summed_exponentials():
    logits = np.array([[0.0, 0.0], [1000.0, 0.0], [-3.0, 2.0]])
    np.testing.assert_allclose(energy(logits), -logsumexp(logits, axis=1))
    assert energy(logits)[0] == pytest.approx(-np.log(2))


def test_probability_and_batchnorm_are_those_of_the_classifier_and_its_taps(classifier, novelty, clothes):
    few = clothes[1][:5]
    tensors = np.concatenate([classifier.tensor(photo) for photo in few])
    moments = LiteEngine(classifier.taps.compiled, threads=1).predict(tensors).astype(np.float64)
    scores = novelty.scores(few)
    np.testing.assert_allclose(
        scores["probability"], 1 - classifier.probabilities(few).max(axis=1), atol=1e-6
    )
    np.testing.assert_allclose(scores["batchnorm"], distances(moments, classifier.taps).mean(axis=1))


def test_features_are_the_mahalanobis_distance_to_the_nearest_class():
    random = np.random.default_rng(2)
    classes = np.repeat([0, 1], 200)
    values = random.normal(size=(400, 3)) @ random.normal(size=(3, 3)) + 5 * classes[:, None]
    means = [values[classes == each].mean(axis=0) for each in (0, 1)]
    around = values - np.array(means)[classes]
    covariance = around.T @ around / 400
    # A thousandth of the mean variance is added to every variance.
    inverse = np.linalg.inv(covariance + 1e-3 * np.trace(covariance) / 3 * np.eye(3))
    places = random.normal(size=(6, 3))

    received = fit_features(values, classes).distances(places)

    expected = [min(mahalanobis(place, mean, inverse) for mean in means) ** 2 for place in places]
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_with_few_pictures_each_statistic_is_weighed_by_itself():
    values = np.array([[0.0, 0.0], [2.0, 20.0]]).repeat(9, axis=0)
    features = fit_features(values, np.arange(18) % 2)
    # Variances 1 and 100; a thousandth of their mean is added to both.
    expected = 4 / (1 + 0.0505) + 400 / (100 + 0.0505)
    np.testing.assert_allclose(features.distances(np.array([[3.0, 30.0]])), [expected], rtol=1e-6)
    assert features.whitening.shape == (2,)
    assert features.means.shape == (1, 2)


def test_combined_adds_exponentials_of_standardized_scores():
    held = {"energy": np.array([1.0, 3.0]), "features": np.exp([0.0, 2.0])}
    # Means 2 and 1, deviations 1 and 1: the standardized scores are 3 and 4.
    received = combined({"energy": np.array([5.0]), "features": np.exp([5.0])}, held)
    np.testing.assert_allclose(received, [np.log(np.exp(3) + np.exp(4))])


# Thresholds


def test_thresholds_are_the_conformal_quantile():
    network = samples.classifier("fashion_mnist")
    held = {"energy": np.arange(1, 100, dtype=np.float32)}
    # The 95th of 99 at 5 %: a hundredth picture is among the five highest of 100 with a chance of 5 %.
    assert kit.Novelty(network, held).thresholds == {"energy": 95}
    assert kit.Novelty(network, held, false_positive_rate=0.01).thresholds == {"energy": 99}
    assert kit.Novelty(network, held, false_positive_rate=0.005).thresholds == {"energy": float("inf")}


def test_chances_are_shares_of_held_back_pictures():
    novelty = kit.Novelty(samples.classifier("fashion_mnist"), {"energy": np.array([1, 2, 3], np.float32)})
    np.testing.assert_allclose(novelty.chances([0, 2, 4]), [1, 0.75, 0.25])


def test_is_novel_compares_with_the_threshold_of_the_chosen_score(novelty, clothes):
    few = [*clothes[1][:5], outliers("digits")[0]]
    scores = novelty.scores(few)
    for name in (None, "energy", "probability"):
        wanted = name or "combined"
        np.testing.assert_array_equal(
            novelty.is_novel(few, name), scores[wanted] > novelty.thresholds[wanted]
        )
    assert novelty.is_novel(few)[-1]


@pytest.mark.parametrize("rate", [0, 1, float("nan")])
def test_a_rate_out_of_range_is_refused(classifier, clothes, rate):
    with pytest.raises(ValueError, match="Expected a"):
        kit.fit_novelty(classifier, clothes[0][:30], clothes[1][:30], false_positive_rate=rate)


def test_too_few_held_back_pictures_are_refused(classifier, clothes):
    with pytest.raises(ValueError, match=r"at least 19 held-back pictures for .* 0\.05, received 18"):
        kit.fit_novelty(classifier, clothes[0][:30], clothes[1][:18])
    assert kit.fit_novelty(classifier, clothes[0][:30], clothes[1][:19]).thresholds["energy"] < np.inf


def test_an_unknown_score_is_refused(novelty, clothes):
    with pytest.raises(ValueError, match="did you mean 'energy'"):
        novelty.is_novel(clothes[0][:1], "energi")


# Networks that allow less


def test_a_network_in_keras_has_probability_alone(clothes):
    network = kit.Classifier(networks.unconvertible(), kit.Preprocessing(size=(28, 28), channels="gray"))
    novelty = kit.fit_novelty(network, clothes[0][:30], clothes[1][:30])
    assert (network.compiled, novelty.method) == (None, "probability")
    assert list(novelty.scores(clothes[0][:2])) == ["probability"]


def test_a_network_without_softmax_has_no_energy(clothes):
    network = kit.Classifier(networks.small("sigmoid", 1), networks.GREY)
    novelty = kit.fit_novelty(network, clothes[0][:30], clothes[1][:30])
    assert novelty.method == "features"
    assert "energy" not in novelty.thresholds


def test_logits_need_no_softmax_for_energy(clothes):
    network = kit.Classifier(networks.small(None), networks.GREY)
    novelty = kit.fit_novelty(network, clothes[0][:30], clothes[1][:30])
    tensors = network.tensor(clothes[1][0])
    assert novelty.measure(tensors)["energy"] == pytest.approx(-logsumexp(np.asarray(network.model(tensors))))


# Files


def test_the_fit_travels_with_the_file(novelty, clothes, tmp_path):
    target = tmp_path / "with.keras"
    carrying = novelty.attached()
    carrying.save(target)

    restored = kit.novelty_of(kit.Classifier.load(target))

    assert restored.false_positive_rate == novelty.false_positive_rate
    assert restored.thresholds == novelty.thresholds
    for name, values in novelty.scores(clothes[1][:9]).items():
        np.testing.assert_array_equal(restored.scores(clothes[1][:9])[name], values)
    assert len(carrying.carried(archive.NOVELTY)) < 100_000


def test_a_classifier_without_one_has_none(classifier):
    assert kit.novelty_of(classifier) is None


def test_damaged_bytes_are_none(classifier, novelty):
    data = novelty.to_bytes()
    for damaged in (b"", b"PK", data[:200], data[:5000] + b"\0" * 20 + data[5020:]):
        assert kit.novelty_of(classifier.carrying(archive.NOVELTY, damaged)) is None
        with pytest.raises(ValueError, match=r"Expected a novelty .*; fit it anew$"):
            kit.Novelty.from_bytes(damaged, classifier)


def test_the_fit_of_another_network_is_refused(novelty):
    photographs = samples.classifier("efficientnet_lite0")
    assert kit.novelty_of(photographs.carrying(archive.NOVELTY, novelty.to_bytes())) is None


def test_a_novelty_says_what_it_knows(novelty):
    assert repr(novelty) == (
        "Novelty('fashion_mnist', combined, features, energy, batchnorm, probability;"
        " 1000 held-back pictures, 0.05 false positives)"
    )


# Sets


def test_outliers_are_28_pixels_square_and_the_same_each_time():
    counts = {name: len(outliers(name)) for name in NAMES}
    photographs = len(samples.photos("photographs"))
    assert counts == {
        "digits": 1797,
        "noise": 1000,
        "inverted": 1000,
        "textures": 25 * photographs,
        "rotated": 1000,
    }
    for name in NAMES:
        assert outliers(name).shape[1:] == (28, 28)
        assert outliers(name).dtype == np.uint8
        np.testing.assert_array_equal(outliers(name), outliers(name))


def test_outliers_are_what_they_are_called():
    picture = np.arange(28 * 28, dtype=np.uint8).reshape(1, 28, 28)
    np.testing.assert_array_equal(outliers("inverted", picture)[0, 0, :3], [255, 254, 253])
    # Counter-clockwise by 90 degrees: the last column becomes the first row.
    np.testing.assert_array_equal(outliers("rotated", picture)[0, 0], picture[0, :, -1])
    assert outliers("digits")[:, 0, 0].mean() < 10
    assert abs(outliers("noise").mean() - 127.5) < 1


# The cause


def test_foreign_pictures_are_named_as_the_cause(novelty):
    finding = out_of_distribution(novelty.attached(), outliers("digits")[0])
    assert (finding.cause, finding.verdict) == ("out_of_distribution", "named")
    assert finding.evidence[1].value == finding.evidence[1].threshold == 1
    assert finding.summary == "1 of 1 pictures are unlike anything in training: none of the classes fits."


def test_ordinary_pictures_are_seldom_blamed(novelty, clothes):
    carrying = novelty.attached()
    verdicts = [out_of_distribution(carrying, photo).verdict for photo in clothes[1][:200]]
    # 1 % and 5 % are stated.
    assert verdicts.count("named") <= binom.ppf(0.999, 200, 0.01)
    assert verdicts.count("possible") <= binom.ppf(0.999, 200, 0.05)
    assert out_of_distribution(carrying, clothes[1][:100]).verdict == "ruled_out"


def test_the_evidence_counts_pictures_and_says_how_many_chance_allows(novelty):
    held = np.arange(1, 1000, dtype=np.float32)
    fixed = replace(novelty, held_back={"energy": held}, features=None)

    # Of four, one above a threshold for 1 % has a chance of 1 - 0.99**4 = 3.9 %, two have one of 0.06 %.
    verdict, evidence = _judged(fixed.chances([5, 5, 5, 2000]), "told")
    assert (verdict, evidence[1].value, evidence[1].threshold) == ("ruled_out", 1, 2)
    verdict, _ = _judged(fixed.chances([5, 5, 2000, 2000]), "told")
    assert verdict == "named"
    verdict, _ = _judged(fixed.chances([5, 5, 960, 960]), "told")
    assert verdict == "possible"


def test_the_profile_alone_speaks_for_the_cause_and_never_against(classifier, clothes):
    assert out_of_distribution(classifier, list(outliers("noise")[:3])).verdict == "possible"
    finding = out_of_distribution(classifier, clothes[1][:8])
    assert finding.verdict == "cannot_tell"
    assert finding.evidence


def test_without_any_statistics_nothing_is_told(clothes):
    network = kit.Classifier(networks.small(), networks.GREY)
    finding = out_of_distribution(network, clothes[0][0])
    assert (finding.verdict, finding.evidence) == ("cannot_tell", ())
    assert "kit.fit_novelty" in finding.summary


def test_no_photo_is_refused(novelty):
    with pytest.raises(ValueError, match="at least one photo"):
        out_of_distribution(novelty.attached(), [])


# The explorer


def test_the_explorer_answers_none_of_these_where_the_classifier_carries_a_novelty(classifier, novelty):
    digit = kit.load_image(outliers("digits")[0], name="digit")
    carrying = kit.Explorer(novelty.attached(), [digit])
    assert carrying._shown(carrying._current())[0]["verdict"].startswith("None of these: ")
    plain = kit.Explorer(classifier, [digit])
    assert plain._current().novel is None
