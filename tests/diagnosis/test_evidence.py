"""What a pipeline is judged by, what it comes to together, and what forbids a candidate."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy

import kit
from kit.diagnosis.candidates import Candidate, Evaluator, Trial, candidates
from kit.diagnosis.evidence import Grounds
from kit.diagnosis.finding import Finding, using
from kit.diagnosis.search import is_merely_possible
from kit.diagnosis.sources import (
    Averages,
    Bundled,
    Certainty,
    Labelled,
    Ordinary,
    votes,
)
from tests.diagnosis import indices
from tests.networks import MoreClasses

LITE = kit.samples.classifier("efficientnet_lite0")

BATCHNORM = kit.samples.classifier("fashion_mnist")


def grounds_of(no_batchnorm, evaluator, photos, labels=()):
    known = indices(labels, len(photos))
    return Grounds.of(evaluator, no_batchnorm.preprocessing, photos, known)


def back_to(right, broken):
    """Return the candidate that puts a preprocessing right."""
    return next(one for one in candidates(broken) if one.preprocessing == right)


def kinds(grounds):
    return [type(source) for source in grounds.sources]


def test_without_first_layers_only_labels_are_known(no_batchnorm, sixteen, truth):
    grounds = grounds_of(
        no_batchnorm, Evaluator(no_batchnorm), sixteen[:4], (*truth[:3], None)
    )
    # Labelled images tell more than how sure the predictions are.
    assert kinds(grounds) == [Bundled, Labelled]
    assert (
        grounds.evaluator.has_statistics,
        grounds.probes,
        grounds.labelled.count,
    ) == (
        False,
        (),
        3,
    )


def test_a_network_for_small_pictures_is_judged_by_the_users_pictures(
    no_batchnorm, evaluator, sixteen, clothes
):
    grounds = grounds_of(no_batchnorm, evaluator, sixteen)
    assert kinds(grounds) == [Ordinary, Certainty]
    assert grounds.images_are_usual(no_batchnorm.preprocessing)
    assert not grounds.images_are_usual(
        no_batchnorm.preprocessing.replace(scaling="0..255")
    )
    # One image alone may be stranger by chance than nine in ten.
    odd = grounds_of(no_batchnorm, evaluator, clothes[231:232])
    assert odd.images_are_usual(no_batchnorm.preprocessing)
    assert (grounds.photos_are_usual_by_profile, odd.photos_are_usual_by_profile) == (
        True,
        False,
    )
    small = Evaluator(BATCHNORM, replace(BATCHNORM.first_layers, profile=None))
    grounds = Grounds.of(small, BATCHNORM.preprocessing, sixteen)
    assert kinds(grounds) == [Averages, Certainty]
    # What chance does to one image, divided by their number, and what their source does.
    averages = grounds.sources[0]
    assert averages.floor == pytest.approx(0.4 / 16 + 0.05)
    assert (averages.weight, averages.may_forbid) == (1.0, True)
    # Beside a profile they count half, and neither forbid nor say what is usual.
    known = Evaluator(BATCHNORM, BATCHNORM.first_layers)
    averages = Grounds.of(known, BATCHNORM.preprocessing, sixteen).sources[1]
    told = averages.weight, averages.usual_up_to, averages.may_forbid
    assert told == (0.5, 0, False)
    # New ones are not those of a training.
    layers = small.first_layers
    new = replace(layers, means=layers.means * 0, variances=layers.means**0)
    assert not Evaluator(BATCHNORM, new).has_statistics


def test_photographs_of_the_kit_judge_a_network_that_knows_photographs_but_never_the_users_own_picture():
    photo = kit.samples.photo("panda.jpg")
    grounds = Grounds.of(
        Evaluator(LITE, LITE.first_layers), LITE.preprocessing, (photo,)
    )
    assert len(grounds.probes) == 11
    assert photo not in grounds.probes
    # They count half where none of the preprocessings brings them as near as those of the training.
    wide = replace(LITE.first_layers, variances=LITE.first_layers.variances * 1.6)
    others = Grounds.of(Evaluator(LITE, wide), LITE.preprocessing, (photo,))
    near, far = grounds.sources[-2], others.sources[-2]
    assert near.title == far.title == "11 photos of the kit"
    assert (near.weight, far.weight) == (1, 0.5)
    assert near.floor < 0.04 < far.floor


def test_photographs_do_not_judge_a_network_that_they_are_unlike_nor_themselves():
    photos = kit.samples.typical()[0]
    flat = [
        kit.Perturbation(contrast=0.1 + 0.01 * place).apply(photo)
        for place, photo in enumerate(photos)
    ]
    layers = LITE.first_layers.with_profile(
        np.concatenate([LITE.tensor(photo) for photo in flat])
    )
    far = replace(LITE.first_layers, variances=LITE.first_layers.variances * 9)
    for known, own in (
        (layers, photos[:1]),
        (replace(far, profile=None), photos[:1]),
        (LITE.first_layers, photos),
    ):
        assert not Grounds.of(Evaluator(LITE, known), LITE.preprocessing, own).probes


def test_averages_gain_the_fall_of_the_logarithm_above_what_chance_does():
    tried = {one.step: one for one in candidates(LITE.preprocessing)}

    def vote(step, before, after, count=4, **settings):
        distances = {LITE.preprocessing: before, tried[step].preprocessing: after}
        evaluator = SimpleNamespace(
            distance_from_training=lambda _, p, __: distances[p]
        )
        photos = ("photo",) * count
        source = Averages(evaluator, photos, "", 0.5, 0.1, 0.5, True, 0.05)
        return replace(source, **settings).vote(LITE.preprocessing, tried[step])

    # Of the order of channels, smaller differences count where four images lie as near as chance lets them.
    for step, after, count, floor in (
        ("polarity", 0.05, 4, 0.1),
        ("channels", 0.06, 4, 0.1),
        ("channels", 0.05, 3, 0.1),
        ("channels", 0.05, 4, 0.05 / 8),
    ):
        found = vote(step, 0.4, after, count)
        gain = 0.5 * np.log((0.4 + floor) / (after + floor))
        assert (found.gain, found.measured) == (pytest.approx(gain), after)
    # Half of ln(4) is 0.69, of ln(3) 0.55.
    vetoes = [vote("polarity", 0.1, after).veto for after in (0.5, 0.7)]
    assert vetoes == [False, True]
    assert not vote("polarity", 0.1, 0.7, may_forbid=False).veto


def test_an_order_is_judged_by_predictions_for_photos_of_the_kit_as_well():
    asked = []
    trial = Trial(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))
    evaluator = SimpleNamespace(trial=lambda *given: asked.append(given[0]) or trial)
    own, probes = ("own",), ("photo",) * 3

    def weight(step, probes):
        source = Certainty(evaluator, own, probes)
        return source.vote(None, Candidate(None, step, "")).gain / np.log(2)

    steps = "scaling", "channels", "layout"
    weights = [weight(step, probes) for step in steps]
    assert weights == pytest.approx([0.2, 0.5, 0.5])
    assert asked == [own, (*probes, *own), (*probes, *own)]
    # Of three images, one of a rare colour counts too much.
    few = [weight(step, probes[:2]) for step in steps]
    assert few == pytest.approx([0.2, 0.2, 0.5])


def test_labels_forbid_what_makes_them_worse(no_batchnorm, sixteen):
    used = no_batchnorm.preprocessing
    answers = no_batchnorm.probabilities(sixteen).argmax(axis=1)
    source = Labelled(Evaluator(no_batchnorm), sixteen, answers)
    inverted = next(one for one in candidates(used) if one.step == "polarity")
    assert source.vote(used, inverted).veto
    # Chance puts one wrong as often as not.
    one = replace(source, photos=sixteen[:1], labels=answers[:1])
    assert one.vote(used, inverted).veto
    broken = inverted.preprocessing
    back = back_to(used, broken)
    vote = source.vote(broken, back)
    assert not vote.veto
    assert vote.gain > 0
    few = Labelled(Evaluator(no_batchnorm), sixteen[:4], answers[:4])
    same = Labelled(Evaluator(no_batchnorm), sixteen[:4] * 4, np.tile(answers[:4], 4))
    assert few.vote(broken, back).gain == pytest.approx(
        same.vote(broken, back).gain / 2
    )  # √(4 / 16)


RARE_STEP_NATS = [
    ({"invert": True}, 0.6),
    ({"layout": "transposed"}, 0.6),
    ({"cast": "uint8"}, 0.6),
    ({"thumbnail": (7, 7)}, 0.6),
    ({"channels": "gray_rgb"}, 0.36),
    ({"fit": "letterbox"}, 0.3),
    ({"fit": "pad"}, 0.3),
    ({"scaling": ("0..1", "0..1")}, 0.3),
]


@pytest.mark.parametrize(("odd", "nats"), RARE_STEP_NATS, ids=str)
def test_what_hardly_any_training_has_is_suspected(odd, nats):
    plain = kit.Preprocessing(size=(28, 28), scaling="0..1")
    broken = plain.replace(**odd)
    back = back_to(plain, broken)
    unexplained = 0 if back.catalogued else 0.35
    assert votes((), broken, back)[0].gain == pytest.approx(nats - unexplained)


def test_labels_alone_convince_where_more_than_half_are_met_beyond_chance(
    no_batchnorm, sixteen
):
    answers = no_batchnorm.probabilities(sixteen[:8]).argmax(axis=1).tolist()
    wrong = [(answer + 1) % 10 for answer in answers]
    bare = Evaluator(MoreClasses(no_batchnorm))

    def convincing(count, labels):
        photos = sixteen[:count]
        return grounds_of(
            no_batchnorm, bare, photos, labels[:count]
        ).can_rule_out_faults()

    # Four tosses of a coin are all heads in one of 16 cases, five in one of 32.
    assert not convincing(4, answers)
    assert convincing(5, answers)
    # Images without a label count for nothing.
    some_labelled = grounds_of(
        no_batchnorm, bare, sixteen, [*answers[:5], *[None] * 11]
    )
    assert some_labelled.can_rule_out_faults()
    # Seven heads of eight or more come in 9 of 256 cases, six in 37.
    assert convincing(8, [*answers[:7], wrong[7]])
    assert not convincing(8, [*answers[:6], *wrong[6:]])


def test_what_is_tried_makes_a_difference_and_can_be_told(
    no_batchnorm, evaluator, sixteen
):
    tried = grounds_of(no_batchnorm, evaluator, sixteen).differing_candidates()
    steps = {candidate.step for candidate in tried}
    assert steps >= {"polarity", "scaling", "layout"}
    assert "fit" not in steps, "of a square"
    # Not of one photo in four, which a letterbox alone changes.
    wide = kit.Photo.from_array(np.hstack([photo.pixels for photo in sixteen[:2]]))
    used = no_batchnorm.preprocessing.replace(fit="letterbox")
    for square_count, is_tried in ((1, True), (3, False)):
        photos = (*sixteen[:square_count], wide)
        tried = grounds_of(no_batchnorm, evaluator, photos).with_in_use(used)
        steps = {candidate.step for candidate in tried.differing_candidates()}
        assert ("fit" in steps) == is_tried


def test_two_changes_leave_a_tenth_of_the_distance_or_what_chance_makes(monkeypatch):
    monkeypatch.setattr(Ordinary, "log_distance", lambda _, distance: distance)
    # Training images lie at -1. Of 4 images twice the standard error is 0.1, of 16 it is 0.05.
    profile = SimpleNamespace(typical=-1.0, scatter=0.1)
    for count, nearest_refused in ((4, -0.89), (16, -0.94)):
        ordinary = Ordinary(None, (None,) * count, profile)
        assert ordinary.explains_most(-0.6, nearest_refused - 0.02)
        assert not ordinary.explains_most(-0.6, nearest_refused)
    assert ordinary.explains_most(1, -0.81)
    assert not ordinary.explains_most(1, -0.79)


def test_surer_predictions_alone_do_not_say_how_training_images_were_decoded(
    no_batchnorm,
):
    used = no_batchnorm.preprocessing
    black = used.replace(decoding=replace(used.decoding, matte=(0, 0, 0)))
    finding = Finding("alpha_matte", "named", "", fix=using("", used))
    bare = Evaluator(no_batchnorm)
    photos = (kit.samples.photo("alpha.webp"),)
    assert is_merely_possible(Grounds.of(bare, black, photos), finding)
    labels = bare.probabilities(photos, used).argmax(axis=1)
    assert not is_merely_possible(Grounds.of(bare, black, photos, labels), finding)
    certain = replace(finding, cause="dtype_cast")
    assert not is_merely_possible(Grounds.of(bare, black, photos), certain)


def test_a_network_of_usual_classes_is_asked_about_labelled_images_of_the_kit(
    no_batchnorm, sixteen
):
    right = no_batchnorm.preprocessing
    grounds = Grounds.of(Evaluator(no_batchnorm), right, sixteen[:1])
    bundled = next(one for one in grounds.sources if isinstance(one, Bundled))
    assert bundled.title in grounds.judged_by
    turned = right.replace(layout="transposed")
    back = back_to(right, turned)
    vote = bundled.vote(turned, back)
    # A paired t-test: 2.5 standard errors are worth a name.
    photos, labels = bundled.photos, bundled.labels
    before, after = (
        no_batchnorm.probabilities(photos, preprocessing=used)[np.arange(40), labels]
        for used in (turned, right)
    )
    errors = scipy.stats.ttest_rel(
        np.log(after.clip(0.05)), np.log(before.clip(0.05))
    ).statistic
    assert vote.measured == pytest.approx(errors, rel=1e-3)
    assert vote.gain == pytest.approx(0.5 * errors / 2.5, rel=1e-3)


def test_labelled_images_of_the_kit_tell_nothing_of_networks_that_miss_more_than_half(
    no_batchnorm, sixteen
):
    # Six of ten classes are others.
    order = [1, 2, 3, 4, 5, 0, 6, 7, 8, 9]
    other = SimpleNamespace(
        predict_tensors=lambda x: no_batchnorm.predict_tensors(x)[:, order]
    )
    assert kinds(grounds_of(no_batchnorm, Evaluator(other), sixteen)) == [Certainty]


def test_own_images_may_have_another_polarity_than_those_of_the_kit(
    no_batchnorm, sixteen
):
    inverted = no_batchnorm.preprocessing.replace(invert=True)
    grounds = Grounds.of(Evaluator(no_batchnorm), inverted, sixteen[:1])
    bundled = next(one for one in grounds.sources if isinstance(one, Bundled))
    back = next(one for one in candidates(inverted) if one.step == "polarity")
    vote = bundled.vote(inverted, back)
    assert (vote.gain, vote.veto) == (0, True)
    # So that nothing is clean, either.
    assert (grounds.judges_some_step, grounds.can_rule_out_faults()) == (True, False)


def test_a_label_out_of_a_thousand_classes_tells_as_much_as_three_out_of_ten(
    no_batchnorm, sixteen
):
    lite = kit.samples.photos("imagenet")[:1]
    of_ten = Labelled(Evaluator(no_batchnorm), sixteen[:1], np.array([0]))
    of_a_thousand = Labelled(Evaluator(LITE), lite, np.array([0]))
    assert of_ten.enough_labels(no_batchnorm.preprocessing) == 16
    assert of_a_thousand.enough_labels(LITE.preprocessing) == pytest.approx(16 / 3)
