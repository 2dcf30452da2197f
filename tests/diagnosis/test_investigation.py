"""What the stages hand on: findings are joined and ranked, and make a diagnosis clean or not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import kit
from kit.classifier.architecture import architecture_and_weights
from kit.diagnosis import (
    STAGES,
    Investigation,
    _first_layers_to_compare,
    _preprocessing_stated_by_file,
    _with_declaration_judged,
    fixed_preprocessings,
    with_fixes,
    with_one_fix,
)
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.evidence import Grounds
from kit.diagnosis.finding import Evidence, Finding, Fix, fix_from
from kit.diagnosis.report import (
    INVERT_ONLY_THESE,
    RAW_PIXELS_NEED_NO_FIX,
    UNLABELLED,
    WRONG_WITH_FIX,
)
from kit.diagnosis.search import Search
from tests.diagnosis import indices

CLASSIFIER = kit.samples.classifier("fashion_mnist")

USED = CLASSIFIER.preprocessing

PHOTOS = tuple(kit.samples.photos("fashion_mnist")[:2])

UNKNOWN = indices((), 2)

WRONG = USED.replace(invert=True)


def investigation(certain=(), searched=(), **known):
    evaluator = Evaluator(CLASSIFIER)
    found = Search(tuple(searched), decided=True)
    made = Investigation(
        CLASSIFIER, WRONG, PHOTOS, UNKNOWN, evaluator, None, tuple(certain), found
    )
    return replace(made, **known)


def searched_after_checks(case):
    """Search as after the checks, which open the first layers."""
    layers = _first_layers_to_compare(case, *architecture_and_weights(CLASSIFIER))
    return STAGES["candidates"](replace(case, evaluator=Evaluator(CLASSIFIER, layers)))


def named(cause, **more):
    return Finding(cause, "named", "Told.", **more)


def test_a_certain_finding_takes_cost_and_fix_of_the_search_which_puts_all_right():
    certain = named(
        "wrong_range", evidence=(Evidence("a", 1),), fix=Fix("", "own code", None)
    )
    searched = named(
        "wrong_range",
        evidence=(Evidence("b", 2),),
        cost=0.5,
        fix=Fix("", "its code", USED),
    )
    certain = replace(certain, summary="Sure.")
    (joined,) = investigation([certain], [searched]).findings
    assert [part.text for part in joined.evidence] == ["a", "b"]
    assert (joined.summary, joined.cost) == ("Sure.", 0.5)
    assert joined.fix == Fix("", "its code", USED)


def test_what_the_search_knows_of_a_certain_fault_stays_where_nothing_else_is_wrong():
    certain = named("inverted_polarity", fix=Fix("", "", USED))
    (found,) = searched_after_checks(investigation([certain])).searched.findings
    # Of two images, undoing it changes one prediction.
    assert (found.cause, found.verdict, found.cost) == (
        "inverted_polarity",
        "named",
        0.5,
    )


def test_a_cause_has_one_finding_the_firmest():
    possible = Finding("wrong_range", "possible", "Told.")
    searched = named("wrong_range", evidence=(Evidence("b", 2),), cost=0.5)
    (joined,) = investigation([possible, possible], [searched]).findings
    assert (joined.verdict, joined.cost) == ("named", 0.5)
    assert [part.text for part in joined.evidence] == ["b"]
    assert investigation([possible, joined]).findings == (joined,)


def test_findings_are_ranked_by_verdict_and_then_by_stage():
    verdicts = ("ruled_out", "cannot_tell", "possible")
    certain = [Finding(verdict, verdict, "") for verdict in verdicts]
    case = investigation(certain, [named("searched")])
    for cause in ("further", "searched"):
        case = case.with_findings(named(cause))
    stages = ["searched", "further", "searched"]
    assert [one.cause for one in case.findings] == [*stages, *verdicts[::-1]]


@pytest.mark.parametrize("verdict", ["ruled_out", "possible", "cannot_tell"])
def test_clean_is_what_nothing_speaks_against(verdict):
    case = investigation().with_findings(Finding("dark", verdict, ""))
    assert case.diagnosis().clean == (verdict == "ruled_out")


def test_a_doubt_is_noted_and_denies_that_all_is_well():
    case = investigation(doubts=("look at the crop",))
    assert case.diagnosis().notes == ("look at the crop",)
    assert not case.diagnosis().clean
    # Correct labels are said beside it.
    predicted = CLASSIFIER.predict(PHOTOS, preprocessing=WRONG)
    noted = replace(case, labels=predicted.probabilities.argmax(axis=1)).diagnosis()
    told = "all labelled images are predicted correctly"
    assert noted.notes == (told, "look at the crop")
    assert noted.headline == "No fault shows in these predictions."
    other = replace(
        case, labels=predicted.index, own_code_difference="it differs"
    ).diagnosis()
    assert other.notes == (
        f"with the preprocessing nearest to your code, {told}",
        "look at the crop",
    )
    assert other.headline == "it differs"
    # So is what the file says otherwise.
    declared = replace(case, declared_preprocessing=USED).diagnosis()
    assert declared.fix() == USED
    (said, _) = declared.notes
    assert said == "the model says: leave out polarity (inverted)"
    # Beside own code it may be a default, and labels count for what comes nearest to that code.
    beside_code = investigation(
        declared_preprocessing=USED,
        own_code_difference="it differs",
        labels=(predicted.index + 1) % 10,
    )
    said, counted = beside_code.diagnosis().notes
    assert said.startswith("your classifier, with defaults for what you did not give, ")
    assert counted.startswith("with the preprocessing nearest to your code, 0 of ")
    photos = kit.samples.photos("fashion_mnist")[:20]
    # Unless the images speak against it, as where the file is wrong and a function right.
    refuted = kit.diagnose(CLASSIFIER.using(WRONG), photos, preprocess=USED.apply)
    assert "'polarity'" in refuted.difference
    assert (refuted.fix_code, refuted.notes) == ("", ())
    assert investigation().diagnosis().notes == (UNLABELLED,)
    met = predicted.probabilities.argmax(axis=1)
    assert investigation(labels=met).diagnosis().notes == ()


def of_twenty(wrong_count):
    """Twenty images, of which so many are not predicted as their labels say."""
    photos = tuple(kit.samples.photos("fashion_mnist")[:20])
    predicted = CLASSIFIER.predict(photos)
    assert predicted.probability.mean() > 7 / 8, "more does not count"
    labels = predicted.index.copy()
    labels[:wrong_count] = (labels[:wrong_count] + 1) % 10
    return investigation(photos=photos, in_use=USED, labels=labels)


def test_more_wrong_labels_than_the_network_is_unsure_of_are_a_doubt(monkeypatch):
    def doubts(wrong_count):
        return STAGES["properties"](of_twenty(wrong_count)).doubts

    # One of eight wrong: then five of 20 or more are in 9.1 % of cases, six in 2.9 %.
    assert doubts(5) == ()
    (note,) = doubts(6)
    told = (
        "14 of 20 labelled images are predicted correctly, with a mean probability of"
    )
    assert note.startswith(told)
    monkeypatch.setattr(Grounds, "judges_every_step", True)
    assert doubts(6) == (), "other evidence says that images are prepared as trained"


def test_what_a_file_says_counts_only_if_the_model_takes_it(monkeypatch):
    network = CLASSIFIER.network
    too_large = {"preprocessing": USED.replace(size=(64, 64)).to_dict()}
    file = replace(network.source, contract=network.source.contract | too_large)
    monkeypatch.setattr(network, "source", file)
    assert kit.diagnose(CLASSIFIER.using(WRONG), PHOTOS).fix() == USED


def test_a_search_doubts_what_its_evidence_forbids_and_takes_a_reference_for_averages():
    clothes = kit.samples.photos("fashion_mnist")[:20]
    reference = np.concatenate([*map(CLASSIFIER.tensor, clothes)])
    unscaled = Fix("", "", WRONG.replace(scaling="0..255"))
    case = investigation([named("alpha_matte", fix=unscaled)], reference=reference)
    case = searched_after_checks(case)
    assert case.certain_findings[0].verdict == "possible"
    assert case.searched.judged_by == "Judged by a profile of training images."


def test_a_cause_is_not_named_whose_fix_adds_nothing_to_that_of_another(monkeypatch):
    clipped = USED.replace(decoding=kit.Decoding(depth="clip"))
    # No training has transposed images.
    worse = named("channel_layout", fix=Fix("", "", WRONG.replace(layout="transposed")))
    monkeypatch.setattr("kit.diagnosis.search", lambda _: Search((worse,)))
    certain = named("bit_depth", fix=Fix("", "", clipped))
    case = searched_after_checks(investigation([certain]))
    assert [one.cause for one in case.findings] == ["bit_depth"]


def test_labels_in_another_order_take_no_part_in_the_search():
    labels = indices([1], 2)
    assert investigation(labels=labels).labels_to_search_by.tolist() == [1, -1]
    for verdict, expected in (("named", [-1, -1]), ("possible", [1, -1])):
        case = investigation([Finding("class_order", verdict, "")], labels=labels)
        assert case.labels_to_search_by.tolist() == expected
    # Where most are met, only a few classes are exchanged.
    met = CLASSIFIER.predict(PHOTOS, preprocessing=WRONG).index
    case = investigation([named("class_order")], labels=met)
    assert (case.labels_to_search_by == met).all()
    half = replace(case, labels=np.array([met[0], 9 - met[1]]))
    assert half.labels_to_search_by.tolist() == [-1, -1]


def test_the_correction_is_that_of_the_first_named_cause_that_has_one():
    fixed = named("inverted_polarity", fix=Fix("", "", USED))
    assert (
        with_fixes([replace(fixed, verdict="possible"), named("dark"), fixed], WRONG)
        == USED
    )
    assert with_fixes([named("dark")], WRONG) == WRONG
    assert with_fixes([replace(fixed, verdict="possible")], WRONG) == WRONG
    first, second = (
        replace(fixed, fix=Fix("", "", USED.replace(scaling=scaling)))
        for scaling in ("-1..1", "0..255")
    )
    assert with_fixes([first, second], USED) == first.fix.preprocessing


def test_the_correction_holds_the_fixes_of_all_that_is_named():
    broken = USED.replace(cast="uint8", decoding=kit.Decoding(exif=False, matte=None))
    rights = (
        broken.replace(cast=None),
        broken.replace(decoding=replace(broken.decoding, exif=True)),
        broken.replace(decoding=replace(broken.decoding, matte=(255, 255, 255))),
    )
    found = [named("a cause", fix=Fix("", "", right)) for right in rights]
    assert with_fixes(found, broken) == USED


def test_a_fix_that_may_harm_or_leaves_labels_wrong_or_that_no_one_needs_is_doubted(
    monkeypatch,
):
    def notes(right, *labels, **known):
        case = investigation([named("a cause", fix=Fix("", "", right))], **known)
        diagnosis = replace(case, labels=np.array(labels)).diagnosis()
        assert all(f"Note: {note}" in f"{diagnosis}" for note in diagnosis.notes)
        return diagnosis.notes

    first, second = kit.samples.labels("fashion_mnist")[:2]
    assert (first, second) == (9, 2)
    assert notes(USED, 9, 2) == notes(USED, 9, 1) == notes(USED, -1, -1) == ()
    assert notes(USED, 8, 1) == notes(USED, 8, -1) == (WRONG_WITH_FIX,)
    assert notes(WRONG, 8, 1) == ()
    monkeypatch.setattr(CLASSIFIER.network.engine, "scaling", kit.Scaling(255.0))
    plain = USED.replace(scaling=())
    scaled = USED.replace(scaling="0..1")
    assert notes(scaled, 9, 2, in_use=plain) == (RAW_PIXELS_NEED_NO_FIX,)
    assert notes(scaled, 9, 2, in_use=USED.replace(scaling="-1..1")) == ()
    inverted = USED.replace(invert=True)
    assert notes(inverted, -1, -1, in_use=USED) == (INVERT_ONLY_THESE,)


def test_where_several_fixes_explain_as_much_the_declared_one_is_taken():
    twice = USED.replace(scaling=(*USED.scaling, *USED.scaling))
    in_words = [named(cause, fix=Fix("In words.")) for cause in ("double_scaling", "a")]
    case = investigation([], in_words, in_use=twice)
    layers = _first_layers_to_compare(case, *architecture_and_weights(CLASSIFIER))
    case = replace(case, evaluator=Evaluator(CLASSIFIER, layers))

    def fixes(declared):
        judged = _with_declaration_judged(
            replace(case, declared_preprocessing=declared)
        )
        return [finding.fix.preprocessing for finding in judged.searched.findings]

    # The step of the cause has to be fixed, and evidence to speak for all that is declared.
    assert fixes(USED) == [USED, None]
    assert fixes(twice.replace(fit="crop")) == [None, None]
    nearly_twice = (*USED.scaling, kit.Scaling(250.0))
    assert fixes(USED.replace(scaling=nearly_twice)) == [None, None]


def test_images_without_colour_are_spoken_of_where_the_cause_cannot_be_told():
    def speaks_of_colour(classifier, photo):
        case = replace(
            investigation(searched=()),
            classifier=classifier,
            evaluator=Evaluator(classifier),
            in_use=classifier.preprocessing,
            photos=(photo,),
            labels=indices((), 1),
            searched=Search(),
        )
        return any("colour" in note for note in case.diagnosis().notes)

    takes_colour = kit.samples.classifier("efficientnet_lite0")
    assert speaks_of_colour(takes_colour, PHOTOS[0])
    assert not speaks_of_colour(takes_colour, kit.samples.photo("cat.jpg"))
    assert not speaks_of_colour(CLASSIFIER, PHOTOS[0])


@pytest.mark.parametrize(
    ("mean", "std", "scaling", "says"),
    [
        (114, 53.6, kit.Scaling(mean=114, std=53.6), False),
        (114, 53.6, "-1..1", True),
        (127, 128, "lite", True),  # a usual one, which those of the converter equal
    ],
)
def test_steps_that_a_converter_measured_are_not_what_the_file_says(
    mean, std, scaling, says
):
    stated = kit.Preprocessing(scaling=scaling)
    # The input of the network has steps of 8 bits, and these are all that the file says.
    engine = SimpleNamespace(scaling=kit.Scaling(mean=mean, std=std))
    classifier = SimpleNamespace(
        source=SimpleNamespace(preprocessing=stated),
        network=SimpleNamespace(engine=engine),
        using=lambda steps: SimpleNamespace(preprocessing=steps),
    )
    assert _preprocessing_stated_by_file(classifier) == (stated if says else None)


def test_a_cause_elsewhere_does_not_hide_what_a_function_does_differently():
    case = investigation(
        [named("training_mode")], own_code_difference="Your code mirrors."
    )
    assert case.diagnosis().headline == "Told. Your code mirrors."


def test_a_note_says_how_many_labels_are_met_and_where_that_is_fewer_than_claimed():
    # As above, six are more than one in eight beyond chance.
    for wrong_count, found in {5: "found", 6: "found in the preprocessing"}.items():
        case = of_twenty(wrong_count)
        diagnosis = case.diagnosis()
        assert diagnosis.headline == f"Nothing wrong {found}."
        assert f"Note: {20 - wrong_count} of 20 labelled images are" in f"{diagnosis}"
    untold = case.with_findings(Finding("dark", "cannot_tell", "")).diagnosis()
    assert untold.headline == "The cause cannot be told from these images."
    assert untold.notes == diagnosis.notes


def test_a_cast_is_fixed_together_with_the_scaling_before_it(fashion, sixteen):
    faults = kit.faults.CATALOGUE
    right = fashion.preprocessing
    broken = faults["cast_to_uint8"].apply(faults["double_scaling"].apply(right))
    diagnosis = kit.diagnose(fashion.using(broken), sixteen)
    findings = diagnosis.findings
    told = [one.cause for one in findings if one.verdict == "named"]
    assert told == ["dtype_cast", "double_scaling"]
    assert set(fixed_preprocessings(findings)) == {right}


def test_one_fix_puts_all_faults_of_the_preprocessing_right():
    one = named("inverted_polarity", fix=Fix("one", "one code", WRONG))
    advice = named("dark", fix=Fix("brighten"))
    others = (advice, replace(one, verdict="possible"))
    fixed, *unchanged = with_one_fix([one, *others], WRONG, USED)
    assert fixed.fix == fix_from(WRONG, USED)
    assert (*unchanged,) == others


def test_a_stage_is_a_row_and_is_told_before_it_runs(monkeypatch):
    seen = []

    def added(case):
        seen.append("run")
        return case.with_findings(Finding("new", "possible", ""))

    monkeypatch.setattr("kit.diagnosis.STAGES", STAGES | {"new": added})
    found = kit.diagnose(CLASSIFIER, PHOTOS, progress=seen.append)
    assert seen == [*STAGES, "new", "run"]
    assert "new" in {one.cause for one in found.findings}


@pytest.mark.parametrize("cause", ["diverged_training", "untrained_weights"])
def test_nothing_else_is_asked_of_weights_that_are_not_trained(monkeypatch, cause):
    hopeless = (named(cause),)
    monkeypatch.setattr("kit.diagnosis.certain_checks", lambda *_: hopeless)
    seen = []
    found = kit.diagnose(CLASSIFIER, PHOTOS, progress=seen.append)
    assert (seen, found.findings, found.sensitivity) == (["checks"], hopeless, ())


@pytest.mark.parametrize(
    ("right", "count", "wrong"),
    [(1, 2, True), (2, 3, False)],
)
def test_something_is_wrong_where_no_more_than_half_of_the_answers_are_right(
    right, count, wrong
):
    photos = kit.samples.photos("fashion_mnist")[:count]
    answers = CLASSIFIER.probabilities(photos).argmax(axis=1).tolist()
    labels = [*answers[:right], *((one + 1) % 10 for one in answers[right:])]
    notes = kit.diagnose(CLASSIFIER, photos, labels).notes
    assert any("perhaps by chance" in note for note in notes) == wrong
