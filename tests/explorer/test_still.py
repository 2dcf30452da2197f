"""What is seen of the explorer where no kernel is."""

from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from PIL import Image
from traitlets.config import Config

from kit import samples
from kit.explorer import replies, view
from kit.explorer.explorer import Explorer
from kit.explorer.replies import shown
from tests.explorer.page import listen


@pytest.fixture
def explorer(classifier, photos, labels):
    return listen(Explorer(classifier, photos[:2], labels[:2]))


@pytest.fixture(scope="module")
def shell():
    """IPython as a notebook has it, without a history on disk."""
    settings = Config()
    settings.HistoryManager.enabled = False
    yield InteractiveShell.instance(config=settings)
    InteractiveShell.clear_instance()


@pytest.fixture
def published(shell):
    """Return what a cell publishes that shows an explorer: data and metadata of each output."""

    def published(explorer):
        with capture_output() as captured:
            explorer._ipython_display_()
        return [(output.data, output.metadata or {}) for output in captured.outputs]

    return published


def opened(file, kind="PNG"):
    image = Image.open(BytesIO(file))
    image.load()
    assert image.format == kind
    return image.convert("RGB")


def told(data):
    """Return the alternative text of a picture in HTML, as a page reads it."""
    texts = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tag == "img" and texts.append(dict(attributes)["alt"])
    parser.feed(data["text/html"])
    (text,) = texts
    return text


def kept(explorer):
    """Return content and pictures that a widget's state keeps for pages without a kernel."""
    state = explorer.get_state()["_still"]
    return state["content"], *(opened(file, "JPEG") for file in state["pictures"])


def test_beside_the_widget_a_picture_is_published_whose_text_tells_photo_and_answer(explorer, published):
    explorer.settings = {"photo": "espresso.jpg", "noise": 5}
    (widget, _), (data, _) = published(explorer)
    assert "application/vnd.jupyter.widget-view+json" in widget
    image = opened(data["image/png"])
    assert image.width == replies.WIDTH
    assert min(image.getpixel((0, 0))) > 250, "white, for pages in the dark"
    alt = told(data)
    top = view.percent(explorer.probabilities.max())
    assert alt.startswith(
        f"Explorer of efficientnet_lite0: the photograph espresso.jpg. espresso, {top} (right)"
    )
    assert "Untouched: the same class, " in alt


def test_below_the_widget_stands_how_it_becomes_live(explorer, published):
    _, (data, _) = published(explorer)
    assert data["text/plain"] == replies.LIVE
    assert replies.LIVE in data["text/html"]
    assert explorer.get_state()["_panel"]["live"] == replies.LIVE


def test_the_picture_is_that_of_the_present_settings(explorer, published):
    first = published(explorer)[1][0]["image/png"]
    assert published(explorer)[1][0]["image/png"] == first
    explorer.settings = {"noise": 90}
    assert published(explorer)[1][0]["image/png"] != first


def test_the_state_holds_the_first_view_with_two_pictures(classifier, photos, labels):
    explorer = Explorer(classifier, photos[:2], labels[:2])
    first, _ = shown(explorer.view, classifier.class_names, ("exif", "alpha", "depth"))
    explorer.settings = {"photo": "espresso.jpg", "noise": 5}
    content, photograph, seen = kept(explorer)
    assert content == first
    assert content["answer"]["name"] == "Egyptian cat"
    height, width = photos[0].size
    assert max(photograph.size) == 256
    assert photograph.width / photograph.height == pytest.approx(width / height, rel=0.02)
    assert seen.size == (224, 224)
    resized = {step.name: step.array for step in classifier.preprocessing.steps(photos[0])}["resize"]
    assert np.abs(np.asarray(seen, float) - resized).mean() < 5  # of 255 levels, as a JPEG


def test_small_pictures_are_enlarged_without_inventing_pixels(fashion, clothes, published):
    explorer = Explorer(fashion, clothes[:1])
    _, photograph, seen = kept(explorer)
    assert photograph.size == seen.size == (9 * 28, 9 * 28)
    centres = np.asarray(photograph, float)[4::9, 4::9]
    assert np.abs(centres - clothes[0].pixels).max() < 30  # of 255 levels, as a JPEG
    opened(published(explorer)[1][0]["image/png"])


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (3000, 2000)])
def test_pictures_of_any_shape_fit(fashion, size, published):
    explorer = Explorer(fashion, np.zeros((*size, 3), np.uint8))
    explorer.settings = {"brightness": 0.5}
    _, photograph, seen = kept(explorer)
    assert max(*photograph.size, *seen.size) <= 256
    opened(published(explorer)[1][0]["image/png"])


def test_the_bars_are_as_long_as_the_probabilities(explorer, classifier):
    view = explorer.view
    message, _ = shown(view, classifier.class_names, ())
    pixels = np.asarray(opened(replies.still(view, message, "a name")))
    pixels = pixels[:, 2 * (replies.SIDE + replies.GAP) :].astype(int)
    blue = np.abs(pixels - (0x1B, 0x6E, 0xC2)).max(axis=-1) < 40
    rows = message["bars"]
    lengths = [int(blue[top : top + replies.ROW].any(axis=0).sum()) for top in _tops(len(rows))]
    assert lengths == pytest.approx([150 * row["value"] for row in rows], abs=2)


def _tops(count):
    return [replies.GAP + 2 * replies.ROW + place * replies.ROW for place in range(count)]


def test_a_very_long_name_does_not_break_the_picture(classifier, published):
    photo = samples.photos("imagenet")[0]
    explorer = Explorer(classifier, photo)
    explorer.add(photo.pixels, name="n" * 500 + ".jpg")
    _, (data, _) = published(explorer)
    opened(data["image/png"])
    assert "n" * 500 in told(data)


def test_names_reach_the_page_as_text_alone(fashion, clothes, published):
    explorer = Explorer(fashion, clothes[:1])
    explorer.add(clothes[0].pixels, name='"><script>alert(1).png')
    _, (data, _) = published(explorer)
    assert "<script>" not in data["text/html"]
    assert '"><script>alert(1).png' in told(data)
