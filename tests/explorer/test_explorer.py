"""The explorer as a Python object, and what it says to the page."""

import threading
import time
from pathlib import Path

import ipywidgets
import numpy as np
import pytest

import kit
from kit import samples
from kit.explorer import replies, view
from kit.explorer.explorer import Explorer
from kit.explorer.replies import CAMERA, LIVE_PIXELS, REPLY_BYTES
from kit.perturbation import noise_field
from tests.explorer.page import ask, deliver, listen, panel
from tests.outliers import outliers

GOLDFISH = Path(__file__).parents[2] / "data" / "photographs" / "goldfish.jpg"


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
    expected = classifier.probabilities(pair[1], kit.Perturbation(brightness=1.4, noise=12), swapped)
    np.testing.assert_array_equal(explorer.probabilities, expected[0])
    np.testing.assert_array_equal(explorer.tensor, classifier.tensor(pair[1], explorer.perturbation, swapped))
    assert explorer.preprocessing == swapped


def test_probabilities_cannot_be_written(explorer):
    with pytest.raises(ValueError, match="read-only"):
        explorer.probabilities[0] = 1


def test_repr_is_the_same_for_the_same_state(explorer, classifier, pair):
    explorer.settings = {"brightness": 0.4}
    other = Explorer(classifier, pair, labels=[282, 967])
    other.settings = {"brightness": 0.4}
    assert repr(explorer) == repr(other)
    assert "photo='cat.jpg', brightness=0.4" in repr(explorer)
    assert "0x" not in repr(explorer)


def test_a_fix_is_refused_before_a_diagnosis_has_found_one(explorer):
    before = explorer.settings
    with pytest.raises(ValueError, match="Expected fix as False before a diagnosis has found one"):
        explorer.settings = {"fix": True}
    assert explorer.settings == before


def test_settings_can_be_observed(explorer):
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]["noise"]), "settings")
    ask(explorer, kind="settings", request="a.1", settings=explorer.settings | {"noise": 7})
    assert seen == [7]


def test_each_request_gets_one_answer_with_its_number(explorer):
    content, _ = ask(explorer, kind="settings", request="a.1", settings=explorer.settings | {"noise": 7})
    assert (content["kind"], content["request"]) == ("view", "a.1")
    assert content["settings"]["noise"] == 7
    assert len(explorer.sent) == 1
    ask(explorer, kind="settings", request="a.2", settings=explorer.settings)
    assert [message["request"] for message, _ in explorer.sent] == ["a.1", "a.2"]


def test_answers_ahead_are_those_that_asking_gives_and_change_nothing(explorer):
    settings = explorer.settings | {"noise": 20}
    places = [0.5, 1.0, 2.0]
    answers, pixels = [], b""
    while places:
        message, [part] = ask(
            explorer, kind="ahead", request="a1", settings=settings, key="brightness", places=places
        )
        if message["pause"]:  # other processes need the cores
            time.sleep(message["pause"] / 1000)
            continue
        assert (message["kind"], message["request"]) == ("ahead", "a1")
        assert len(part) >= REPLY_BYTES
        answered = len(message["views"])
        assert answered >= 1
        answers += message["views"]
        pixels += part[: answered * 3 * 224 * 224]
        places = places[answered:]
    assert explorer.settings["noise"] == 0
    assert explorer.error == ""
    for index, place in enumerate((0.5, 1.0, 2.0)):
        asked, [model_input, *_] = ask(explorer, kind="settings", settings=settings | {"brightness": place})
        assert {key: asked[key] for key in answers[index]} == answers[index]
        size = 3 * 224 * 224
        assert pixels[index * size :][:size] == model_input[:size]


def test_only_the_main_sliders_are_answered_ahead(explorer):
    message, _ = ask(
        explorer, kind="ahead", request="a1", settings=explorer.settings, key="rotation", places=[5]
    )
    assert (message["kind"], message["request"]) == ("error", "a1")
    assert "brightness, noise" in message["text"]


def test_the_page_is_told_how_far_to_look_ahead(classifier, pair):
    assert panel(Explorer(classifier, pair, ahead=0))["ahead"]["places"] == 0
    assert panel(Explorer(classifier, pair))["ahead"]["keys"] == ("brightness", "noise")
    for ahead in (-1, 1.5, "far"):
        with pytest.raises((TypeError, ValueError), match="Expected ahead"):
            Explorer(classifier, pair, ahead=ahead)


def test_frames_of_a_camera_take_each_others_place(explorer, classifier):
    frames = [np.full((30, 40, 3), value, np.uint8) for value in (0, 200)]
    for frame in frames:
        settings = explorer.settings | {"brightness": 0.5}
        message, buffers = ask(
            explorer, [frame.tobytes()], kind="frame", request="c1", settings=settings, height=30, width=40
        )
        assert (message["kind"], message["request"]) == ("view", "c1")
        assert message["settings"]["photo"] == CAMERA
        assert len(buffers) == 1, "the page has its own frames"
    expected = classifier.probabilities(frames[1], kit.Perturbation(brightness=0.5))[0]
    np.testing.assert_array_equal(explorer.probabilities, expected)
    reference = classifier.probabilities(frames[1])[0]
    assert [bar["ghost"] for bar in message["bars"] if bar["top"]] == pytest.approx(
        [reference[expected.argmax()]], abs=1e-6
    )
    assert [photo.name for photo in explorer.photos] == ["cat.jpg", "espresso.jpg", CAMERA]
    assert shelf(explorer) == ["cat.jpg", "espresso.jpg"]


