"""From which numbers on a cause is named, with scores that are set by hand."""

import numpy as np
import pytest

import kit
from kit.diagnosis.search.candidates import candidates
from kit.diagnosis.search.evaluator import Evaluator
from kit.diagnosis.search.evidence import Grounds
from kit.diagnosis.search.scoring import Score
from kit.diagnosis.search.verdict import (
    best_of_another_cause,
    difference,
    explains_as_well,
    fix,
    indistinguishable,
    judged,
    labels_regained,
    profile_distance,
    ruled_out,
    thresholds,
    within_profile,
)


@pytest.fixture(scope="module")
def in_use(no_batchnorm):
    """Inverted by mistake."""
    return no_batchnorm.preprocessing.replace(invert=not no_batchnorm.preprocessing.invert)


@pytest.fixture(scope="module")
def probed(evaluator, sixteen):
    """Judged by the probes, where a cause is named from 0.2 nats on and mentioned from 0.1."""
    return Grounds(evaluator, sixteen, (), photographic=True)


@pytest.fixture(scope="module")
def profiled(evaluator, sixteen, truth):
    return Grounds(evaluator, sixteen, truth, photographic=False)


@pytest.fixture(scope="module")
def labelled(no_batchnorm, sixteen, truth):
    """Nothing is known but labels."""
    return Grounds(Evaluator(no_batchnorm), sixteen, truth, photographic=False)


@pytest.fixture(scope="module")
def found(in_use):
    """A candidate of each kind."""
    return {candidate.step: candidate for candidate in candidates(in_use)}


def verdict(grounds, ranked, in_use):
    told = judged(grounds, ranked, in_use)
    return None if told is None else told.verdict


def scores(found, *gains, spread=None):
    steps = ("polarity", "scaling", "layout")
    ranked = zip(steps, gains, strict=False)
    return [Score(found[step], gain, distance=gain, spread=spread) for step, gain in ranked]


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ((), None),
        ((0.09,), None),
        ((0.11,), "possible"),
        ((0.19,), "possible"),
        ((0.21,), "named"),
        ((0.5, 0.45), "possible"),  # a lead of 0.05 is chance
        ((0.5, 0.39), "named"),
    ],
)
def test_a_gain_names_a_cause_where_it_is_large_and_leads(probed, in_use, found, gains, said):
    assert verdict(probed, scores(found, *gains), in_use) == said


@pytest.mark.parametrize(
    ("gain", "spread", "said"), [(0.4, 0.3, None), (0.4, 0.2, "named"), (0.29, 0.01, None)]
)
def test_entropy_alone_must_fall_by_one_and_a_half_of_its_errors(probed, in_use, found, gain, spread, said):
    assert verdict(probed, scores(found, gain, spread=spread), in_use) == said


def test_the_users_pictures_name_a_cause_by_what_their_number_needs(profiled, found):
    (score,) = scores(found, 1.0)
    assert thresholds(profiled, score) == (profiled.needed, 0.6 * profiled.needed)


def test_nothing_is_named_that_leaves_the_pictures_outside_the_profile(profiled, no_batchnorm, in_use, found):
    best, worse = (
        Score(found["polarity"], 9.0),
        Score(found["thumbnail"] if "thumbnail" in found else found["scaling"], 9.0),
    )
    assert found["polarity"].preprocessing == no_batchnorm.preprocessing
    assert within_profile(profiled, best)
    assert verdict(profiled, [best], in_use) == "named"
    assert not within_profile(profiled, worse)
    assert verdict(profiled, [worse], in_use) == "possible"
    assert profile_distance(profiled, best).threshold == profiled.ordinary.limit


def test_labels_alone_name_a_cause_from_six_more_that_are_met(
    labelled, no_batchnorm, sixteen, truth, in_use, found
):
    best = Score(found["polarity"], 9.0)
    answers = [
        no_batchnorm.probabilities(sixteen, preprocessing=each).argmax(axis=1)
        for each in (in_use, no_batchnorm.preprocessing)
    ]
    before, after = (int(np.sum(one == np.array(truth))) for one in answers)
    regained = labels_regained(labelled, best, in_use)
    assert (regained.value, regained.threshold, regained.supports) == (after - before, 6, True)
    assert verdict(labelled, [best], in_use) == "named"
    few = Grounds(labelled.evaluator, sixteen[:4], truth[:4], photographic=False)
    assert labels_regained(few, best, in_use).supports is False
    assert verdict(few, [best], in_use) == "possible"


def test_labels_have_no_say_beside_statistics(profiled, in_use, found):
    assert labels_regained(profiled, Score(found["polarity"], 1.0), in_use) is None


