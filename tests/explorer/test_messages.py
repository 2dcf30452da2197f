"""Messages of the page: each one that is malformed gets one clear line, and changes nothing."""

import json

import numpy as np
import pytest

from kit.explorer.explorer import Explorer
from kit.explorer.replies import FIELDS, LIVE_PIXELS, PIXELS, checked
from tests.explorer.page import ask, deliver, listen, panel

FRAME = {"kind": "frame", "settings": {}, "height": 2, "width": 2}
UPLOAD = {"kind": "upload", "number": "v.1", "name": "my.jpg", "last": True}
AHEAD = {"kind": "ahead", "settings": {}, "key": "noise", "places": [1]}
TWELVE = [bytes(12)]

MALFORMED = [
    # No message at all.
    ({}, [], "Expected the kind of a message as text"),
    ({"kind": None}, [], "Expected the kind of a message as text"),
    ({"kind": 3}, [], "Expected the kind of a message as text"),
    ({"kind": ["settings"]}, [], "Expected the kind of a message as text"),
    ({"kind": "dance"}, [], "received 'dance'"),
    ({"kind": "setting"}, [], "did you mean 'settings'?"),
    ({"kind": "_on_message"}, [], "received '_on_message'"),
    # A field that is missing, or of another type.
    ({"kind": "settings"}, [], "Expected settings of a message 'settings' as dict, received None"),
    ({"kind": "settings", "settings": []}, [], "as dict, received []"),
    ({"kind": "settings", "settings": "noise"}, [], "as dict, received 'noise'"),
    ({"kind": "noise", "seed": 1}, [], "Expected count of a message 'noise' as int, received None"),
    ({"kind": "noise", "seed": True, "count": 3}, [], "Expected seed of a message 'noise' as int"),
    ({"kind": "noise", "seed": 1.5, "count": 3}, [], "Expected seed of a message 'noise' as int"),
    ({"kind": "remove"}, [], "Expected name of a message 'remove' as str, received None"),
    ({"kind": "sample", "step": 1}, [], "Expected step of a message 'sample' as str, received 1"),
    ({**AHEAD, "places": 3}, [], "Expected places of a message 'ahead' as list or tuple, received 3"),
    ({**AHEAD, "places": None}, [], "Expected places of a message 'ahead' as list or tuple"),
    ({**AHEAD, "key": None}, [], "Expected key of a message 'ahead' as str, received None"),
    ({**FRAME, "height": "2"}, TWELVE, "Expected height of a message 'frame' as int, received '2'"),
    ({**FRAME, "settings": None}, TWELVE, "Expected settings of a message 'frame' as dict"),
    ({**UPLOAD, "last": 1}, [b"x"], "Expected last of a message 'upload' as bool, received 1"),
    ({**UPLOAD, "number": 1}, [b"x"], "Expected number of a message 'upload' as str, received 1"),
    # No pixels.
    (FRAME, [], "Expected a message 'frame' with a buffer, received none"),
    (UPLOAD, [], "Expected a message 'upload' with a buffer, received none"),
    # A value that does not exist, or out of its bounds.
    ({"kind": "settings", "settings": {"brightness": "bright"}}, [], "Expected brightness as a number"),
    ({"kind": "settings", "settings": {"brightness": float("nan")}}, [], "Expected a finite brightness"),
    ({"kind": "settings", "settings": {"noise": 1e9}}, [], "Expected noise within 0..100"),
    ({"kind": "settings", "settings": {"nonsense": 1}}, [], "the setting out of"),
    ({"kind": "settings", "settings": {"photo": "dog.jpg"}}, [], "received 'dog.jpg'"),
    ({"kind": "settings", "settings": {"photo": ["cat.jpg"]}}, [], "Expected the photo as text"),
    (
        {"kind": "settings", "settings": {"scaling": {}}},
        [],
        "Expected the fault of the step 'scaling' as text",
    ),
    ({"kind": "settings", "settings": {"fix": True}}, [], "Expected fix as False before a diagnosis"),
    ({"kind": "settings", "settings": {"seed": -1}}, [], "Expected seed as a whole number not below 0"),
    ({"kind": "noise", "seed": -1, "count": 3}, [], "Expected seed as a whole number not below 0"),
    ({"kind": "noise", "seed": 1, "count": -3}, [], "Expected count as a whole number not below 0"),
    ({**AHEAD, "key": "rotation"}, [], "Expected the slider out of brightness, noise"),
    ({**AHEAD, "places": ["a"]}, [], "Expected noise as a number, received 'a'"),
    ({**AHEAD, "places": [1, None]}, [], "Expected noise as a number, received None"),
    ({**AHEAD, "settings": {"photo": "dog.jpg"}}, [], "received 'dog.jpg'"),
    ({**AHEAD, "settings": {"fix": True}}, [], "Expected fix as False before a diagnosis"),
    ({**FRAME, "height": 3}, TWELVE, "Expected 18 bytes of a frame, received 12"),
    ({**FRAME, "width": 0}, TWELVE, "Expected frame within 1..512"),
    ({**FRAME, "settings": {"brightness": "bright"}}, TWELVE, "Expected brightness as a number"),
    ({**FRAME, "settings": {"fix": True}}, TWELVE, "Expected fix as False before a diagnosis"),
    ({"kind": "snap"}, [], "received 'Camera (live)'"),
    ({"kind": "remove", "name": "dog.jpg"}, [], "received 'dog.jpg'"),
    ({"kind": "remove", "name": "cat.jpg"}, [], "'cat.jpg', which came with the explorer"),
    ({"kind": "sample", "step": "fit"}, [], "Expected the step out of exif, alpha, depth; received 'fit'"),
    (UPLOAD, [b"no picture at all"], "Expected an image file"),
]


