"""Messages of the page and what answers them, and what is shown where no kernel is."""

import json
import re
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image
from traitlets.config import Config

import kit
from kit import load_image
from kit._bundled import DATA
from kit.explorer import replies, shelf
from kit.explorer.explorer import Explorer
from kit.explorer.protocol import REQUESTS
from kit.explorer.shelf import CAMERA, THUMBNAIL, Shelf, small_jpeg
from kit.explorer.texts import answer_of, bars, verdict
from tests.explorer.page import ask, deliver, listen, panel

GOLDFISH = (DATA / "photographs" / "goldfish.jpg").read_bytes()
FRAME = {"kind": "frame", "settings": {}, "height": 2, "width": 2}
UPLOAD = {"kind": "upload", "number": "v.1", "name": "my.jpg", "last": True}
AHEAD = {"kind": "ahead", "settings": {}, "key": "noise", "places": [1]}

MALFORMED = [
    # No message at all.
    ({}, [], "Expected the kind of a message out of"),
    ({"kind": "x" * 100_000}, [], f"{[*REQUESTS][-1]}; received …"),
    # A field that is missing, or of another type.
    (
        {"kind": "noise", "seed": "1"},
        [],
        "Expected seed of a message 'noise' as int, received '1'",
    ),
    (FRAME, [], "Expected buffer of a message 'frame' as memoryview, received None"),
    # A value that does not exist, or out of its bounds.
    (
        {"kind": "settings", "settings": {"photo": ["cat.jpg"]}},
        [],
        "Expected the photo out of",
    ),
    (
        {"kind": "settings", "settings": {"scaling": "channels_swapped"}},
        [],
        "the fault of the step 'scaling' out of",
    ),
    (
        {"kind": "settings", "settings": {"fix": True}},
        [],
        "Expected fix as False until a diagnosis",
    ),
    ({**AHEAD, "places": [1, None]}, [], "Expected noise as a number, received None"),
    (
        {"kind": "label", "photo": "cat.jpg", "label": "tiger kat"},
        [],
        "received 'tiger kat'; did you mean 'tiger cat'",
    ),
    ({"kind": "snap"}, [], "received 'Camera (live)'"),
    (UPLOAD, [b"no image at all"], "Expected an image file"),
]


@pytest.fixture(scope="module")
def shown(classifier, photos):
    return Explorer(classifier, photos[:2])


@pytest.mark.parametrize(("content", "buffers", "text"), MALFORMED)
def test_a_malformed_message_gets_one_clear_line_with_its_number_and_changes_nothing(
    shown, content, buffers, text
):
    explorer = listen(shown)
    before = (
        explorer.settings,
        explorer.photos,
        panel(explorer),
        explorer.probabilities.tolist(),
    )
    deliver(explorer, buffers, request="kit-mhq3ve1c-1.9", **content)
    [(message, _)] = explorer.sent
    assert (message["kind"], message["request"]) == ("error", "kit-mhq3ve1c-1.9")
    assert text in message["text"]
    assert len(message["text"]) < 1010
    assert message["text"] == explorer.error
    assert re.fullmatch("Expected .*", explorer.error)
    assert (
        explorer.settings,
        explorer.photos,
        panel(explorer),
        explorer.probabilities.tolist(),
    ) == before


