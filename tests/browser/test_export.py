"""An exported page, opened from the disk without a network."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import kit
from kit.__main__ import main
from kit.explorer import compact, export
from kit.explorer.texts import bars
from kit.images.photo import Photo
from tests.browser.shown import RECORD, SEEN, Shown
from tests.project import ROOT

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "color_scheme": "dark",
}
MARKUP = "<b>cat<b>"
FEW = {"brightness": 0.5, "noise": 25.0}
OWN = ROOT / "data" / "photographs"


@pytest.fixture(scope="module")
def explorer(classifier, photos, labels):
    names = [photo.name for photo in photos]
    chosen = [names.index(name) for name in ("cat.jpg", "espresso.jpg")]
    shown, truth = ([each[place] for place in chosen] for each in (photos, labels))
    tries = {"swapped": {"photo": "cat.jpg", "channels": "channels_swapped"}}
    return kit.Explorer(classifier, shown, truth, ahead=0, tries=tries)


@pytest.fixture(scope="module")
def written(explorer, tmp_path_factory):
    """The page with the network."""
    lines = []
    path = explorer.export(
        tmp_path_factory.mktemp("exported") / "page.html", progress=lines.append
    )
    [line] = lines
    size = path.stat().st_size / 1e6
    assert line == f"{path}: {size:.1f} MB with the model itself"
    # Twelve photos instead of two take half a megabyte more.
    assert size < 16.4
    return path


@pytest.fixture(scope="module")
def table(explorer, tmp_path_factory):
    """A page with a table, with few places, which take as long to compute as they are many."""
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "LARGEST_NETWORK_BYTES", 0)
        patch.setattr(export, "TABLE_STEPS", FEW)
        path = explorer.export(
            tmp_path_factory.mktemp("table") / "page.html", progress=lines.append
        )
        yield path
    assert lines[-1].endswith(" since this network has more than 0 MB")


@pytest.fixture
def opened(browser):
    """Open a file as a browser without a network does; nothing is asked of any address."""
    contexts = []
    asked = []

    def goto(path, state="", **options):
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.add_init_script(f"({RECORD})()")
        page.goto(f"{path.as_uri()}{state}")
        return Shown(page.locator(".kit-explorer"))

    yield goto
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("file:", "blob:"))] == []


def add(shown, *files):
    """Give the page files of one's own, and wait until the last one is shown."""
    shown.root.locator("input[type=file]").set_input_files(files)
    shown.until("photo", files[-1].name)


def assert_as_the_kit(shown, classifier, photo, **changes):
    shown.press("Reset")
    for key, value in changes.items():
        shown.put(key, value)
    shown.until("photo", photo.name)
    shown.assert_shows(classifier, photo, **changes)


def test_a_page_predicts_photos_of_its_own_and_of_others_as_the_kit(
    classifier, explorer, written, opened
):
    shown = opened(written)
    names = ("exif.jpg", "alpha.webp", "wide.jpg")
    add(shown, *(OWN / name for name in names))
    photos = [*explorer.photos, *(kit.load_image(OWN / name) for name in names)]
    # Each step in each of its ways is in tests/page/record.py.
    changes = {"brightness": 0.7, "noise": 20, "scaling": "range_0_1"}
    for photo in photos:
        shown.put("photo", photo.name)
        shown.until("photo", photo.name)
        assert_as_the_kit(shown, classifier, photo, **changes)
    shown.put("photo", "exif.jpg")
    assert_as_the_kit(shown, classifier, photos[2], exif="exif_ignored")
    shown.put("photo", "alpha.webp")
    assert_as_the_kit(shown, classifier, photos[3], alpha="alpha_black")
    shown.put("photo", "wide.jpg")
    shown.press("Reset")
    shown.put("noise", 40)
    shown.until("noise", 40)
    shown.assert_pixels(classifier, photos[4], noise=40)


