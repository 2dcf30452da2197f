"""Two faults that hide each other are found together."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import kit
from kit.diagnosis.candidates import Evaluator, candidate_with_causes, candidates
from kit.diagnosis.estimation import with_unlisted_scaling
from kit.diagnosis.evidence import Grounds, Score
from kit.diagnosis.search import search
from kit.diagnosis.sources import Vote
from kit.preprocessing.scaling import unscale
from tests.networks import MoreClasses

LITE = kit.samples.classifier("efficientnet_lite0")
FAULTS = kit.faults.CATALOGUE


class Saturated(MoreClasses):
    """Surely predicts the first class for all that is not scaled."""

    def predict_tensors(self, tensors):
        rows = super().predict_tensors(tensors)
        return np.eye(rows.shape[1])[[0] * len(rows)] if np.ptp(tensors) > 9 else rows


class TwoClasses(Saturated):
    """The first two of these, of which all photos may well show one."""

    def predict_tensors(self, tensors):
        rows = super().predict_tensors(tensors)[:, :2]
        return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "unscaled"),
    [(Saturated, False), (Saturated, True), (TwoClasses, True)],
)
def test_one_class_for_all_photos_makes_another_scaling_possible_at_most(
    kind, unscaled
):
    used = LITE.preprocessing
    if unscaled:
        used = FAULTS["missing_scaling"].apply(used)
    grounds = Grounds.of(
        Evaluator(kind(LITE)), used, kit.samples.photos("imagenet")[:1]
    )
    result = search(grounds)
    told = [(one.cause, one.verdict, one.summary) for one in result.findings]
    summary = (
        "The same class is predicted for these and for all photos of the kit;"
        " with another scaling it is not."
    )
    is_told = unscaled and kind is Saturated
    assert told == [("missing_scaling", "possible", summary)] * is_told
    assert not result.decided


def test_a_network_without_statistics_is_searched_by_the_labelled_images_of_the_kit():
    right = LITE.preprocessing
    photos = kit.samples.photos("special")[-1:]
    evaluator = Evaluator(LITE)
    grounds = Grounds.of(evaluator, right, photos)
    assert search(grounds).decided
    # Of large photos, a range of 0..1 costs two predictions of 27: too few for a name.
    broken = FAULTS["range_0_1"].apply(right)
    named = search(Grounds.of(evaluator, broken, photos)).findings[0]
    assert (named.cause, named.verdict) == ("wrong_range", "named")
    assert evaluator.tensors_agree(photos, named.fix.preprocessing, right)
    (boxed,) = (
        one for one in candidates(right) if one.preprocessing.fit == "letterbox"
    )
    large = replace(grounds.bundled, photos=grounds.bundled.originals)
    assert grounds.bundled.vote(right, boxed) == large.vote(right, boxed)


class OwnScaling:
    """Predicts as another does that scales to 0..1, whose images were scaled by another mean and std."""

    def __init__(self, predictor, scaling):
        self.predictor, self.scaling = predictor, scaling

    def predict_tensors(self, tensors):
        return self.predictor.predict_tensors(unscale(tensors, (self.scaling,)) / 255)


def test_a_known_scaling_stays_where_one_that_explains_more_predicts_the_same():
    used = LITE.preprocessing
    known = candidate_with_causes("scaling", used.replace(scaling="imagenet"), used)
    grounds = SimpleNamespace(
        in_use=used,
        probes=(),
        score=lambda candidate: Score(candidate, (Vote("a", 3.0, 3.0),)),
        changes_predictions=lambda fixed, _, pseudocount: fixed == used or pseudocount,
    )
    ranked = [Score(known, (Vote("a", 2.0, 2.0),))]
    assert with_unlisted_scaling(grounds, ranked) is ranked


@pytest.mark.parametrize("by_the_kit", [True, False])
def test_labels_name_no_known_scaling_where_another_explains_them_better(
    no_batchnorm, clothes, clothes_labels, by_the_kit
):
    own = OwnScaling(no_batchnorm, kit.Scaling(255.0, mean=0.19, std=0.25))
    if by_the_kit:
        evaluator = Evaluator(own)
        labels = None
    else:
        # The kit has no labelled images for eleven classes.
        evaluator = Evaluator(MoreClasses(own))
        labels = np.array(clothes_labels[300:316])
    grounds = Grounds.of(
        evaluator, no_batchnorm.preprocessing, clothes[300:316], labels
    )
    # Of the known scalings 0..255 meets the most labels, 10 of 16; that of the training meets 15.
    assert grounds.scores[0].candidate.cause == "double_scaling"
    named = search(grounds).findings[0]
    assert (named.cause, named.verdict) == ("wrong_mean_std", "named")
    assert named.fix.preprocessing is None
    assert "fits best, of usual ones scaling: 0..255; look" in named.fix.text


def test_where_a_scaling_is_told_in_words_alone_no_further_fault_is_looked_for(
    no_batchnorm, clothes
):
    evaluator = Evaluator(OwnScaling(no_batchnorm, kit.Scaling(255.0, 0.19, 0.25)))
    used = FAULTS["inverted"].apply(no_batchnorm.preprocessing)
    found = search(Grounds.of(evaluator, used, clothes[300:340])).findings
    assert [one.cause for one in found if one.verdict != "ruled_out"] == [
        "wrong_mean_std"
    ]