@pytest.mark.parametrize(
    ("height", "width", "count"), [(2, 2, 11), (0, 4, 0), (4000, 4000, 12), ("2", 2, 12)]
)
def test_a_bad_frame_is_refused_in_one_line(explorer, height, width, count):
    message, _ = ask(
        explorer, [bytes(count)], kind="frame", request="c1", settings={}, height=height, width=width
    )
    assert (message["kind"], message["request"]) == ("error", "c1")
    assert "frame" in message["text"]
    assert explorer.settings["photo"] == "cat.jpg"


def test_small_replies_are_padded(fashion, clothes):
    explorer = listen(Explorer(fashion, clothes[:2]))
    content, buffers = ask(explorer, kind="hello", request="")
    assert content["input"] == {"height": 28, "width": 28}
    assert len(buffers[0]) == REPLY_BYTES


def test_the_photograph_is_sent_once_and_again_when_it_changes(explorer):
    _, buffers = ask(explorer, kind="hello", request="")
    assert bytes(buffers[1]) == explorer.photos[0].pixels.tobytes()
    _, buffers = ask(explorer, kind="settings", request="1", settings={"photo": "cat.jpg", "brightness": 2})
    assert len(buffers) == 1
    _, buffers = ask(explorer, kind="settings", request="2", settings={"photo": "espresso.jpg"})
    assert bytes(buffers[1]) == explorer.photos[1].pixels.tobytes()


def test_a_photograph_that_the_page_did_not_keep_is_sent_again(explorer):
    espresso = {"photo": "espresso.jpg"}
    ask(explorer, kind="settings", settings=espresso, held="cat.jpg")
    _, kept = ask(explorer, kind="settings", settings=espresso | {"noise": 1}, held="espresso.jpg")
    assert len(kept) == 1
    _, lost = ask(explorer, kind="settings", settings=espresso | {"noise": 2}, held="cat.jpg")
    assert bytes(lost[1]) == explorer.photos[1].pixels.tobytes()


def test_what_the_page_cannot_paint_comes_perturbed_from_the_kernel(explorer):
    content, buffers = ask(explorer, kind="settings", request="1", settings={"blur": 2})
    assert content["source"]["live"] is False
    assert bytes(buffers[1]) == explorer.photo.pixels.tobytes()


def test_large_photographs_are_shown_reduced_and_predicted_whole(classifier):
    rng = np.random.default_rng(3)
    large = rng.integers(0, 256, (1500, 1400, 3), dtype=np.uint8)
    explorer = listen(Explorer(classifier, large))
    content, buffers = ask(explorer, kind="hello", request="")
    source = content["source"]
    assert source["height"] * source["width"] <= LIVE_PIXELS
    assert len(buffers[1]) == source["height"] * source["width"] * 3
    np.testing.assert_array_equal(explorer.probabilities, classifier.probabilities(large)[0])


def test_noise_fields_are_the_perturbations(explorer):
    content, buffers = ask(explorer, kind="noise", request="", seed=4, count=30)
    assert (content["seed"], content["count"]) == (4, 30)
    assert bytes(buffers[0]) == noise_field(4, 30).tobytes()


def test_uploads_in_pieces_are_put_together_and_shown(explorer, tmp_path):
    content = GOLDFISH.read_bytes()
    half = len(content) // 2
    deliver(explorer, [content[:half]], kind="upload", number="v.1", name="my.jpg", last=False)
    message, _ = ask(explorer, [content[half:]], kind="upload", number="v.1", name="my.jpg", last=True)
    assert message["settings"]["photo"] == "my.jpg"
    assert shelf(explorer) == ["cat.jpg", "espresso.jpg", "my.jpg"]
    np.testing.assert_array_equal(explorer.photo.pixels, kit.load_image(content).pixels)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"this is no picture", "Expected"),
        (b"\xff\xd8\xff\xe0 cut short", "Expected"),
        (b"", "Expected"),
    ],
)
def test_a_bad_upload_is_told_in_one_line_and_the_explorer_lives(explorer, content, text):
    message, _ = ask(explorer, [content], kind="upload", number="v.1", name="bad.jpg", last=True)
    assert message["kind"] == "error"
    assert message["text"].startswith(text)
    assert "\n" not in message["text"]
    assert explorer.error == message["text"]
    answer, _ = ask(explorer, kind="settings", request="1", settings={"brightness": 0.5})
    assert answer["kind"] == "view"
    assert explorer.error == ""


