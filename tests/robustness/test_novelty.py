"""Images that are none of the classes are found by their distance, at a stated rate of false positives."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.stats import binom
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import kit
from kit import Novelty, samples
from kit.classifier.neighbours import NEAREST
from kit.diagnosis.image_causes import out_of_distribution
from tests.outliers import outliers


def known(fashion, held_back=(1, 2, 3)):
    """Only the scores of held-back images are looked at."""
    return Novelty(fashion, np.asarray(held_back, np.float32))


@pytest.fixture(scope="module")
def ordinary(novelty, others):
    return novelty.scores(others)


@pytest.mark.parametrize("name", ["digits", "textures"])
def test_foreign_images_score_higher_than_clothes(novelty, ordinary, name):
    scores = novelty.scores(list(outliers(name)))
    truth = np.repeat([0, 1], [len(ordinary), len(scores)])
    assert roc_auc_score(truth, np.concatenate([ordinary, scores])) >= 0.97
    assert (scores > novelty.threshold).mean() >= 0.85


def test_the_score_is_the_mean_distance_to_the_nearest_training_images(
    fashion, clothes
):
    novelty = kit.fit_novelty(fashion, clothes[:50], clothes[50:90])
    _, rows = fashion.features(clothes[:100])
    distances, places = (
        NearestNeighbors(n_neighbors=NEAREST).fit(rows[:50]).kneighbors(rows[90:])
    )
    np.testing.assert_allclose(
        novelty.scores(clothes[90:100]), distances.mean(axis=1), rtol=1e-3
    )
    for photo, nearest, away in zip(clothes[90:100], places, distances, strict=True):
        found = novelty.classifier.nearest(photo)
        assert [one.name for one in found.neighbours] == [
            clothes[place].name for place in nearest
        ]
        np.testing.assert_allclose(
            [one.distance for one in found.neighbours], away, rtol=1e-2
        )
        classes = fashion.probabilities([clothes[place] for place in nearest]).argmax(
            axis=1
        )
        assert [one.predicted for one in found.neighbours] == [
            fashion.class_names[row] for row in classes
        ]
        assert (
            found.agreeing == (classes == fashion.probabilities(photo).argmax()).sum()
        )


def test_the_threshold_is_the_quantile_of_split_conformal_prediction(fashion):
    for count, threshold in [(19, 19), (38, 38), (39, 38), (99, 95)]:
        assert known(fashion, np.arange(1, count + 1)).threshold == threshold


def test_chances_are_shares_of_held_back_images(fashion):
    # Scores are kept in float32, in which 2.6 is less.
    found = known(fashion, (1, 2.6, 3)).chances([0, 2.6, 4])
    np.testing.assert_allclose(found, [1, 0.75, 0.25])


def test_novel_is_what_lies_above_the_threshold(novelty, fashion, others):
    few = [*others[:5], outliers("digits")[0]]
    expected = novelty.scores(few) > novelty.threshold
    maps = [fashion.inside(fashion.tensor(one))[1] for one in few]
    assert [*map(novelty.is_novel, maps)] == expected.tolist()
    assert expected[-1]


def test_too_few_held_back_images_are_refused(fashion, clothes, monkeypatch):
    with pytest.raises(
        ValueError,
        match=r"^Expected at least 19 held-back images, received 18; give more$",
    ):
        kit.fit_novelty(fashion, clothes[:30], clothes[30:48])
    # Every fifth, so that no more than four are kept.
    monkeypatch.setattr("kit.classifier.classifier.MOST_KEPT", 4)
    enough = kit.fit_novelty(fashion, clothes[:19], clothes[:19]).attached()
    kept = [photo.name for photo in clothes[:19:5]]
    assert enough.reference.neighbours.names == kept
    assert kit.novelty_of(enough)


def test_the_fit_travels_with_the_file(novelty, others, tmp_path):
    novelty.attached().save(tmp_path / "carrying.keras")
    restored = kit.novelty_of(kit.Classifier.load(tmp_path / "carrying.keras"))
    assert (
        repr(restored)
        == "Novelty('fashion_mnist', 5000 training and 1000 held-back images)"
    )
    assert restored.threshold == novelty.threshold
    np.testing.assert_array_equal(
        restored.scores(others[:9]), novelty.scores(others[:9])
    )
    assert (
        restored.classifier.nearest(others[0]).text()
        == novelty.classifier.nearest(others[0]).text()
    )


def test_what_was_not_fitted_for_this_network_is_none(fashion, classifier, novelty):
    carried = novelty.attached().reference
    arrays = carried.arrays("novelty")
    assert kit.novelty_of(fashion) is None
    assert kit.novelty_of(classifier.with_reference(carried)) is None
    features = arrays["features"]
    changes = [{"features": features[1:]}, {"features": np.full_like(features, np.nan)}]
    changes += [
        {"predicted": arrays["predicted"] + 10},
        {"held_back": arrays["held_back"][:18]},
    ]
    changes += [{"names": arrays["names"][:-20]}, {"basis": np.zeros((40, 20))}]
    changes += [{"thumbnails": np.zeros((3, 48, 48, 3), np.uint8)}]
    for change in changes:
        reference = fashion.reference.with_arrays("novelty", {**arrays, **change})
        assert kit.novelty_of(fashion.with_reference(reference)) is None


def test_of_many_channels_forty_numbers_are_kept_and_of_images_thumbnails_on_request(
    classifier, tmp_path
):
    photos = list(samples.photos("imagenet")[:4])
    lines = []
    knowing = classifier.with_reference(photos, thumbnails=True, progress=lines.append)
    knowing.save(tmp_path / "knowing.keras")
    assert lines[-1] == "Images: 4 of 4"
    knowing = kit.Classifier.load(tmp_path / "knowing.keras")
    assert knowing.reference.arrays("novelty")["features"].shape == (4, 40)
    found = knowing.nearest(photos[2], 4)
    _, rows = classifier.features(photos)
    expected = np.linalg.norm(rows - rows[2], axis=1)
    names = [photos[place].name for place in expected.argsort()]
    assert [one.name for one in found.neighbours] == names
    np.testing.assert_allclose(
        [one.distance for one in found.neighbours], np.sort(expected), atol=0.05
    )
    assert found.agreeing == 1
    said = "the same is predicted for 1 of the 4 nearest training images"
    assert f"{said}: doubt this prediction" in found.text()
    assert "doubt" not in knowing.nearest(photos[2], 2).text(), "itself is a half"
    assert re.findall('<img alt="(.*?)" src', found.html()) == names
    middles = [
        ImageOps.fit(Image.fromarray(photos[place].pixels), (48, 48))
        for place in expected.argsort()
    ]
    np.testing.assert_array_equal(found.thumbnails, np.stack(middles))
    with pytest.raises(
        ValueError,
        match=r"Expected a classifier that knows its training images; use with_reference\(photos\)$",
    ):
        classifier.nearest(photos[0])


# The cause


# A dog called a waiter: https://github.com/OlafenwaMoses/IdenProf/issues/3
# No leaf, and yet a disease: https://github.com/keras-team/keras/issues/13224
def test_foreign_images_are_named_as_the_cause(novelty):
    carrying, foreign = novelty.attached(), list(outliers("digits"))[:4]
    assert kit.diagnose(carrying, foreign).best.cause == "out_of_distribution"
    finding = out_of_distribution(carrying, foreign[0])
    assert finding.evidence[1].value == finding.evidence[1].threshold == 1


def test_ordinary_images_are_seldom_blamed(novelty, others):
    carrying = novelty.attached()
    verdicts = [out_of_distribution(carrying, photo).verdict for photo in others[:200]]
    # 1 % and 5 % are stated.
    assert verdicts.count("named") <= binom.ppf(0.999, 200, 0.01)
    assert verdicts.count("possible") <= binom.ppf(0.999, 200, 0.05)
    like = "The images are like those of training."
    assert out_of_distribution(carrying, others[:100]).summary == like


@pytest.fixture(scope="module")
def found(novelty, others):
    """The finding for so many foreign and ordinary images, the foreign ones with this chance in 1000."""
    digit, shirt = outliers("digits")[0], others[0]
    high, low = novelty.scores([digit, shirt])
    assert high > low + 0.2

    def find(foreign, ordinary, chance):
        held = np.repeat([low + 0.1, high + 0.1], [1000 - chance, chance - 1]).astype(
            np.float32
        )
        carrying = replace(novelty, held_back=held).attached()
        return out_of_distribution(carrying, [digit] * foreign + [shirt] * ordinary)

    return find


def test_the_evidence_counts_images_and_says_how_many_chance_allows(found):
    # Of four, one above a threshold for 1 % has a chance of 1 - 0.99**4 = 3.9 %, two have one of 0.06 %.
    finding = found(1, 3, chance=1)
    assert (
        finding.verdict,
        finding.evidence[1].value,
        finding.evidence[1].threshold,
    ) == ("ruled_out", 1, 2)
    unlike = "2 of 4 images are {}unlike those of training{}."
    assert found(2, 2, chance=1).summary == unlike.format("", ": no class fits")
    finding = found(2, 2, chance=41)
    assert (finding.verdict, finding.summary) == (
        "possible",
        unlike.format("rather ", ""),
    )
    text = "images farther from training than {} of held-back ones"
    assert [one.text for one in finding.evidence] == [*map(text.format, ("95%", "99%"))]


@pytest.mark.parametrize(
    ("chance", "verdict"),
    [(10, "named"), (11, "possible"), (50, "possible"), (51, "ruled_out")],
)
def test_one_image_is_judged_by_its_chance(found, chance, verdict):
    finding = found(1, 0, chance)
    assert finding.verdict == verdict
    assert [one.supports for one in finding.evidence] == [chance <= 50, chance <= 10]
