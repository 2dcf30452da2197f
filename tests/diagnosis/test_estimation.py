"""A scaling that no table has is found as two numbers, and never where light would do the same."""

import numpy as np
import pytest

import kit
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.estimation import with_unlisted_scaling
from kit.diagnosis.evidence import Grounds
from tests import networks

RIGHT = kit.Scaling(255.0, mean=0.2861, std=0.353)

"""Mean and standard deviation of Fashion-MNIST, as tutorials have them; no named scaling comes near."""


@pytest.fixture(scope="module")
def trained(no_batchnorm):
    """A network with a profile of images that were scaled in this way."""
    right = no_batchnorm.using(no_batchnorm.preprocessing.replace(scaling=RIGHT))
    tensors = np.concatenate(
        [right.tensor(photo) for photo in kit.samples.photos("fashion_mnist")[:60]]
    )
    layers = no_batchnorm.first_layers.with_profile(tensors)
    return networks.with_first_layers(right, layers)


def found(classifier, scaling, photos, cast=None):
    in_use = classifier.preprocessing.replace(scaling=scaling, cast=cast)
    grounds = Grounds.of(Evaluator(classifier, classifier.first_layers), in_use, photos)
    scores = with_unlisted_scaling(grounds, grounds.scores)
    # None where nothing was fitted.
    if scores is grounds.scores:
        return None
    return next(score for score in scores if score.candidate.step == "scaling")


@pytest.mark.parametrize(("scaling", "cast"), [("0..255", "uint8"), ("0..1", None)])
def test_mean_and_deviation_are_found_and_it_is_said_how_well(
    trained, sixteen, scaling, cast
):
    score = found(trained, scaling, sixteen, cast)
    (fitted,) = score.candidate.preprocessing.scaling
    assert score.candidate.preprocessing == trained.preprocessing.replace(
        scaling=fitted
    )
    assert fitted.mean == pytest.approx(RIGHT.mean, abs=0.05)
    assert fitted.std == pytest.approx(RIGHT.std, abs=0.06)
    margins = [
        float(part.split()[0].rstrip(","))
        for part in score.votes[-2].text.split("± ")[1:]
    ]
    assert all(0 < margin < 0.1 for margin in margins)
    variants = [variant.scaling[0] for variant in score.variants]
    changes = [(each.mean - fitted.mean, each.std - fitted.std) for each in variants]
    sides = np.multiply([(-1, 0), (1, 0), (0, -1), (0, 1)], margins)
    np.testing.assert_allclose(changes, sides, rtol=0.06)
    assert not score.vetoed


def test_a_fit_is_only_possible_where_no_other_images_confirm_it_or_all_are_predicted_as_one_class(
    trained, sixteen
):
    assert found(trained, "0..1", sixteen[:3]).vetoed
    assert not found(trained, "0..1", sixteen[:4]).vetoed
    predicted = trained.probabilities(sixteen).argmax(axis=1)
    alike = [
        photo
        for photo, one in zip(sixteen, predicted, strict=True)
        if one == np.bincount(predicted).argmax()
    ]
    assert found(trained, "0..1", alike * 2).vetoed


def test_the_cause_is_named_and_its_fix_is_the_estimate(trained, sixteen):
    broken = trained.using(trained.preprocessing.replace(scaling="0..255"))
    diagnosis = kit.diagnose(broken, sixteen)
    assert diagnosis.best.cause == "missing_scaling"
    (scaled,) = diagnosis.fix().scaling
    assert scaled.mean == pytest.approx(RIGHT.mean, abs=0.08)
    assert any("mean known to" in part.text for part in diagnosis.best.evidence)


def test_nothing_is_estimated_where_pictures_are_usual_or_a_known_scaling_is_right(
    trained, no_batchnorm, sixteen
):
    assert found(trained, RIGHT, sixteen) is None
    assert found(no_batchnorm, "0..255", sixteen) is None


LIGHTS = [
    {"brightness": 0.35},
    {"brightness": 0.6},
    {"brightness": 1.4},
    {"contrast": 0.4},
    {"contrast": 0.6},
]


@pytest.mark.parametrize("light", LIGHTS, ids=str)
def test_other_light_is_no_other_scaling(trained, sixteen, light):
    changed = [kit.Perturbation(**light).apply(photo) for photo in sixteen]
    assert kit.diagnose(trained, changed).best is None


def test_what_may_be_light_is_possible_and_the_report_says_what_to_compare(
    trained, sixteen
):
    dark = [kit.Perturbation(brightness=0.35).apply(photo) for photo in sixteen]
    report = str(kit.diagnose(trained, dark))
    assert "or the light of these images: compare with a training image" in report
