"""Pictures that are none of the classes are told from ordinary ones, at a stated rate of errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

import kit
from kit import samples
from kit.classifier.engines import LiteEngine
from kit.classifier.intermediate import IntermediateOutputs
from kit.diagnosis.investigation import out_of_distribution
from kit.robustness.novelty import combined, energy, profile_novelty, statistics
from kit.robustness.profile import Gaussian, distances
from tests import networks
from tests.outliers import outliers

HELD = 1000


@pytest.fixture(scope="module")
def classifier(fashion):
    return fashion


@pytest.fixture(scope="module")
def clothes(clothes):
    """Held-back pictures for thresholds, and others."""
    return clothes[:HELD], clothes[HELD:]


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
    assert 0.85 < area(ordinary["combined"], novelty.scores(list(outliers("rotated")))["combined"]) < 0.9


@pytest.mark.parametrize("settings", [{"noise": 8}, {"brightness": 0.7}, {"jpeg_quality": 40}])
def test_clothes_that_were_altered_a_little_are_no_more_novel_than_others(novelty, clothes, settings):
    photos = [kit.Perturbation(**settings, seed=5).apply(photo) for photo in clothes[1][:400]]
    # 99.9 % of such runs lie below, with 1,000 pictures for the threshold and 400 to judge.
    assert novelty.is_novel(photos).mean() < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 * (1 / 400 + 1 / 1000))


def test_noisy_clothes_are_shifted_and_digits_are_novel(classifier, novelty, clothes, clothes_labels):
    noisy = [kit.Perturbation(noise=12, seed=5).apply(photo) for photo in clothes[1][:200]]
    right = classifier.probabilities(noisy).argmax(axis=1) == clothes_labels[HELD : HELD + 200]
    noisy = [photo for photo, answered in zip(noisy, right, strict=True) if answered]
    digits = list(outliers("digits")[:200])
    assert novelty.is_shifted(noisy).mean() > 2 * novelty.is_novel(noisy).mean() > 0
    assert novelty.is_novel(digits).mean() > 0.95
    assert not (novelty.is_shifted(digits) & novelty.is_novel(digits)).any()
    assert novelty.is_shifted(clothes[1]).mean() < 0.05


def test_shifted_needs_the_last_stage(classifier):
    some = np.arange(3, dtype=np.float32)
    with pytest.raises(ValueError, match="last_stage"):
        kit.Novelty(classifier, {"energy": some}).is_shifted([np.zeros((28, 28), np.uint8)])


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


def test_probability_and_batchnorm_are_those_of_the_classifier(classifier, novelty, clothes):
    few = clothes[1][:5]
    tensors = np.concatenate([classifier.tensor(photo) for photo in few])
    moments = LiteEngine(classifier.first_layers.compiled, threads=1).predict(tensors).astype(np.float64)
    scores = novelty.scores(few)
    np.testing.assert_allclose(
        scores["probability"], 1 - classifier.probabilities(few).max(axis=1), atol=1e-6
    )
    np.testing.assert_allclose(scores["batchnorm"], distances(moments, classifier.first_layers).mean(axis=1))


def test_statistics_are_signed_square_roots_of_means_and_deviations():
    rows = [np.array([row], np.float32) for row in ([4, -9], [1, 16])]
    found = IntermediateOutputs(np.zeros((1, 2), np.float32), None, *rows)
    np.testing.assert_array_equal(statistics(found), [[2, -3, 1, 4]])


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

    received = Gaussian.of_classes(values, classes).distances(places)

    expected = [min(mahalanobis(place, mean, inverse) for mean in means) ** 2 for place in places]
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_with_few_pictures_each_statistic_is_weighed_by_itself():
    values = np.array([[0.0, 0.0], [2.0, 20.0]]).repeat(9, axis=0)
    features = Gaussian.of_classes(values, np.arange(18) % 2)
    # Variances 1 and 100; a thousandth of their mean is added to both.
    expected = 4 / (1 + 0.0505) + 400 / (100 + 0.0505)
    np.testing.assert_allclose(features.distances(np.array([[3.0, 30.0]])), [expected], rtol=1e-6)
    assert features.packed()["whitening"].shape == (2,)
    assert features.means.shape == (1, 2)


def test_some_of_the_values_alone_are_as_if_the_others_had_never_been():
    random = np.random.default_rng(3)
    classes = np.repeat([0, 1], 100)
    values = random.normal(size=(200, 4)) @ random.normal(size=(4, 4)) + 5 * classes[:, None]
    columns = np.array([False, True, False, True])
    whole = Gaussian.of_classes(values, classes)
    places = random.normal(size=(6, 4))

    received = whole.marginal(columns).distances(places)

    means = [values[classes == each][:, columns].mean(axis=0) for each in (0, 1)]
    around = values - np.array([values[classes == each].mean(axis=0) for each in (0, 1)])[classes]
    covariance = around.T @ around / 200
    covariance += 1e-3 * np.trace(covariance) / 4 * np.eye(4)
    inverse = np.linalg.inv(covariance[np.ix_(columns, columns)])
    expected = [min(mahalanobis(place, mean, inverse) for mean in means) ** 2 for place in places[:, columns]]
    np.testing.assert_allclose(received, expected, rtol=1e-4)


def test_a_covariance_needs_ten_pictures_a_statistic_and_a_class_ten_of_its_own():
    values = np.random.default_rng(0).normal(size=(40, 2))
    for count, second, whitening, means in [(19, 9, 2, 1), (20, 10, 3, 2), (40, 9, 3, 1), (40, 10, 3, 2)]:
        features = Gaussian.of_classes(values[:count], (np.arange(count) < second).astype(int))
        assert (features.packed()["whitening"].size, len(features.means)) == (whitening, means)


def test_each_class_has_a_mean_of_its_own(novelty):
    assert novelty.features.means.shape == (10, 160)
    assert len(np.unique(novelty.features.means, axis=0)) == 10
    for values in novelty.held_back.values():
        assert (np.diff(values) >= 0).all()


def test_the_first_score_that_a_network_allows_decides(classifier):
    some = np.arange(3, dtype=np.float32)
    names = ["probability", "batchnorm", "energy", "features", "last_stage", "combined"]
    for count, name in enumerate(names, start=1):
        assert kit.Novelty(classifier, dict.fromkeys(names[:count], some)).method == name


def test_a_distance_needs_twenty_training_pictures(classifier, clothes):
    few, enough = (kit.fit_novelty(classifier, clothes[0][:count], clothes[1][:19]) for count in (19, 20))
    assert (few.method, few.features) == ("energy", None)
    assert enough.method == "combined"
    # Without a covariance the last stage says nothing.
    assert "last_stage" not in enough.held_back


@pytest.mark.parametrize("name", ["features", "last_stage"])
def test_combined_adds_exponentials_of_standardized_scores(name):
    held = {"energy": np.array([1.0, 5.0]), "features": np.exp([1.0, 2.0]), name: np.exp([0.0, 6.0])}
    # Means 3 and 3, deviations 2 and 3: the standardized scores are 3 and 4.
    received = combined({"energy": np.array([9.0]), "features": np.exp([8.0]), name: np.exp([15.0])}, held)
    np.testing.assert_allclose(received, [np.log(np.exp(3) + np.exp(4))])


def test_what_was_fitted_without_the_last_stage_decides_by_all_stages(novelty, clothes):
    held = {name: values for name, values in novelty.held_back.items() if name != "last_stage"}
    earlier = kit.Novelty(novelty.classifier, held, novelty.features)
    again = kit.Novelty.from_bytes(earlier.to_bytes(), novelty.classifier)
    scores = again.scores(clothes[1][:9])
    np.testing.assert_array_equal(scores["combined"], combined(scores, held))
    assert "last_stage" not in scores


# Thresholds


def test_thresholds_are_the_conformal_quantile():
    network = samples.classifier("fashion_mnist")
    held = {"energy": np.arange(1, 100, dtype=np.float32)}
    # The 95th of 99 at 5 %: a hundredth picture is among the five highest of 100 with a chance of 5 %.
    assert kit.Novelty(network, held).thresholds == {"energy": 95}
    assert kit.Novelty(network, held, false_positive_rate=0.01).thresholds == {"energy": 99}
    assert kit.Novelty(network, held, false_positive_rate=0.005).thresholds == {"energy": float("inf")}
    # 56 % of 25, which is a little more than 14 in binary.
    few = {"energy": np.arange(1, 25, dtype=np.float32)}
    assert kit.Novelty(network, few, false_positive_rate=0.44).thresholds == {"energy": 14}


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
    for rate, count in ((0.05, 19), (1 / 49, 48)):
        fitted = kit.fit_novelty(classifier, clothes[0][:19], clothes[1][:count], false_positive_rate=rate)
        assert fitted.thresholds["energy"] == fitted.held_back["energy"][-1]


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
    assert len(carrying.reference.novelty) < 100_000


def test_a_classifier_without_one_has_none(classifier):
    assert kit.novelty_of(classifier) is None


def carrying(classifier, data):
    return classifier.with_reference(classifier.reference.with_novelty(data))


def test_damaged_bytes_are_none(classifier, novelty):
    data = novelty.to_bytes()
    for damaged in (b"", b"PK", data[:200], data[:5000] + b"\0" * 20 + data[5020:]):
        assert kit.novelty_of(carrying(classifier, damaged)) is None
        with pytest.raises(ValueError, match=r"Expected a novelty .*; fit it anew$"):
            kit.Novelty.from_bytes(damaged, classifier)


def test_bytes_that_do_not_fit_together_are_refused(classifier):
    some = np.array([3, 1, 2], np.float32)
    restored = kit.Novelty.from_bytes(kit.Novelty(classifier, {"energy": some}).to_bytes(), classifier)
    assert restored.held_back["energy"].tolist() == [1, 2, 3]
    for wrong in (
        kit.Novelty(classifier, {"features": some}),
        kit.Novelty(classifier, {}),
        kit.Novelty(classifier, {"energy": some}, false_positive_rate=2.0),
    ):
        with pytest.raises(ValueError, match=r"Expected a novelty .*; fit it anew$"):
            kit.Novelty.from_bytes(wrong.to_bytes(), classifier)


def test_the_fit_of_another_network_is_refused(novelty):
    photographs = samples.classifier("efficientnet_lite0")
    assert kit.novelty_of(carrying(photographs, novelty.to_bytes())) is None


def test_a_novelty_says_what_it_knows(novelty):
    assert repr(novelty) == (
        "Novelty('fashion_mnist', combined, last_stage, features, energy, batchnorm, probability;"
        " 1000 held-back pictures, 0.05 false positives)"
    )


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


@pytest.fixture(scope="module")
def found(classifier, clothes):
    """The finding for so many foreign and ordinary pictures, the foreign ones with this chance in 1000."""
    digit, shirt = outliers("digits")[0], clothes[1][0]
    known = kit.Novelty(classifier, {"energy": np.arange(9, dtype=np.float32)})
    high, low = known.scores([digit, shirt])["energy"]
    assert high > low + 2

    def find(foreign, ordinary, chance):
        held = np.repeat([low + 1, high + 1], [1000 - chance, chance - 1]).astype(np.float32)
        carrying = kit.Novelty(classifier, {"energy": held}).attached()
        return out_of_distribution(carrying, [digit] * foreign + [shirt] * ordinary)

    return find


def test_the_evidence_counts_pictures_and_says_how_many_chance_allows(found):
    # Of four, one above a threshold for 1 % has a chance of 1 - 0.99**4 = 3.9 %, two have one of 0.06 %.
    finding = found(1, 3, chance=1)
    assert (finding.verdict, finding.evidence[1].value, finding.evidence[1].threshold) == ("ruled_out", 1, 2)
    assert found(2, 2, chance=1).verdict == "named"
    assert found(2, 2, chance=41).verdict == "possible"


@pytest.mark.parametrize(
    ("chance", "verdict"), [(10, "named"), (11, "possible"), (50, "possible"), (51, "ruled_out")]
)
def test_one_picture_is_judged_by_its_chance(found, chance, verdict):
    finding = found(1, 0, chance)
    assert finding.verdict == verdict
    assert [one.supports for one in finding.evidence] == [chance <= 50, chance <= 10]
    assert [one.threshold for one in finding.evidence] == [1, 1]


def test_as_many_pictures_as_chance_allows_are_no_evidence(found):
    for count in (1, 7, 20, 100):
        allowed = [
            next(n for n in range(count + 2) if binom.sf(n - 1, count, rate) <= rate) for rate in (0.05, 0.01)
        ]
        assert [one.threshold for one in found(0, count, chance=40).evidence] == allowed
    # Of twenty, three above a threshold for 5 % have a chance of 7.5 %, four have one of 1.6 %.
    assert found(3, 17, chance=40).verdict == "ruled_out"
    finding = found(4, 16, chance=40)
    assert (finding.verdict, finding.evidence[0].value, finding.evidence[0].threshold) == ("possible", 4, 4)
    # Of a hundred, five above a threshold for 1 % are unusual, whatever the other one says.
    finding = found(5, 95, chance=4)
    assert (finding.verdict, [one.supports for one in finding.evidence]) == ("named", [False, True])


def test_chances_by_the_profile_are_shares_of_its_pictures(classifier):
    layers = classifier.first_layers
    held = distances(layers.profile, layers).mean(axis=-1).astype(np.float32)
    count = len(held)
    middle = np.median(held)
    received = profile_novelty(classifier).chances([0, middle, held.max(), held.max() + 1])
    share = (1 + (held >= middle).sum()) / (1 + count)
    np.testing.assert_allclose(received, [1, share, 2 / (1 + count), 1 / (1 + count)])


def test_a_profile_of_few_pictures_tells_nothing(classifier):
    def profiled(profile):
        layers = replace(classifier.first_layers, profile=profile)
        return classifier.with_reference(classifier.reference.with_first_layers(layers))

    profile = classifier.first_layers.profile
    for count, told in ((18, False), (19, True)):
        finding = out_of_distribution(profiled(profile[:count]), outliers("noise")[0])
        assert bool(finding.evidence) is told
    # However many there are, light and texture alone name no cause.
    finding = out_of_distribution(profiled(np.concatenate([profile] * 10)), outliers("noise")[0])
    assert (finding.verdict, finding.evidence[1].supports) == ("possible", True)


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
    with pytest.raises(ValueError, match="at least one picture"):
        out_of_distribution(novelty.attached(), [])
