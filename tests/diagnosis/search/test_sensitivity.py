"""Quiet changes are told as a spread of the answers, and what comes to the same is told as such."""

import json
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import kit
from kit.diagnosis.candidates import Equivalent, Evaluator, Sensitivity, sensitivities
from kit.diagnosis.evidence import ENOUGH, Grounds
from kit.diagnosis.report import Diagnosis

LITE = kit.samples.classifier("efficientnet_lite0")
PHOTOS = kit.samples.photos("imagenet")[4:8]


@pytest.fixture(scope="module")
def table():
    return {row.name: row for row in sensitivities(Evaluator(LITE), LITE.preprocessing, PHOTOS)}


def test_every_kind_of_quiet_change_has_a_row(table):
    assert list(table) == ["resize_filter", "antialias", "resize_fit", "crop_fraction", "decoder"]
    assert table["resize_filter"].variants == ("nearest", "bilinear", "lanczos")
    assert table["antialias"].variants == ("tf_bicubic",)
    assert len(table["decoder"].variants) == 3


def test_the_spread_is_that_of_the_probability_of_the_present_answer(table):
    used = LITE.preprocessing
    in_use, squashed, whole = (
        LITE.probabilities(PHOTOS, preprocessing=p)
        for p in (used, used.replace(fit="squash", crop_fraction=1.0), used.replace(crop_fraction=1.0))
    )
    top = in_use.argmax(axis=1)
    three = np.array([[rows[i, top[i]] for i in range(4)] for rows in (in_use, squashed, whole)])
    row = table["resize_fit"]
    assert row.typical == pytest.approx(np.mean([max(column) - min(column) for column in three.T]), abs=1e-6)
    assert row.largest == pytest.approx(np.max([max(column) - min(column) for column in three.T]), abs=1e-6)
    assert row.changed == sum(squashed[i].argmax() != top[i] or whole[i].argmax() != top[i] for i in range(4))
    moved = np.abs(three[1:] - three[0]).mean(axis=1)
    assert row.worst == ("squashed", "largest central crop")[int(moved[1] > moved[0])]


def test_saving_again_is_what_pillow_saves(table):
    redone = []
    for photo in PHOTOS:
        Image.fromarray(photo.pixels).save(file := BytesIO(), "JPEG", quality=90, subsampling=2)
        redone.append(np.asarray(Image.open(file)))
    before, after = LITE.probabilities(PHOTOS), LITE.probabilities(redone)
    top = before.argmax(axis=1)
    moved = np.abs(before - after)[np.arange(4), top]
    assert table["decoder"].largest >= moved.max() - 1e-6


def test_what_changes_no_tensor_is_no_row():
    sixteen = kit.samples.classifier("fashion_mnist")
    rows = sensitivities(Evaluator(sixteen), sixteen.preprocessing, kit.samples.photos("fashion_mnist")[:2])
    # 28 x 28 into 28 x 28: no filter and no fit matters; grey has no colour to halve.
    assert [row.name for row in rows] == ["crop_fraction", "decoder"]
    assert rows[1].variants == ("every value up to one level off", "saved again as JPEG, quality 90, 4:2:0")
    assert {row.photos for row in rows} == {2}


def test_the_table_is_that_of_the_corrected_preprocessing():
    broken = LITE.using(LITE.preprocessing.replace(channels="bgr"))
    assert kit.diagnose(broken, PHOTOS[:1]).sensitivity == kit.diagnose(LITE, PHOTOS[:1]).sensitivity


def test_scalings_that_no_evidence_tells_apart_are_reported_as_such():
    (equivalent,) = kit.diagnose(LITE, PHOTOS[:1]).equivalents
    # (x - 127) / 128 in training; x / 127.5 - 1 differs by at most 1 / 128.
    assert equivalent.change == "scale: −1..1"
    assert 0 < equivalent.difference < 0.02
    grounds, other = Grounds(Evaluator(LITE), PHOTOS, (), ()), LITE.preprocessing
    assert grounds.equivalence(LITE.preprocessing, other.replace(scaling="0..1"), 0) is None


def test_few_pictures_do_not_show_that_two_come_to_the_same():
    evaluator, used = Evaluator(LITE), LITE.preprocessing
    few, enough = (Grounds(evaluator, PHOTOS[:count], (), ()) for count in (ENOUGH - 1, ENOUGH))
    assert few.equivalence(used, used, 0) is None
    assert enough.equivalence(used, used, 0) == 0


def test_both_are_in_text_html_and_json():
    row = Sensitivity("resize_fit", ("squashed",), 3, 1, 0.125, 0.25, "squashed <all>")
    diagnosis = Diagnosis(
        (), "net", 3, sensitivity=(row,), equivalents=(Equivalent("scale: <x>", "wrong_range", 0.01),)
    )
    told = "Quiet changes, which no evidence singles out"
    assert diagnosis.text().splitlines()[2:] == [
        "Comes to the same on this network:",
        "change      cause        largest difference of a probability",
        "scale: <x>  wrong_range                                0.010",
        "",
        f"{told}, on 3 of the pictures (spread of the probability of the present answer):",
        "change      answers that change  mean spread  largest  moved most by",
        "resize fit               1 of 3        0.125    0.250  squashed <all>",
    ]
    html = diagnosis.html()
    assert "squashed &lt;all&gt;" in html
    assert "scale: &lt;x&gt;" in html
    assert re.search(r'<th scope="col"[^>]*>moved most by</th>', html)
    assert "<all>" not in html
    content = json.loads(json.dumps(diagnosis.to_dict()))
    assert content["sensitivity"][0]["largest"] == 0.25
    assert content["equivalents"][0]["cause"] == "wrong_range"
