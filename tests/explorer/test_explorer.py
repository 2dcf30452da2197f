"""The explorer as a Python object, and what it says to the page."""

import gc
import threading
import weakref
from concurrent.futures import Future
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import kit
from kit._bundled import DATA
from kit.classifier.network import Network
from kit.diagnosis import Diagnosis, Finding, Fix
from kit.explorer.bench import Bench
from kit.explorer.explorer import Explorer
from kit.explorer.export import _panel_of_page
from kit.explorer.replies import REPLY_BYTES, notebook_note
from kit.explorer.settings import effective_changes, neutral
from kit.explorer.shelf import CAMERA
from kit.regression.cases import read_case
from tests import networks
from tests.explorer.page import ask, deliver, listen, panel, searched

GOLDFISH = DATA / "photographs" / "goldfish.jpg"


@pytest.fixture(scope="module")
def pair(photos):
    return [photo for photo in photos if photo.name in {"cat.jpg", "espresso.jpg"}]


@pytest.fixture
def explorer(classifier, pair):
    return listen(Explorer(classifier, pair, labels=[282, 967]))


def shelf(explorer):
    return [row["name"] for row in panel(explorer)["photos"]]


def test_probabilities_are_the_classifiers(explorer, classifier, pair):
    explorer.settings = {
        "photo": "espresso.jpg",
        "brightness": 1.4,
        "noise": 12,
        "channels": "channels_swapped",
    }
    swapped = classifier.preprocessing.replace(channels="bgr")
    expected = classifier.probabilities(
        pair[1], kit.Perturbation(brightness=1.4, noise=12), swapped
    )
    np.testing.assert_array_equal(explorer.probabilities, expected[0])
    prediction = explorer.prediction
    assert (prediction.photos, prediction.labels.tolist()) == (("espresso.jpg",), [967])
    np.testing.assert_array_equal(
        explorer.tensor, classifier.tensor(pair[1], explorer.view.perturbation, swapped)
    )
    assert explorer.preprocessing == swapped
    with pytest.raises(ValueError, match="read-only"):
        explorer.probabilities[0] = 1


def test_others_follow_its_settings(explorer):
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]["noise"]), "settings")
    ask(
        explorer,
        kind="settings",
        request="a.1",
        settings=explorer.settings | {"noise": 7},
    )
    assert seen == [7]
    # Who changes them in place does not change the state.
    explorer.settings["noise"] = 9
    assert explorer.view.settings["noise"] == 7


def test_answers_ahead_are_those_that_asking_gives_and_change_nothing(
    explorer, monkeypatch
):
    settings = explorer.settings | {"noise": 20}
    asking = {"kind": "ahead", "settings": settings, "key": "brightness"}
    places = [0.5, 1.0, 2.0]
    answers, pixels = [], b""
    while places:
        message, [part] = ask(explorer, **asking, request="a1", places=places)
        assert (message["kind"], message["request"]) == ("ahead", "a1")
        assert len(part) >= REPLY_BYTES
        answers += message["views"]
        pixels += part[: len(message["views"]) * 3 * 224 * 224]
        places = places[len(message["views"]) :]
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    for load in (6, 7):  # two processes for each core, and more
        monkeypatch.setattr("os.getloadavg", lambda load=load: [load])
        message, _ = ask(explorer, **asking, request=f"at {load}", places=[1])
    assert message["request"] == "at 6"
    assert explorer.settings["noise"] == 0
    for index, place in enumerate((0.5, 1.0, 2.0)):
        asked, [model_input, *_] = ask(
            explorer, kind="settings", settings=settings | {"brightness": place}
        )
        assert {key: asked[key] for key in answers[index]} == answers[index]
        size = 3 * 224 * 224
        assert pixels[index * size :][:size] == model_input[:size]