def test_a_page_finds_the_flip_says_why_and_where_and_goes_back(
    classifier, explorer, written, opened
):
    shown = opened(written)
    cat = explorer.photos[0]
    shown.press("Find the flip: Noise")
    shown.root.get_by_text("becomes").wait_for()
    flip = float(shown.control("noise").input_value())
    before, after = (
        classifier.probabilities(cat, kit.Perturbation(noise=noise))[0].argmax()
        for noise in (flip - 1, flip + 0.1)
    )
    assert before != after
    shown.put("noise", 30)
    shown.press("Why?")
    shown.root.get_by_text("Without noise 30: Egyptian cat").wait_for()
    assert shown.root.locator(".kit-beside canvas").count() == 2
    shown.assert_seen()
    shown.press("Undo noise 30")
    shown.root.get_by_role("button", name="Go back").wait_for()
    assert shown.state()["painted"][-1]["noise"] == 0
    shown.press("swapped")
    shown.assert_shows(classifier, cat, channels="channels_swapped")
    shown.press("Where?")
    shown.root.get_by_text("Yellow areas support").wait_for()
    explorer.settings = {"channels": "channels_swapped", "where": -1}
    seen = explorer.view.with_heat_map(explorer.view.input_image).astype(float)
    shown.state()
    assert np.abs(shown.pixels(1) - seen).mean() < 2
    explorer.settings = {}


def test_a_page_without_a_photo_waits_for_one_and_refuses_what_is_none(
    fashion, tmp_path, browser
):
    path = tmp_path / "page.HTML"
    network = str(ROOT / "data" / "models" / "fashion_mnist.keras")
    command = ["export", network, str(path), "--title", "Clothes", "--text", MARKUP]
    assert main(command) == 0
    assert path.stat().st_size < 6_000_000
    with browser.new_context(offline=True).new_page() as page:
        page.goto(path.as_uri())
        assert page.title() == "Clothes"
        assert page.locator("p").first.inner_text() == MARKUP
        page.get_by_text("Drop a photo here").wait_for()
        assert page.locator(".kit-explorer").evaluate(SEEN) == []
        chooser = page.locator("input[type=file]")
        chooser.set_input_files(
            {"name": "bad.png", "mimeType": "image/png", "buffer": b"nonsense"}
        )
        page.get_by_text("its 8 bytes are no image that this browser opens").wait_for()
        chooser.set_input_files(OWN / "cat.jpg")
        shown = Shown(page.locator(".kit-explorer"))
        page.evaluate(RECORD)
        shown.put("brightness", 1.5)
        shown.assert_shows(fashion, kit.samples.photo("cat.jpg"), brightness=1.5)


def test_an_exported_table_shows_what_the_kernel_does_wherever_it_is_moved(
    explorer, table, opened
):
    shown = opened(table)
    states = [
        {"brightness": 0.5, "noise": 50},
        {"brightness": 2},
        {"channels": "channels_swapped", "noise": 25},
        {"scaling": "missing_scaling"},
    ]
    for changed in states:
        shown.press("Reset")
        for key, value in changed.items():
            shown.put(key, value)
        explorer.settings = {"photo": "cat.jpg", **changed}
        state, wanted = shown.state(), bars(explorer.view)
        assert (state["alert"], state["stale"]) == ("", False)
        texts = ("name", "text", "top")
        assert [[bar[key] for key in texts] for bar in state["bars"]] == [
            [bar[key] for key in texts] for bar in wanted
        ]
    explorer.settings = {}
    assert shown.root.get_by_role("button", name="Add an image…").count() == 0


def test_before_an_audience_a_page_fills_the_window_where_the_screen_is_refused(
    written, opened
):
    shown = opened(written)
    page = shown.page
    page.evaluate("() => { delete Element.prototype.requestFullscreen }")
    root = page.locator(".kit-explorer")
    before = root.bounding_box()
    root.locator("canvas").first.click()
    page.keyboard.press("p")
    whole = page.viewport_size
    assert root.bounding_box() == {"x": 0, "y": 0, **whole}
    page.set_viewport_size(whole | {"height": 300})
    shown.assert_seen()
    page.set_viewport_size(whole)
    page.keyboard.press("Escape")
    assert root.bounding_box() == before


