import json
from dataclasses import replace

import numpy as np
import pytest

from kit import Preprocessing
from kit.diagnosis.candidates import Sensitivity
from kit.diagnosis.finding import Evidence, Finding, Fix
from kit.diagnosis.report import Diagnosis
from kit.regression.cases import read_case

FIXED = Preprocessing(scaling="0..255")
NAMED = Finding(
    "double_scaling",
    "named",
    "Scaled <twice>.",
    (
        Evidence("span in use", 0.0039, 0.2, supports=True),
        Evidence("told & only told", 3),
    ),
    cost=0.5,
    fix=Fix("Scale once.", "x = x < 255", FIXED),
    equivalent=("wrong_range",),
)
POSSIBLE = Finding("blurred", "possible", "A little soft.")
FOUND = Diagnosis(
    (POSSIBLE, NAMED), "net<script>", 2, notes=("few & small", "odd", "grey")
)


def test_the_fix_is_the_corrected_preprocessing_and_code():
    assert FOUND.fix() == FIXED
    assert FOUND.fix_code == "x = x < 255"
    with pytest.raises(
        ValueError,
        match=r"Expected a named cause, received 'cannot_tell'; print the diagnosis$",
    ):
        Diagnosis((POSSIBLE,), "n", 1).fix()
    elsewhere = Finding("softmax_head", "named", "One output.", fix=Fix("Train again."))
    with pytest.raises(
        ValueError,
        match=r"^Expected a cause in the preprocessing, received 'softmax_head': Train again",
    ):
        Diagnosis((elsewhere,), "n", 1).fix()


def test_each_image_is_pinned_with_its_label_or_else_what_is_expected(
    fashion, clothes, tmp_path
):
    asked = fashion, clothes[:2], np.array([0, -1])
    paths = Diagnosis((POSSIBLE,), "n", 2, asked=asked).pin(tmp_path, "Bag", note="odd")
    cases = [read_case(path) for path in paths]
    assert [case.expected for case in cases] == [fashion.class_names[:1], ("Bag",)]
    assert {(case.note, case.cause, case.fault) for case in cases} == {
        ("odd", "", None)
    }
    with pytest.raises(
        ValueError,
        match=r"^Expected a diagnosis from kit\.diagnose, received one made by hand$",
    ):
        FOUND.pin(tmp_path)


def test_five_lines_come_first():
    assert FOUND.text().splitlines() == [
        "net<script> on 2 images: Scaled <twice>.",
        "Cause: double_scaling. Evidence: 1 for it, none against.",
        "Fix: Scale once.",
        "Also possible: blurred. A little soft.",
        "All numbers: print(diagnosis.details()), --details in a shell; the fix as code: diagnosis.fix_code.",
    ]
    assert Diagnosis(
        (POSSIBLE,), "n", 1, notes=("give labels", "few", "small")
    ).text().splitlines() == [
        "n on 1 image: The cause cannot be told from these images.",
        "Possible: blurred. A little soft.",
        "Note: give labels",
        "Note: few",
        "If your own code predicts otherwise: kit.check(classifier, photos, your_function).",
        "All numbers: print(diagnosis.details()), --details in a shell.",
    ]
    found = Diagnosis((), "n", 1)
    assert ("Possible" in found.text(), found.how_sure) == (False, "")
    assert repr(found) == "Diagnosis('n', 1 image, cannot_tell: no findings)"


def test_a_fix_is_said_by_the_two_pipelines_and_limits_in_one_sentence():
    in_use = FIXED.replace(scaling="0..1", channels="bgr")
    right = in_use.replace(scaling="-1..1", channels="rgb")
    named = Finding("wrong_range", "named", "Seen.", fix=Fix("", "", right))
    assert Diagnosis((named,), "n", 1, preprocessing=in_use).headline == (
        "Your code scales pixels to 0..1; this model was trained on −1..1."
        " Your code passes blue, green, red (OpenCV, caffe);"
        " this model was trained on red, green, blue."
    ), "first what is named"
    clean = Diagnosis((), "n", 1, clean=True, sensitivity=(Sensitivity("crop", 1, 1),))
    assert (clean.headline, clean.verdict) == ("Nothing wrong found.", "clean")
    assert clean.limits.startswith("Resizing cannot be judged from one image; ")
    # One prediction of sixteen is as many as other files change.
    quiet = Sensitivity("crop", photos=16, changed=1)
    assert replace(clean, sensitivity=(quiet,)).limits == ""
    assert replace(clean, clean=False).limits == ""


def test_the_more_a_way_of_resizing_changes_the_fewer_labelled_images_show_whether_it_matters():
    changes = (
        Sensitivity("crop", photos=16, changed=3),
        Sensitivity("resize_fit", photos=16, changed=6),
    )
    clean = Diagnosis((), "n", 16, clean=True, sensitivity=changes[:1])
    # 37 / (5 / 20) = 148, and 37 / (8 / 20) = 92.5.
    assert clean.limits.startswith(
        "Resizing cannot be judged from these images;"
        " kit.compare shows with about 150 labelled"
    )
    assert "about 90 labelled" in replace(clean, sensitivity=changes).limits


def test_details_tell_numbers_for_and_against():
    assert FOUND.details().text().splitlines() == [
        *("Note: few & small", "Note: odd", "Note: grey"),
        "1. blurred: possible",
        "   A little soft.",
        "2. double_scaling: named",
        "   Scaled <twice>.",
        "   speaks   value  threshold  measure",
        "   for     0.0039        0.2  span in use",
        "   info         3             told & only told",
        "   Effect: fixing it changes 50% of these predictions.",
        "   Equivalent here: wrong_range.",
        "   Fix: Scale once.",
        "   x = x < 255",
    ]


def test_in_a_notebook_the_details_are_folded_below():
    inner = FOUND.details().html()
    assert FOUND.html().endswith(
        f"<details><summary>Details</summary>{inner}</details>"
    )


def test_json_holds_the_cause_the_numbers_and_a_preprocessing_that_can_be_read_back():
    content = json.loads(json.dumps(FOUND.to_dict()))
    assert content["cause"] == "double_scaling"
    fields = "verdict cause classifier photos judged_by difference notes findings sensitivity"
    assert [*content] == fields.split()
    found = content["findings"][1]
    told = {"text": "span in use", "value": 0.0039, "threshold": 0.2, "supports": True}
    assert found["evidence"][0] == told
    assert Preprocessing.from_dict(found["fix"]["preprocessing"]) == FIXED