def test_frames_of_a_camera_take_each_others_place(classifier, pair):
    # How files are decoded is nothing to frames.
    unturned = classifier.preprocessing.replace(decoding=kit.Decoding(exif=False))
    explorer = listen(Explorer(classifier.using(unturned), pair))
    draw = np.random.default_rng(1)
    frames = draw.integers(0, 256, (2, 30, 40, 3), np.uint8)
    for frame in frames:
        settings = explorer.settings | {"brightness": 0.5}
        message, buffers = ask(
            explorer,
            [frame.tobytes()],
            kind="frame",
            request="c1",
            settings=settings,
            height=30,
            width=40,
        )
        assert (message["kind"], message["request"]) == ("view", "c1")
        assert message["settings"]["photo"] == CAMERA
        assert len(buffers) == 1, "the page has its own frames"
        ask(explorer, kind="label", request="c2", photo=CAMERA, label="espresso")
    assert message["answer"]["label"] == "espresso", "said of the frame before"
    expected = classifier.probabilities(frames[1], kit.Perturbation(brightness=0.5))[0]
    np.testing.assert_array_equal(explorer.probabilities, expected)
    reference = classifier.probabilities(frames[1])[0]
    assert [bar["ghost"] for bar in message["bars"] if bar["top"]] == pytest.approx(
        [reference[expected.argmax()]], abs=1e-6
    )
    for snap in ("Snap", "Snap (2)"):
        ask(explorer, kind="snap", request="c3")
        assert explorer.photos[-1].name == explorer.settings["photo"] == snap
    assert [photo.name for photo in explorer.photos[2:]] == ["Snap", "Snap (2)"]
    assert explorer.labels[2:] == (None, None), "what a camera shows now is not kept"
    explorer.remove("Snap")
    explorer.remove("Snap (2)")
    assert shelf(explorer) == ["cat.jpg", "espresso.jpg"]
    assert list(explorer._contents(None).shelf) == ["cat.jpg", "espresso.jpg"]
    assert CAMERA in explorer._shelf, "an export takes nothing away"
    assert list(explorer._contents("cat.jpg").shelf) == ["cat.jpg"]


def test_a_greeting_computes_nothing_anew_unless_the_last_settings_failed(
    explorer, monkeypatch
):
    explorer.settings = {"noise": 7}
    monkeypatch.setattr(Bench, "compute_view", None)
    assert ask(explorer, kind="hello")[0]["settings"]["noise"] == 7
    explorer.error = "It failed."
    assert ask(explorer, kind="hello")[0]["kind"] == "error"


def test_a_photograph_is_sent_once_and_again_when_it_changes_or_the_page_did_not_keep_it(
    explorer,
):
    def sent(held=None, **settings):
        _, buffers = ask(
            explorer, kind="settings", request="1", settings=settings, held=held
        )
        return [bytes(each) for each in buffers[1:]]

    cat, espresso = (photo.pixels.tobytes() for photo in explorer.photos)
    assert bytes(ask(explorer, kind="hello", request="")[1][1]) == cat
    assert sent(photo="cat.jpg", brightness=2) == []
    assert sent(photo="espresso.jpg", held="cat.jpg") == [espresso]
    assert sent(photo="espresso.jpg", noise=1, held="espresso.jpg") == []
    assert sent(photo="espresso.jpg", noise=2, held="cat.jpg") == [espresso]
    # Decoded otherwise, its pixels may be others.
    otherwise = sent(photo="espresso.jpg", exif="exif_ignored", held="espresso.jpg")
    assert otherwise == [espresso]


@pytest.mark.parametrize(("side", "levels"), [(206, 3), (451, 0)])
def test_what_the_kernel_perturbs_is_reduced_to_the_screen_or_exact(
    explorer, side, levels
):
    _, buffers = ask(explorer, kind="settings", settings={"blur": 2}, side=side)
    file = Image.open(BytesIO(buffers[1]))
    assert file.width == side
    expected = Image.fromarray(explorer.photo.pixels).resize(file.size)
    assert np.abs(np.subtract(file, expected, dtype=float)).mean() <= levels
    # What is no size leaves the last one.
    for nothing in (0, -1, "wide", None):
        _, again = ask(explorer, kind="settings", settings={"blur": 2}, side=nothing)
        assert again[1:] == buffers[1:]