@pytest.fixture(scope="module")
def shown(classifier, photos):
    return Explorer(classifier, photos[:2])


@pytest.mark.parametrize(("content", "buffers", "text"), MALFORMED)
def test_a_malformed_message_gets_one_clear_line_with_its_number_and_changes_nothing(
    shown, content, buffers, text
):
    explorer = listen(shown)
    before = explorer.settings, explorer.photos, panel(explorer), explorer.probabilities.copy()
    deliver(explorer, buffers, request="a.9", **content)
    assert len(explorer.sent) == 1
    [(message, _)] = explorer.sent
    assert (message["kind"], message["request"]) == ("error", "a.9")
    assert text in message["text"]
    assert message["text"].startswith("Expected ")
    assert "\n" not in message["text"]
    assert explorer.error == message["text"]
    after = explorer.settings, explorer.photos, panel(explorer)
    assert after == before[:3]
    np.testing.assert_array_equal(explorer.probabilities, before[3])


@pytest.mark.parametrize("content", [None, 3, "settings", [], [{"kind": "settings"}]])
def test_what_is_no_object_is_refused(shown, content):
    explorer = listen(shown)
    explorer.comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    [(message, _)] = explorer.sent
    assert message["text"].startswith("Expected a message as an object, received ")
    assert message["request"] == ""


def test_after_a_malformed_message_the_next_one_is_answered(shown):
    explorer = listen(shown)
    ask(explorer, kind="dance")
    message, _ = ask(explorer, kind="settings", request="a.2", settings={"noise": 3})
    assert (message["kind"], message["request"], message["settings"]["noise"]) == ("view", "a.2", 3)
    assert explorer.error == ""
    explorer.settings = {"photo": "cat.jpg"}


def test_a_bad_frame_leaves_the_last_one(classifier, photos):
    explorer = listen(Explorer(classifier, photos[:1]))
    deliver(explorer, [bytes(12)], **FRAME)
    photo = explorer.photo
    for settings in ({"noise": "much"}, {"fix": True}):
        message, _ = ask(explorer, [b"\xff" * 12], **(FRAME | {"settings": settings}))
        assert message["kind"] == "error"
        assert explorer.photos[-1] is photo


def test_noise_is_bounded_by_what_a_page_can_paint(shown):
    message, [field] = ask(listen(shown), kind="noise", seed=3, count=10**12)
    assert message["count"] == 3 * LIVE_PIXELS
    assert len(field) == 2 * message["count"]


def test_every_kind_has_a_handler_and_all_its_fields_are_needed():
    for kind, fields in FIELDS.items():
        assert callable(getattr(Explorer, f"_take_{kind}"))
        whole = {"kind": kind} | {name: types[0]() for name, types in fields.items()}
        assert checked(whole, 1) == kind
        for name in fields:
            with pytest.raises(TypeError, match=f"Expected {name} of a message {kind!r}"):
                checked({key: value for key, value in whole.items() if key != name}, 1)
    for kind in PIXELS:
        assert kind in FIELDS


def test_a_request_of_any_text_and_a_buffer_too_many_are_no_hindrance(shown):
    explorer = listen(shown)
    content, _ = ask(explorer, [b"one too many"], kind="hello", request="\ud800\n")
    assert (content["kind"], content["request"], explorer.error) == ("view", "??", "")
    json.dumps(content, ensure_ascii=False).encode()
