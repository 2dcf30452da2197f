"""Pictures that are none of the classes are named as the cause, as often as chance allows and no oftener."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

import kit
from kit.diagnosis.out_of_distribution import out_of_distribution
from kit.robustness.reference.activation_distance import distances
from kit.robustness.reference.novelty import profile_novelty
from kit.samples import outliers
from tests import networks


def test_foreign_pictures_are_named_as_the_cause(novelty):
    finding = out_of_distribution(novelty.attached(), outliers("digits")[0])
    assert (finding.cause, finding.verdict) == ("out_of_distribution", "named")
    assert finding.evidence[1].value == finding.evidence[1].threshold == 1
    assert finding.summary == "1 of 1 pictures are unlike anything in training: none of the classes fits."


def test_ordinary_pictures_are_seldom_blamed(novelty, others):
    carrying = novelty.attached()
    verdicts = [out_of_distribution(carrying, photo).verdict for photo in others[:200]]
    # 1 % and 5 % are stated.
    assert verdicts.count("named") <= binom.ppf(0.999, 200, 0.01)
    assert verdicts.count("possible") <= binom.ppf(0.999, 200, 0.05)
    assert out_of_distribution(carrying, others[:100]).verdict == "ruled_out"


@pytest.fixture(scope="module")
def found(fashion, others):
    """The finding for so many foreign and ordinary pictures, the foreign ones with this chance in 1000."""
    digit, shirt = outliers("digits")[0], others[0]
    known = kit.Novelty(fashion, {"energy": np.arange(9, dtype=np.float32)})
    high, low = known.scores([digit, shirt])["energy"]
    assert high > low + 2

    def find(foreign, ordinary, chance):
        held = np.repeat([low + 1, high + 1], [1000 - chance, chance - 1]).astype(np.float32)
        carrying = kit.Novelty(fashion, {"energy": held}).attached()
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


def test_chances_by_the_profile_are_shares_of_its_pictures(fashion):
    layers = fashion.first_layers
    held = distances(layers.profile, layers).mean(axis=-1).astype(np.float32)
    count = len(held)
    middle = np.median(held)
    received = profile_novelty(fashion).chances([0, middle, held.max(), held.max() + 1])
    share = (1 + (held >= middle).sum()) / (1 + count)
    np.testing.assert_allclose(received, [1, share, 2 / (1 + count), 1 / (1 + count)])


def test_a_profile_of_few_pictures_tells_nothing(fashion):
    def profiled(profile):
        layers = replace(fashion.first_layers, profile=profile)
        return fashion.with_reference(fashion.reference.with_first_layers(layers))

    profile = fashion.first_layers.profile
    for count, told in ((18, False), (19, True)):
        finding = out_of_distribution(profiled(profile[:count]), outliers("noise")[0])
        assert bool(finding.evidence) is told
    # However many there are, light and texture alone name no cause.
    finding = out_of_distribution(profiled(np.concatenate([profile] * 10)), outliers("noise")[0])
    assert (finding.verdict, finding.evidence[1].supports) == ("possible", True)


def test_the_profile_alone_speaks_for_the_cause_and_never_against(fashion, others):
    assert out_of_distribution(fashion, list(outliers("noise")[:3])).verdict == "possible"
    finding = out_of_distribution(fashion, others[:8])
    assert finding.verdict == "cannot_tell"
    assert finding.evidence


def test_without_any_statistics_nothing_is_told(held_back):
    network = kit.Classifier(networks.small(), networks.GREY)
    finding = out_of_distribution(network, held_back[0])
    assert (finding.verdict, finding.evidence) == ("cannot_tell", ())
    assert "kit.fit_novelty" in finding.summary


def test_no_photo_is_refused(novelty):
    with pytest.raises(ValueError, match="at least one photo"):
        out_of_distribution(novelty.attached(), [])