def test_large_photographs_are_shown_reduced_and_predicted_whole(classifier):
    rng = np.random.default_rng(3)
    large = rng.integers(0, 256, (1500, 1400, 3), dtype=np.uint8)
    explorer = listen(Explorer(classifier, large))
    _, buffers = ask(explorer, kind="hello", request="")
    assert Image.open(BytesIO(buffers[1])).size == (392, 420)
    np.testing.assert_array_equal(
        explorer.probabilities, classifier.probabilities(large)[0]
    )


def test_a_prediction_that_fails_is_shown_in_one_line_and_raised_on_asking(
    explorer, monkeypatch
):
    lost = np.full((1, 1000), np.nan, np.float32)
    monkeypatch.setattr(kit.Classifier, "predict_tensors", lambda *_, **_options: lost)
    message, _ = ask(explorer, kind="settings", request="1", settings={"noise": 2})
    no_numbers = "Expected probabilities from 'efficientnet_lite0', received nan"
    assert message["kind"] == "error"
    assert message["text"].startswith(no_numbers)

    def broken(*_, **_options):
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(kit.Classifier, "predict_tensors", broken)
    explorer.settings = {"noise": 3}
    assert explorer.error == "no memory"
    for asked in ("probabilities", "tensor", "photo", "view"):
        with pytest.raises(ValueError, match="no memory"):
            getattr(explorer, asked)