def test_an_upload_without_end_is_given_up(explorer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("kit.explorer.replies.UPLOAD_BYTES", 10)
        upload = {"kind": "upload", "number": "v.1", "name": "huge.png"}
        message, _ = ask(explorer, [b"x" * 11], **upload, last=False)
    assert message["kind"] == "error"
    assert "huge.png" in message["text"]
    # Nothing of it is left to spoil another of the same number and name.
    message, _ = ask(explorer, [GOLDFISH.read_bytes()], **upload, last=True)
    assert message["settings"]["photo"] == "huge.png"


def test_bad_settings_from_python_raise_and_change_nothing(explorer):
    before = explorer.settings
    with pytest.raises(ValueError, match="did you mean 'brightness'"):
        explorer.settings = {"brightnes": 1}
    assert explorer.settings == before


def test_a_prediction_that_fails_is_shown_and_raised_on_asking(explorer, monkeypatch):
    def broken(*_):
        raise RuntimeError("no\nmemory")

    monkeypatch.setattr(kit.Classifier, "predict_tensors", broken)
    explorer.settings = {"noise": 3}
    assert explorer.error == "no memory"
    assert "RuntimeError" in explorer.traceback
    with pytest.raises(ValueError, match="no memory"):
        _ = explorer.probabilities


def test_callbacks_from_two_threads_leave_one_consistent_state(explorer, classifier, pair):
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
    assert len(explorer.sent) == 20
    assert {content["kind"] for content, _ in explorer.sent} == {"view"}
    expected = classifier.probabilities(pair[0], explorer.perturbation)
    np.testing.assert_array_equal(explorer.probabilities, expected[0])


def test_pictures_of_one_name_are_kept_apart(classifier, pair):
    explorer = Explorer(classifier, [pair[0], pair[0]])
    assert shelf(explorer) == ["cat.jpg", "cat.jpg (2)"]


def test_constructor_says_what_is_missing(classifier, pair):
    with pytest.raises(ValueError, match="at least one picture"):
        Explorer(classifier, [])
    with pytest.raises(ValueError, match=r"Expected 2 labels.*received 1"):
        Explorer(classifier, pair, labels=[1])
    with pytest.raises(TypeError, match="photo_size"):
        Explorer(classifier, pair, photo_size=3)


def test_constructor_asks_for_a_classifier(pair):
    with pytest.raises(TypeError, match=r"Expected a Classifier, received str; see .*Classifier\.load"):
        Explorer("my_model.keras", pair)


def test_labels_are_names_or_indices(classifier, pair):
    by_name = listen(Explorer(classifier, pair, labels=["Egyptian cat", None]))
    by_index = listen(Explorer(classifier, pair[0], labels=classifier.class_names.index("Egyptian cat")))
    for explorer in (by_name, by_index):
        message, _ = ask(explorer, kind="hello", request="")
        assert [bar["name"] for bar in message["bars"] if bar["expected"]] == ["Egyptian cat"]
    with pytest.raises(ValueError, match="Expected a label from 0 to 999, received 1000"):
        Explorer(classifier, pair[0], labels=[1000])
    with pytest.raises(ValueError, match="did you mean 'Egyptian cat'"):
        Explorer(classifier, pair[0], labels="Egyptian cats")
    with pytest.raises(ValueError, match="received 1000"):
        by_name.add(pair[1], label=1000)
    assert len(by_name.photos) == 2


def test_an_unknown_preprocessing_says_what_is_assumed(classifier, pair):
    unknown = classifier.using(classifier.preprocessing)
    unknown.preprocessing = None
    told = panel(Explorer(unknown, pair))
    assumed = told["notes"][-1]
    assert assumed.startswith("assumed here: ")
    assert "0..1" in assumed
    assert told["caption"].endswith("prepared as assumed")
    assert told["usual"] == "as assumed"
    assert {chip["options"][0][1] for chip in told["path"] if "options" in chip} == {"as assumed"}
    told = panel(Explorer(classifier, pair))
    assert not any("assumed" in note for note in told["notes"])
    assert told["caption"].endswith("prepared as in training")


def test_it_lies_in_boxes_with_other_widgets(explorer):
    assert ipywidgets.HBox([explorer]).children == (explorer,)


def test_every_word_of_the_page_comes_from_here(explorer):
    told = panel(explorer)
    assert shelf(explorer) == ["cat.jpg", "espresso.jpg"]
    assert told["sliders"] == replies.sliders()
    assert told["path"] == replies.chips(explorer.classifier.preprocessing, "as in training")
    assert told["neutral"] == view.neutral("cat.jpg")


def test_none_of_these_is_an_answer_where_the_classifier_knows_ordinary_pictures(fashion, clothes):
    training = list(samples.fashion_mnist_arrays("train")[0][:200])
    knowing = kit.fit_novelty(fashion, training, clothes[:100]).attached()
    digit = kit.load_image(outliers("digits")[0], name="digit")
    told = [ask(listen(Explorer(each, [digit])), kind="hello", request="")[0] for each in (knowing, fashion)]
    assert [message["verdict"].startswith("None of these: ") for message in told] == [True, False]
    assert [message["answer"]["name"] == "None of these" for message in told] == [True, False]