def test_labels_and_flips_work_on_a_phone(written, opened):
    shown = opened(written, **PHONE)
    shown.root.get_by_text("1 of 2 correct").wait_for()
    shown.assert_seen()
    shown.root.get_by_role("button", name="✕ it is tiger cat").tap()
    shown.root.get_by_role("button", name="Yes, Egyptian cat").tap()
    shown.root.get_by_role("button", name="✓ correct").wait_for()
    shown.root.get_by_text("2 of 2 correct").wait_for()
    shown.root.get_by_role("button", name="Find the flip: Noise").tap()
    shown.root.get_by_text("becomes").wait_for()
    shown.press("Where?")
    shown.state()
    shown.press("Why?")
    shown.root.get_by_role("button", name="Undo noise").wait_for()
    assert shown.root.locator(".kit-beside b:visible").count() == 2
    assert Axe().run(shown.page).response["violations"] == []
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE["viewport"]["width"]
    shown.page.emulate_media(forced_colors="active")
    shown.assert_seen()
    bar = shown.root.locator(".kit-bar").first
    assert bar.evaluate("(bar) => getComputedStyle(bar).printColorAdjust") == "exact"


@pytest.mark.parametrize("largest", [0, compact.LARGEST_NETWORK_BYTES])
def test_names_with_markup_stay_text(fashion, tmp_path, opened, monkeypatch, largest):
    monkeypatch.setattr(compact, "LARGEST_NETWORK_BYTES", largest)
    monkeypatch.setattr(export, "TABLE_STEPS", {"brightness": 1.0, "noise": 100.0})
    names = ["<b>same</b>, a name that is far too long"] * len(fashion.class_names)
    classifier = kit.Classifier.load(fashion.source.path, class_names=names)
    classifier.name = MARKUP
    red_above_green = np.repeat([[[200, 0, 0]], [[0, 90, 0]]], 8, axis=1).astype(
        np.uint8
    )
    photo = Photo.from_array(red_above_green, "<img src=x onerror=alert(1)>")
    explorer = kit.Explorer(classifier, [photo], [3])
    shown = opened(explorer.export(tmp_path / "page.html", progress=False))
    assert [bar["name"] for bar in shown.state()["bars"]] == names
    assert shown.page.locator("b, img:not([src^='blob:'])").count() == 0
    assert MARKUP in shown.page.inner_text("footer")
    np.testing.assert_array_equal(shown.pixels(1), explorer.view.input_image)
    mark = shown.root.locator(".kit-mark")
    assert mark.evaluate("(mark) => mark.scrollWidth <= mark.clientWidth"), "not cut"
    mark.click()
    shown.root.get_by_placeholder("Type a class").fill("boot")
    shown.page.keyboard.press("Enter")
    assert (
        shown.state()["alert"]
        == "Expected one of 10 classes, received 'boot'; pick one"
    )


def test_an_interrupted_export_leaves_what_was_there(explorer, tmp_path, monkeypatch):
    def stop(_line):
        raise KeyboardInterrupt

    monkeypatch.setattr(compact, "LARGEST_NETWORK_BYTES", 0)
    (tmp_path / "page.html").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        explorer.export(tmp_path / "page.html", progress=stop)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("page.html", "before")
    ]
    with pytest.raises(
        ValueError, match=r"^Expected a plain .html file to write, received"
    ):
        explorer.export(tmp_path / "photo.jpg")
    with pytest.raises(
        ValueError,
        match=r"^Expected photos, .* since this network has more than 0 MB; ",
    ):
        explorer.export(tmp_path / "page.html", [])
    # What has no folder is refused before anything is computed.
    with pytest.raises(
        OSError, match=r"^Expected to write '.*below\.html', received: "
    ):
        explorer.export(tmp_path / "page.html" / "below.html", progress=pytest.fail)