def test_callbacks_from_two_threads_leave_one_consistent_state(
    explorer, classifier, pair
):
    def slide(request, values):
        for value in values:
            settings = {"photo": "cat.jpg", "brightness": value}
            deliver(explorer, kind="settings", request=request, settings=settings)

    values = [round(0.5 + k / 10, 1) for k in range(10)]
    threads = [threading.Thread(target=slide, args=(name, values)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered = sorted(content["request"] for content, _ in explorer.sent)
    assert answered == 10 * ["a"] + 10 * ["b"]
    assert {content["kind"] for content, _ in explorer.sent} == {"view"}
    expected = classifier.probabilities(pair[0], explorer.view.perturbation)
    np.testing.assert_array_equal(explorer.probabilities, expected[0])


def test_constructor_says_what_is_missing(classifier, pair):
    with pytest.raises(ValueError, match="at least one image"):
        Explorer(classifier, [])
    with pytest.raises(ValueError, match="did you mean 'noise'"):
        Explorer(classifier, pair, tries={"noise 60": {"nois": 60}})
    with pytest.raises(TypeError, match="Expected tries as a dictionary of settings"):
        Explorer(classifier, pair, tries=[{"noise": 60}])


def test_the_photo_of_the_first_state_to_try_is_shown_untouched(classifier, pair):
    first, second = pair
    noisy = {"photo": second.name, "noise": 60}
    tries = {"noise 60": noisy, "dark": {"photo": first.name, "brightness": 0.5}}
    explorer = Explorer(classifier, pair, tries=tries)
    assert explorer.settings == neutral(second.name)


def test_a_person_says_what_a_photo_shows(classifier, pair):
    explorer = listen(Explorer(classifier, pair))
    message, _ = ask(
        explorer, kind="label", request="a.1", photo="cat.jpg", label="tiger cat"
    )
    assert (message["answer"]["state"], message["answer"]["mark"]) == (
        "wrong",
        "✕ it is tiger cat",
    )
    assert [row["labelled"] for row in panel(explorer)["photos"]] == [True, False]
    # It is asked of all photos whether they are predicted correctly, whichever is shown.
    deliver(explorer, kind="label", photo="espresso.jpg", label="espresso")
    assert explorer.labels == ("tiger cat", "espresso")
    names, marks = ["cat.jpg", "espresso.jpg"], {}
    while len(marks) < 2:
        message, _ = ask(
            explorer,
            kind="judge",
            settings=explorer.settings,
            photos=names[len(marks) :],
        )
        marks |= message["marks"]
    assert marks == {"cat.jpg": "wrong", "espresso.jpg": "right"}
    blank = explorer.settings | {"scaling": "missing_scaling"}
    message, _ = ask(explorer, kind="judge", settings=blank, photos=["espresso.jpg"])
    assert message["marks"] == {"espresso.jpg": "wrong"}
    message, _ = ask(explorer, kind="label", photo="cat.jpg", label="")
    assert (message["answer"]["state"], message["answer"]["label"]) == ("", "")


def test_pin_expects_what_a_person_has_said_and_nothing_else(
    classifier, pair, tmp_path
):
    explorer = listen(Explorer(classifier, pair, cases=tmp_path))
    message, _ = ask(explorer, kind="pin", settings=explorer.settings)
    assert message["text"].startswith("Expected a label to pin, received none")
    assert list(tmp_path.iterdir()) == []
    deliver(explorer, kind="label", photo="cat.jpg", label="tiger cat")
    message, _ = ask(explorer, kind="pin", settings=explorer.settings)
    assert message["text"].endswith("expected tiger cat, which it is not yet")
    [path] = tmp_path.glob("*.json")
    assert read_case(path).expected == ("tiger cat",)


def test_a_cause_is_pinned_whether_or_not_a_map_is_shown(
    classifier, pair, tmp_path, monkeypatch
):
    fix = Fix("", "", classifier.preprocessing)
    named = Finding("missing_scaling", "named", "Seen.", fix=fix)
    found = Diagnosis((named,), "n", 1)
    monkeypatch.setattr("kit.explorer.why.diagnose_view", lambda *_: found)
    explorer = listen(
        Explorer(classifier, pair, ["tiger cat", "espresso"], cases=tmp_path)
    )
    settings = explorer.settings | {
        "photo": "espresso.jpg",
        "scaling": "missing_scaling",
        "where": -1,
    }
    ask(explorer, kind="why", settings=settings)
    searched(explorer)
    for where in (None, -1):
        ask(explorer, kind="pin", settings=settings | {"where": where})
        (path,) = tmp_path.glob("*.json")
        case = read_case(path)
        path.unlink()
        assert (case.cause, case.fault) == ("missing_scaling", explorer.preprocessing)
    # It is no cause of another state.
    ask(explorer, kind="pin", settings=settings | {"noise": 5})
    assert read_case(tmp_path / "espresso-espresso.json").cause == ""
    # Nor of another label.
    ask(explorer, kind="label", photo="espresso.jpg", label="cup")
    ask(explorer, kind="pin", settings=settings)
    assert read_case(tmp_path / "espresso-cup.json").cause == ""


def test_a_cause_is_not_pinned_with_another_frame(
    classifier, pair, tmp_path, monkeypatch
):
    found = Diagnosis((Finding("dark", "named", "Seen."),), "n", 1)
    monkeypatch.setattr("kit.explorer.why.diagnose_view", lambda *_: found)
    explorer = listen(Explorer(classifier, pair, cases=tmp_path))
    frame = {"kind": "frame", "height": 300, "width": 300, "settings": {}}
    first, second = (photo.pixels[:300, :300].tobytes() for photo in pair)
    ask(explorer, [first], **frame)
    ask(explorer, kind="label", photo=CAMERA, label="tiger cat")
    ask(explorer, kind="why", settings=explorer.settings)
    searched(explorer)
    for cause in ("dark", ""):
        ask(explorer, kind="pin", settings=explorer.settings)
        (path,) = tmp_path.glob("*.json")
        assert read_case(path).cause == cause
        path.unlink()
        ask(explorer, [second], **frame)


def test_a_case_of_a_fix_is_red_until_the_fix_is_in_use(classifier, pair, tmp_path):
    right = classifier.preprocessing
    broken = classifier.using(right.replace(channels="bgr", scaling="0..1"))
    explorer = listen(Explorer(broken, pair, ["tabby", "espresso"], cases=tmp_path))
    ask(explorer, kind="why", settings=explorer.settings | {"photo": "espresso.jpg"})
    searched(explorer)
    ask(explorer, kind="pin", settings=explorer.settings)
    ask(explorer, kind="pin", settings=explorer.settings | {"fix": True})
    (diagnosed,) = explorer.diagnosis.pin(tmp_path)
    assert read_case(diagnosed).cause == explorer.diagnosis.best.cause
    cases = [read_case(path) for path in tmp_path.glob("*.json")]
    assert [case.fault for case in cases] == 2 * [broken.preprocessing]
    before = kit.check_cases(tmp_path, broken, progress=False)
    assert {case.step for case in before.moved} == {"channels"}
    assert len(before.moved) == 2, "one is pinned twice"
    fixed = broken.using(explorer.diagnosis.fix())
    assert kit.check_cases(tmp_path, fixed, progress=False).holds
    # With a fault on top of it, what is in use is no fix.
    pinned = {*tmp_path.glob("*.json")}
    faulty = explorer.settings | {"filter": "filter_nearest"}
    ask(explorer, kind="pin", settings=faulty)
    (path,) = {*tmp_path.glob("*.json")} - pinned
    assert read_case(path).preprocessing == explorer.preprocessing


def test_bad_settings_end_in_one_line_in_a_notebook(explorer):
    for wrong, text in (
        ({"brightnes": 1}, "did you mean 'brightness'"),
        (3, "TypeError: Expected settings as a dictionary, received 3"),
        (None, "TypeError: Expected settings as a dictionary, received None"),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            explorer.settings = wrong
        [line] = caught.value._render_traceback_()
        assert text in line


def test_an_unknown_preprocessing_says_what_is_assumed(classifier, pair):
    unknown = classifier.using(classifier.preprocessing)
    unknown.preprocessing = None
    tempered = unknown.tempered(0.5)
    told = panel(Explorer(tempered, pair))
    assert told["tempered"]
    *notes, assumed = told["notes"]
    assert tuple(notes) == tempered.notes
    assert assumed.startswith("assumed here: ")
    assert "0..1" in assumed
    assert {chip["options"][0][1] for chip in told["path"] if "options" in chip} == {
        "as assumed"
    }
    assert not any(
        "assumed" in note for note in panel(Explorer(classifier, pair))["notes"]
    )


def test_what_compiling_finds_is_said_once_it_is_found(classifier, pair):
    compiled, predict = classifier.network.compiled, classifier.predict_tensors
    late, failing = Future(), Future()
    explorers = []
    for future in (late, failing):
        pending = classifier.renamed(classifier.class_names)
        pending.network = Network(
            compiled, source=classifier.source, late=future, predict_early=predict
        )
        explorers.append(Explorer(pending, pair))
    late.set_result(replace(compiled, reason="it must"))
    failing.set_exception(ValueError("no end after 1800 s"))
    said, failed = explorers
    assert panel(said)["notes"] == ["falls back to Keras because it must"]
    assert failed.error == "no end after 1800 s"


def test_only_pictures_that_were_added_can_be_removed(explorer):
    explorer.add(GOLDFISH, name="mine.jpg")
    assert [row["added"] for row in panel(explorer)["photos"]] == [False, False, True]
    with pytest.raises(
        ValueError, match=r"received 'espresso\.jpg', which came with the explorer"
    ):
        explorer.remove("espresso.jpg")
    with pytest.raises(
        ValueError, match=r"received 'mine\.jgp'; did you mean 'mine\.jpg'"
    ):
        explorer.remove("mine.jgp")
    explorer.settings = explorer.settings | {"noise": 7, "where": "cup"}
    message, _ = ask(explorer, kind="remove", request="a.1", name="mine.jpg")
    assert (message["kind"], message["request"]) == ("view", "a.1")
    # A map is that of the prediction for the photo that is shown now.
    assert effective_changes(message["settings"]) == {"noise": 7}
    assert (message["settings"]["photo"], message["settings"]["where"]) == (
        "cat.jpg",
        -1,
    )
    assert shelf(explorer) == ["cat.jpg", "espresso.jpg"]
    # Its name is free again, and shows the next picture.
    white = np.full((8, 8, 3), 255, np.uint8)
    explorer.add(white, name="mine.jpg")
    message, buffers = explorer.sent[-1]
    assert (message["request"], bytes(buffers[1])) == ("", white.tobytes())
    explorer.add(white, name="espresso.jpg", label="cup")
    explorer.remove("mine.jpg")
    explorer.settings = {"noise": 3}
    assert explorer.settings["photo"] == "espresso.jpg (2)"
    assert explorer.labels == ("tiger cat", "espresso", "cup")


def test_nothing_is_kept_of_a_removed_photograph(explorer):
    explorer.add(GOLDFISH, name="mine.jpg")
    for changed in ({"noise": 20}, {"exif": "exif_ignored", "blur": 2}, {}):
        deliver(explorer, kind="settings", settings={"photo": "mine.jpg", **changed})
    deliver(explorer, kind="why", settings=explorer.settings)
    searched(explorer)
    photo, pixels, view = explorer.photos[-1], explorer.photos[-1].pixels, explorer.view
    kept = [weakref.ref(photo), weakref.ref(pixels), weakref.ref(view)]
    del photo, pixels, view
    explorer.add(GOLDFISH, name="other.jpg")
    explorer.remove("other.jpg")
    assert explorer.diagnosis
    explorer.remove("mine.jpg")
    assert explorer.diagnosis is None
    explorer.sent.clear()
    gc.collect()
    assert [one() for one in kept] == [None] * 3


def test_what_is_found_of_a_photograph_that_was_removed_meanwhile_is_not_kept(
    explorer, monkeypatch
):
    found = Diagnosis((Finding("dark", "named", "Seen."),), "n", 1)
    monkeypatch.setattr("kit.explorer.why.diagnose_view", lambda *_: found)
    explorer.add(GOLDFISH, name="mine.jpg")
    deliver(explorer, kind="why", settings=explorer.settings)
    explorer.remove("mine.jpg")
    searched(explorer)
    assert explorer.diagnosis is None


def test_a_heat_map_by_occlusion_comes_row_by_row(clothes):
    layers = networks.imported_keras().layers
    body = (
        layers.Conv2D(4, 3),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3, activation="softmax"),
    )
    classifier = kit.Classifier(
        networks.stacked((28, 28, 1), *body), networks.GREY, networks.NAMES
    )
    explorer = listen(Explorer(classifier, clothes[:1]))
    explorer.settings = {"where": "dog"}
    replies = [ask(explorer, kind="where") for _ in range(15)]
    waits = [message["where"]["waits"] for message, _ in replies]
    assert waits == [True] * 14 + [False]
    assert all(len(buffer) >= REPLY_BYTES for _, [buffer] in replies)
    expected = kit.heatmap(classifier, clothes[0], "dog", progress=False)
    np.testing.assert_array_equal(explorer.view.heat.cells, expected.cells)
    assert explorer.settings["where"] == 1
    deliver(explorer, kind="label", photo=clothes[0].name, label="0")
    assert explorer.labels == ("cat",)
    explorer.settings = {"noise": 5, "where": -1}
    assert "Yellow" not in notebook_note(explorer.view)["text/html"]
    # A page may ask for the next row of a map that is gone.
    explorer.settings = {}
    deliver(explorer, kind="where")
    assert explorer.error == ""


def test_an_exercise_can_leave_the_flip_to_its_readers(classifier, pair):
    for given, offered in (({}, True), ({"flips": False}, False)):
        explorer = Explorer(classifier, pair, **given)
        # On an exported page, too.
        on_page = _panel_of_page(explorer._contents(None))
        assert panel(explorer)["flips"] is on_page["flips"] is offered