def test_what_comes_to_the_same_is_no_other_cause(profiled, no_batchnorm):
    used = no_batchnorm.preprocessing.replace(scaling="0..255")
    by_scaling = {
        candidate.preprocessing.scaling: candidate
        for candidate in candidates(used)
        if candidate.step == "scaling"
    }
    right = by_scaling[no_batchnorm.preprocessing.scaling]
    polarity = next(candidate for candidate in candidates(used) if candidate.step == "polarity")
    same = Score(right, 0.95)
    best, other = Score(right, 1.0), Score(polarity, 0.5)
    assert indistinguishable(profiled, best, same)
    assert not indistinguishable(profiled, Score(right, 1.2), same)  # a lead tells them apart
    assert not indistinguishable(profiled, best, Score(polarity, 0.95))
    assert best_of_another_cause(profiled, best, [best, same, other]) is other
    assert best_of_another_cause(profiled, best, [best, same]) is None


def test_what_is_in_use_explains_as_well_up_to_a_tenth_of_a_nat(found):
    assert explains_as_well([])
    assert explains_as_well(scores(found, 0.09))
    assert not explains_as_well(scores(found, 0.11))


def test_a_finding_tells_lead_cost_and_fix(profiled, no_batchnorm, sixteen, in_use, found):
    ranked = scores(found, 2.0, 0.5)
    told = judged(profiled, ranked, in_use)
    assert (told.cause, told.verdict) == ("inverted_polarity", "named")
    lead = next(part for part in told.evidence if part.text.startswith("lead over the next cause"))
    assert (lead.value, lead.threshold, lead.supports) == (1.5, 0.1, True)
    assert told.fix.preprocessing == no_batchnorm.preprocessing
    answers = [
        no_batchnorm.probabilities(sixteen, preprocessing=p).argmax(axis=1)
        for p in (in_use, told.fix.preprocessing)
    ]
    assert told.cost == np.mean(answers[0] != answers[1])


def test_a_cause_is_ruled_out_once_and_only_where_nothing_speaks_for_it(probed, found):
    ranked = scores(found, 0.09, 0.05, -1.0)
    causes = [score.candidate.cause for score in ranked]
    worse = [Score(score.candidate, score.gain - 1, distance=score.gain - 1) for score in ranked]
    told = ruled_out(probed, [*ranked, *worse], set())
    assert [(one.cause, one.evidence[0].value) for one in told] == list(
        zip(causes, (0.09, 0.05, -1.0), strict=True)
    )
    assert [one.cause for one in ruled_out(probed, ranked, {causes[0]})] == causes[1:]
    assert ruled_out(probed, scores(found, 0.11), set()) == []


def test_a_fix_says_what_is_done_otherwise(in_use):
    right = in_use.replace(scaling="-1..1")
    told = fix(in_use, right, "wrong_range")
    assert difference(in_use, right) == "scale: −1..1"
    assert told.text == "Prepare pictures as in training: scale: −1..1 (wrong_range put right)."
    assert told.code == f"classifier = classifier.using(kit.{right!r})"


@pytest.mark.parametrize(
    ("used", "words"),
    [
        ({"invert": True}, "leave out invert (255 − x)"),
        ({"cast": "uint8"}, "leave out cast (to uint8 after scaling)"),
        ({"invert": True, "scaling": ()}, "scale: 0..1; leave out invert (255 − x)"),
    ],
)
def test_a_fix_says_plainly_which_step_is_to_be_left_out(used, words):
    right = kit.Preprocessing(scaling="0..1")
    told = fix(right.replace(**used), right, "cause")
    assert told.text == f"Prepare pictures as in training: {words} (cause put right)."


@pytest.mark.parametrize(
    "right",
    [
        {"scaling": "-1..1"},
        {"scaling": kit.Scaling(64.0, mean=2.0, std=0.5)},
        {"scaling": (kit.Scaling(255.0), kit.Scaling(1.0, mean=0.5))},
        {"decoding": kit.Decoding(exif=False, matte=None, depth="clip")},
        {"scaling": kit.Scaling(2.0), "decoding": kit.Decoding(matte=(0, 0, 0)), "invert": True},
    ],
    ids=str,
)
def test_the_code_of_a_fix_can_be_run_as_it_is_printed(no_batchnorm, right):
    used = no_batchnorm.preprocessing
    wanted = used.replace(**right)
    scope = {"kit": kit, "classifier": no_batchnorm}
    exec(fix(used, wanted, "cause").code, scope)  # noqa: S102
    assert scope["classifier"].preprocessing == wanted
    assert no_batchnorm.preprocessing == used