@pytest.mark.parametrize("content", [None, [{"kind": "settings"}]])
def test_what_is_no_object_is_refused_and_the_next_message_answered(shown, content):
    explorer = listen(shown)
    explorer._handle_msg(
        {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
    )
    [(message, _)] = explorer.sent
    assert message["text"].startswith("Expected a message as an object, received ")
    message, _ = ask(
        explorer, [b"one buffer too many"], kind="hello", request="\ud800\n"
    )
    assert (message["kind"], message["request"], explorer.error) == ("view", "??", "")
    json.dumps(message, ensure_ascii=False).encode()


def test_a_bad_frame_leaves_the_last_one(classifier, photos):
    explorer = listen(Explorer(classifier, photos[:1]))
    deliver(explorer, [bytes(12)], **FRAME)
    photo = explorer.photo
    for wrong in ({"settings": {"noise": "much"}}, {"height": 3}):
        message, _ = ask(explorer, [b"\xff" * 12], **(FRAME | wrong))
        assert message["kind"] == "error"
        assert explorer._shelf[CAMERA].photo is photo


# -- chips and sliders


def test_heights_and_widths_are_not_exchanged(look):
    view = look(where=-1)
    part = replace(
        view, tensor=view.tensor[:, :160], features=view.features[:, :, :5], label=None
    )
    message, pixels = replies.view_message(part)
    height = view.features.shape[1]
    assert message["input"] == {"height": 160, "width": 224}
    sides = {"height": height, "width": 5}
    assert message["where"].items() >= sides.items()
    assert len(pixels) == 3 * 160 * 224 + 4 * 5 * height


# -- photographs, and files on their way


def test_names_are_unique_whatever_comes(cat):
    kept = Shelf()
    given = [cat.name] * 3 + ["cat.jpg (2)", "cat.jpg", shelf.CAMERA]
    received = [kept.add(load_image(cat.pixels, name=name)) for name in given]
    assert received == [
        "cat.jpg",
        "cat.jpg (2)",
        "cat.jpg (3)",
        "cat.jpg (2) (2)",
        "cat.jpg (4)",
        # The name of the camera's frames is theirs.
        "Camera (live) (2)",
    ]
    assert list(kept) == received


def test_thumbnails_are_small_jpegs_of_the_whole_picture_of_the_first_photos(
    monkeypatch,
):
    monkeypatch.setattr(shelf, "THUMBNAILS", 3)
    left_white = np.zeros((300, 600, 3), np.uint8)
    left_white[:, :300] = 255
    kept = Shelf()
    for pixels in (left_white, left_white[:1, :1], left_white[:1], left_white):
        kept.add(load_image(pixels, name="any"), label=0)
    rows = kept.rows()
    assert [row["labelled"] for row in rows] == [True, True, True, False]
    *files, beyond = (row["thumbnail"] for row in rows)
    assert (max(map(len, files)) < 4_000, beyond) == (True, b"")
    image, *others = map(opened, files)
    assert [other.size for other in others] == [(THUMBNAIL, THUMBNAIL), (THUMBNAIL, 1)]
    assert image.size == (THUMBNAIL, THUMBNAIL // 2)
    pixels = np.asarray(image)
    assert pixels[:, : THUMBNAIL // 2 - 3].min() > 230
    assert pixels[:, THUMBNAIL // 2 + 3 :].max() < 25


def test_pieces_of_several_files_are_kept_apart_and_the_oldest_make_room(
    classifier, photos
):
    explorer, half = listen(Explorer(classifier, photos[:1])), len(GOLDFISH) // 2
    for number in range(shelf.UPLOADS + 1):
        deliver(
            explorer,
            [GOLDFISH[:half]],
            **UPLOAD | {"number": str(number), "last": False},
        )
    for number, kind in ((1, "view"), (0, "error")):
        message, _ = ask(
            explorer, [GOLDFISH[half:]], **UPLOAD | {"number": str(number)}
        )
        assert message["kind"] == kind
    np.testing.assert_array_equal(explorer.photo.pixels, load_image(GOLDFISH).pixels)


def test_uploads_are_bounded_in_bytes_and_nothing_is_kept_of_one_that_is_too_large(
    shown, monkeypatch
):
    monkeypatch.setattr(shelf, "UPLOAD_BYTES", 10)
    explorer = listen(shown)
    for piece, last in ((b"x" * 10, False), (b"x", True)):
        deliver(explorer, [piece], **UPLOAD | {"last": last})
    [(message, _)] = explorer.sent
    assert message["text"] == "Expected an image of at most 0 MB, received more: my.jpg"
    assert ask(explorer, [b"x"], **UPLOAD)[0]["text"].startswith(
        "Expected an image file"
    )


def test_added_images_are_bounded_together_until_one_is_removed(
    classifier, photos, monkeypatch
):
    monkeypatch.setattr(shelf, "ADDED_BYTES", load_image(GOLDFISH).pixels.nbytes)
    explorer = listen(Explorer(classifier, photos[:2]))
    ask(explorer, [GOLDFISH], **UPLOAD)
    message, _ = ask(explorer, [GOLDFISH], **UPLOAD)
    assert message["text"].endswith(" bytes of added images; remove one")
    explorer.remove("my.jpg")
    assert ask(explorer, [GOLDFISH], **UPLOAD)[0]["settings"]["photo"] == "my.jpg"


# -- where no kernel is


@pytest.fixture
def explorer(classifier, photos, labels):
    return listen(Explorer(classifier, photos[:2], labels[:2]))


@pytest.fixture(scope="module")
def published():
    """Return what a cell publishes that shows an explorer: the data of widget and image."""
    settings = Config()
    settings.HistoryManager.enabled = False
    InteractiveShell.instance(config=settings)

    def published(explorer):
        with capture_output() as captured:
            explorer._ipython_display_()
        return [output.data for output in captured.outputs]

    yield published
    InteractiveShell.clear_instance()


def opened(file):
    image = Image.open(BytesIO(file))
    assert image.format == "JPEG"
    return image.convert("RGB")


def texts(data):
    """Return what a page reads in HTML: the texts, those in place of images, and no element of a name."""
    found = []
    parser = HTMLParser()
    parser.handle_data = found.append
    parser.handle_starttag = lambda tag, attributes: found.extend(
        [dict(attributes)["alt"]] if tag == "img" else [f"<{tag}>"] * (tag == "script")
    )
    parser.feed(data["text/html"])
    return " ".join(found)


def test_beside_the_widget_stands_the_state_in_words_bars_and_images(
    explorer, published
):
    explorer.settings = {
        "photo": "espresso.jpg",
        "noise": 5,
        "seed": 3,
        "channels": "channels_swapped",
    }
    widget, data = published(explorer)
    assert "application/vnd.jupyter.widget-view+json" in widget
    said = texts(data)
    for wanted in (
        verdict(answer_of(explorer.view)),
        "efficientnet_lite0: espresso.jpg, noise 5, “Channels: red and blue swapped”",
        *("The photo", "Model input", "993 others", replies.LIVE),
    ):
        assert wanted in said
    for row in bars(explorer.view):
        bar = ("░" if row["index"] < 0 else "█") * round(25 * row["value"])
        assert f"<td>{row['text']}</td><td>{bar}</td>" in data["text/html"]
    for pixels in (explorer.view.photo.pixels, explorer.view.input_image):
        image = b64encode(small_jpeg(pixels, replies.NOTE_SIDE)).decode()
        assert data["text/html"].count(image) == 1
    assert (
        data["text/plain"] == "Run all cells up to this one to make the explorer live."
    )
    assert widget["text/plain"] == "kit.Explorer", (
        "the state of the first run would contradict what is renewed"
    )
    explorer.settings = {"photo": "espresso.jpg", "where": "cup"}
    deliver(explorer, kind="label", photo="espresso.jpg", label="espresso")
    _, data = published(explorer)
    heat = kit.heatmap(explorer.classifier, explorer.photo, "cup")
    overlay = small_jpeg(heat.overlay, replies.NOTE_SIDE)
    assert b64encode(overlay).decode() in data["text/html"]
    said = texts(data)
    assert "Yellow areas support cup. They do not say why." in said
    assert "Original photo:" not in said
    assert "✓ espresso" in said


def test_what_stands_there_is_renewed_once_the_explorer_was_shown(
    explorer, monkeypatch
):
    renewed = []
    monkeypatch.setattr(
        "kit.explorer.explorer.update_display",
        lambda data, **how: renewed.append((data, how)),
    )
    deliver(explorer, kind="keep")
    assert renewed == []
    with capture_output():
        explorer._ipython_display_()
    explorer.settings = {"photo": "espresso.jpg", "noise": 7}
    deliver(explorer, kind="keep")
    [(data, how)] = renewed
    assert "espresso.jpg, noise 7" in texts(data)
    assert how["display_id"].startswith("kit-")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    # A terminal has the repr alone.
    with pytest.raises(NotImplementedError):
        explorer._ipython_display_()


def test_only_the_first_page_after_a_cell_was_run_is_told_that_it_is_fresh(explorer):
    with capture_output():
        explorer._ipython_display_()
    for _ in range(2):
        deliver(explorer, kind="hello", request="a.hello")
    sent = [(message["kind"], len(buffers)) for message, buffers in explorer.sent]
    assert sent == [("view", 2), ("fresh", 0), ("view", 2)]


def test_small_pictures_are_enlarged_without_inventing_pixels(clothes):
    image = opened(small_jpeg(clothes[0].pixels, replies.NOTE_SIDE))
    assert image.size == (7 * 28, 7 * 28)
    centres = np.asarray(image, float)[3::7, 3::7]
    assert np.abs(centres - clothes[0].pixels).max() < 30  # of 255 levels, as a JPEG


def test_names_reach_the_page_as_text_alone_however_long(fashion, clothes, published):
    explorer = Explorer(fashion, clothes[:1])
    name = f'"><script>alert(1){"n" * 500}.png'
    explorer.add(clothes[0].pixels, name=name)
    _, data = published(explorer)
    assert "<script>" not in texts(data).replace(name, "")
    assert name in texts(data)
