"""Pictures that are none of the classes are told from ordinary ones, at a stated rate of errors."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

import kit
from kit import samples
from kit.samples import outliers
from tests import networks


@pytest.fixture(scope="module")
def ordinary(novelty, others):
    return novelty.scores(others)


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


def test_is_novel_compares_with_the_threshold_of_the_chosen_score(novelty, others):
    few = [*others[:5], outliers("digits")[0]]
    scores = novelty.scores(few)
    for name in (None, "energy", "probability"):
        wanted = name or "combined"
        np.testing.assert_array_equal(
            novelty.is_novel(few, name), scores[wanted] > novelty.thresholds[wanted]
        )
    assert novelty.is_novel(few)[-1]


@pytest.mark.parametrize("rate", [0, 1, float("nan")])
def test_a_rate_out_of_range_is_refused(fashion, held_back, others, rate):
    with pytest.raises(ValueError, match="Expected a"):
        kit.fit_novelty(fashion, held_back[:30], others[:30], false_positive_rate=rate)


def test_too_few_held_back_pictures_are_refused(fashion, held_back, others):
    with pytest.raises(ValueError, match=r"at least 19 held-back pictures for .* 0\.05, received 18"):
        kit.fit_novelty(fashion, held_back[:30], others[:18])
    for rate, count in ((0.05, 19), (1 / 49, 48)):
        fitted = kit.fit_novelty(fashion, held_back[:19], others[:count], false_positive_rate=rate)
        assert fitted.thresholds["energy"] == fitted.held_back["energy"][-1]


def test_an_unknown_score_is_refused(novelty, held_back):
    with pytest.raises(ValueError, match="did you mean 'energy'"):
        novelty.is_novel(held_back[:1], "energi")


# Networks that allow less


def test_a_network_in_keras_has_probability_alone(held_back, others):
    network = kit.Classifier(networks.unconvertible(), kit.Preprocessing(size=(28, 28), channels="gray"))
    novelty = kit.fit_novelty(network, held_back[:30], others[:30])
    assert (network.compiled, novelty.method) == (None, "probability")
    assert list(novelty.scores(held_back[:2])) == ["probability"]


def test_a_network_without_softmax_has_no_energy(held_back, others):
    network = kit.Classifier(networks.small("sigmoid", 1), networks.GREY)
    novelty = kit.fit_novelty(network, held_back[:30], others[:30])
    assert novelty.method == "features"
    assert "energy" not in novelty.thresholds


def test_logits_need_no_softmax_for_energy(held_back, others):
    network = kit.Classifier(networks.small(None), networks.GREY)
    novelty = kit.fit_novelty(network, held_back[:30], others[:30])
    tensors = network.tensor(others[0])
    assert novelty.measure(tensors)["energy"] == pytest.approx(-logsumexp(np.asarray(network.model(tensors))))


# Files


def test_the_fit_travels_with_the_file(novelty, others, tmp_path):
    target = tmp_path / "with.keras"
    carrying = novelty.attached()
    carrying.save(target)

    restored = kit.novelty_of(kit.Classifier.load(target))

    assert restored.false_positive_rate == novelty.false_positive_rate
    assert restored.thresholds == novelty.thresholds
    for name, values in novelty.scores(others[:9]).items():
        np.testing.assert_array_equal(restored.scores(others[:9])[name], values)
    assert len(carrying.reference.novelty) < 100_000


def test_a_classifier_without_one_has_none(fashion):
    assert kit.novelty_of(fashion) is None


def carrying(fashion, data):
    return fashion.with_reference(fashion.reference.with_novelty(data))


def test_damaged_bytes_are_none(fashion, novelty):
    data = novelty.to_bytes()
    for damaged in (b"", b"PK", data[:200], data[:5000] + b"\0" * 20 + data[5020:]):
        assert kit.novelty_of(carrying(fashion, damaged)) is None
        with pytest.raises(ValueError, match=r"Expected a novelty .*; fit it anew$"):
            kit.Novelty.from_bytes(damaged, fashion)


def test_bytes_that_do_not_fit_together_are_refused(fashion):
    some = np.array([3, 1, 2], np.float32)
    restored = kit.Novelty.from_bytes(kit.Novelty(fashion, {"energy": some}).to_bytes(), fashion)
    assert restored.held_back["energy"].tolist() == [1, 2, 3]
    for wrong in (
        kit.Novelty(fashion, {"features": some}),
        kit.Novelty(fashion, {}),
        kit.Novelty(fashion, {"energy": some}, false_positive_rate=2.0),
    ):
        with pytest.raises(ValueError, match=r"Expected a novelty .*; fit it anew$"):
            kit.Novelty.from_bytes(wrong.to_bytes(), fashion)


def test_the_fit_of_another_network_is_refused(novelty):
    photographs = samples.classifier("efficientnet_lite0")
    assert kit.novelty_of(carrying(photographs, novelty.to_bytes())) is None


def test_a_novelty_says_what_it_knows(novelty):
    assert repr(novelty) == (
        "Novelty('fashion_mnist', combined, features, energy, batchnorm, probability;"
        " 1000 held-back pictures, 0.05 false positives)"
    )
