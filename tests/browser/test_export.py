"""An exported page, opened from the disk without a network."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

import kit
from kit.explorer import export
from kit.explorer.settings import neutral
from kit.explorer.texts import bars
from kit.images import Photo
from tests.browser.shown import RECORD, Shown

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "color_scheme": "dark",
}
MARKUP = "<b>cat<b>"


@pytest.fixture(scope="module")
def explorer(classifier, photos, labels):
    names = [photo.name for photo in photos]
    chosen = [names.index(name) for name in ("cat.jpg", "espresso.jpg")]
    shown, truth = ([each[place] for place in chosen] for each in (photos, labels))
    tries = {"swapped": {"photo": "cat.jpg", "channels": "channels_swapped"}}
    return kit.Explorer(classifier, shown, truth, ahead=0, tries=tries)


@pytest.fixture(scope="module")
def written(explorer, tmp_path_factory):
    """The page, with fewer places, which take as long to compute as they are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "PLACES", {"brightness": 6, "noise": 4})
        patch.setattr(export, "FURTHER", 1)
        path = explorer.export(
            tmp_path_factory.mktemp("exported") / "page.html", progress=False
        )
        plain = neutral("") | {"where": -1}
        states = export.states(explorer._bench, "", [])
        yield (
            path,
            [
                {key: one[key] for key in one if one[key] != plain[key]}
                for one in states
            ],
        )


@pytest.fixture
def opened(browser):
    """Open a file as a browser without a network does."""
    contexts = []

    def goto(path, state="", **options):
        contexts.append(browser.new_context(offline=True, **options))
        page = contexts[-1].new_page()
        page.add_init_script(f"({RECORD})()")
        page.goto(f"{path.as_uri()}{state}")
        return Shown(page.locator(".kit-explorer"))

    yield goto
    for context in contexts:
        context.close()


def test_an_exported_page_shows_what_the_kernel_does_wherever_it_is_moved(
    explorer, written, opened
):
    path, states = written
    shown = opened(path)
    shown.press("More perturbations")
    draw = np.random.default_rng(1)
    offered = [
        one for one in states if not one.keys() & {"exif", "alpha", "depth"}
    ]  # hidden for these files
    for changed in draw.choice(offered, 12, replace=False):
        photo = explorer.photos[draw.integers(2)].name
        shown.press("Reset")
        for key, value in [("photo", photo), *changed.items()]:
            shown.put(key, value)
        explorer.settings = {"photo": photo, **changed}
        state, wanted = shown.state(), bars(explorer.view)
        assert (state["alert"], state["stale"]) == ("", False)
        texts = ("name", "text", "top")
        assert [[bar[key] for key in texts] for bar in state["bars"]] == [
            [bar[key] for key in texts] for bar in wanted
        ]
        values = [[bar["value"] for bar in bars] for bars in (state["bars"], wanted)]
        np.testing.assert_allclose(*values, atol=0.0005)


def test_the_address_has_the_state_and_what_was_not_computed_needs_the_notebook(
    written, opened
):
    shown = opened(written[0], "#photo=espresso.jpg&brightness=0.5&noise=50")
    assert [
        shown.control(key).input_value() for key in ("photo", "brightness", "noise")
    ] == [
        "espresso.jpg",
        "0.5",
        "50",
    ]
    shown.root.get_by_label("Noise, exact value", exact=True).fill(
        "30"
    )  # between two places
    assert shown.state()["painted"][-1]["noise"] == 25
    shown.page.wait_for_url("**#photo=espresso.jpg&brightness=0.5&noise=25")
    shown.put("channels", "channels_swapped")
    assert "open the notebook for it. Copy as Python" in shown.state()["alert"]
    shown.press("Find the flip: Noise")
    shown.root.get_by_role("button", name="Stop: Noise").wait_for(state="hidden")
    shown.put("noise", 0)
    shown.put("brightness", 1)
    assert not shown.state()["stale"]
    shown.press("Why?")
    shown.root.get_by_text("Your code passes blue, green, red").wait_for()


def test_a_state_that_is_offered_moves_and_an_address_without_one_says_so(
    written, opened
):
    shown = opened(written[0], "#photo=cat.jpg&channels=channels_swapped")
    shown.put("brightness", 0.5)
    assert shown.state()["alert"] == ""
    assert (
        "open the notebook for it"
        in opened(written[0], "#photo=cat.jpg&noise=33").state()["alert"]
    )


def test_labels_and_flips_work_from_the_table_on_a_phone(written, opened):
    shown = opened(written[0], **PHONE)
    shown.root.get_by_text("1 of 2 correct").wait_for()
    shown.root.get_by_role("button", name="✕ it is tiger cat").tap()
    shown.root.get_by_role("button", name="Yes, Egyptian cat").tap()
    shown.root.get_by_role("button", name="✓ correct").wait_for()
    shown.root.get_by_text("2 of 2 correct").wait_for()
    shown.root.get_by_role("button", name="Find the flip: Noise").tap()
    shown.root.get_by_text("becomes").wait_for()
    assert shown.root.get_by_role("button", name="Camera").count() == 0
    shown.press("Where?")
    shown.state()
    found = Axe().run(shown.page).response["violations"]
    assert [
        (each["id"], [node["html"] for node in each["nodes"]]) for each in found
    ] == []
    width = shown.page.evaluate("document.documentElement.scrollWidth")
    assert width == PHONE["viewport"]["width"]


def test_names_with_markup_stay_text(fashion, tmp_path, opened, monkeypatch):
    monkeypatch.setattr(export, "PLACES", {"brightness": 1, "noise": 1})
    monkeypatch.setattr(export, "FURTHER", 1)
    names = ["<b>same</b>"] * len(fashion.class_names)
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
    assert np.abs(shown.pixels(1) - explorer.view.seen.astype(float)).mean() < 5
    shown.root.locator(".kit-mark").first.click()
    shown.root.get_by_placeholder("Type a class").fill("boot")
    shown.page.keyboard.press("Enter")
    assert shown.state()["alert"] == "Expected one of 10 class names, received 'boot'"


def test_an_interrupted_export_leaves_what_was_there(explorer, tmp_path):
    def stop(_line):
        raise KeyboardInterrupt

    (tmp_path / "page.html").write_text("before")
    with pytest.raises(KeyboardInterrupt):
        explorer.export(tmp_path / "page.html", progress=stop)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [
        ("page.html", "before")
    ]
    for path in ("missing/page.html", "page.html/page.html", "photo.jpg"):
        with pytest.raises(
            ValueError,
            match=r"^Expected a page.html in a folder that can be written, rec",
        ):
            explorer.export(tmp_path / path)
