"""The explorer in JupyterLab, worked by mouse and keyboard as people do."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter

import kit
from kit import samples
from kit.explorer.panel import CAMERA_SIDE
from kit.explorer.replies import LIVE
from kit.explorer.settings import MAIN
from kit.explorer.shelf import CAMERA
from kit.preprocessing.faults import STEPS
from tests.browser.lab import WIDE
from tests.browser.shown import RECORD, Shown

TOUCAN = Path(samples.__file__).parents[1] / "data" / "photographs" / "toucan.jpg"
PHOTOGRAPHS = ("cat.jpg", "espresso.jpg")
EXPLORER, SECOND, FASHION, LOOP, TRIES = range(5)
CELLS = [
    f"""
import os, time
import kit
os.getloadavg = lambda: [0]  # whatever other tests do meanwhile
from kit import samples
photos = [photo for photo in samples.photos("photographs") if photo.name in {PHOTOGRAPHS}]
explorer = kit.Explorer(samples.classifier("efficientnet_lite0"), [*photos, *samples.photos("special")])
explorer""",
    "explorer",
    """
pictures, labels = samples.photos("fashion_mnist")[:8], samples.labels("fashion_mnist")[:8]
kit.Explorer(samples.classifier("fashion_mnist").tempered(2.5), pictures, labels=labels)""",
    # Ends as soon as the slider gets through to the kernel.
    """
explorer.settings = {"brightness": 0.5}
end = time.monotonic() + 15
while explorer.settings["brightness"] != 2 and time.monotonic() < end:
    time.sleep(0.01)
print("the slider said", explorer.settings["brightness"])""",
    """
tries = {"noise 90": {"photo": "espresso.jpg", "noise": 90}, "swapped": {"channels": "channels_swapped"}}
kit.Explorer(samples.classifier("efficientnet_lite0"), photos, tries=tries)""",
]
DROP = """(root, [text, name, type]) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type }));
  for (const kind of ['dragover', 'drop']) {
    root.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
  }
}"""
PASTE = """(root, text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File([bytes], 'pasted.jpg', { type: 'image/jpeg' }));
  root.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def notebook(lab):
    with lab.open(CELLS) as opened:
        opened.page.evaluate(RECORD)
        yield opened


@pytest.fixture
def shown(notebook):
    """The explorer, reset and with the cat."""
    explorer = in_cell(notebook, EXPLORER)
    explorer.put("photo", "cat.jpg")
    explorer.press("Reset")
    explorer.state()
    return explorer


def in_cell(notebook, cell):
    """Return the explorer below a cell, which is run if it has not been."""
    root = notebook.output(cell).locator(".kit-explorer")
    if root.count() == 0:
        notebook.run(cell)
    return Shown(root)


@pytest.fixture(scope="module")
def named():
    return {
        photo.name: photo
        for photo in (*samples.photos("photographs"), *samples.photos("special"))
    }


def test_the_first_run_scrolls_the_whole_explorer_into_view(notebook):
    page = notebook.page
    page.set_viewport_size({"width": 1024, "height": 640})
    page.locator(".jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    root = Shown(notebook.output(EXPLORER).locator(".kit-explorer")).root
    page.wait_for_timeout(1000)
    inside, panel = (
        root.bounding_box(),
        page.locator(".jp-WindowedPanel-outer").bounding_box(),
    )
    assert inside["y"] >= panel["y"] - 1
    assert inside["y"] + inside["height"] <= panel["y"] + panel["height"] + 1
    page.set_viewport_size(WIDE)


def test_bars_follow_a_slider_and_show_where_it_was_let_go(shown, classifier, named):
    shown.drag("brightness", [0.9, 0.1, 0.6])
    reached = float(shown.control("brightness").input_value())
    assert reached == pytest.approx(1.8, abs=0.1)
    shown.assert_shows(classifier, named["cat.jpg"], brightness=reached)


def test_answers_known_ahead_are_what_the_classifier_predicts(
    notebook, shown, classifier, named
):
    shown.control("brightness").hover()
    for tenths in range(1, 30):
        shown.page.wait_for_timeout(200)
        place = tenths / 10
        shown.put("brightness", place)
        shown.assert_shows(classifier, named["cat.jpg"], brightness=place)
        if shown.root.evaluate("(root) => root.ahead"):
            break
    else:
        pytest.fail("nothing was known ahead")
    shown.assert_pixels(classifier, named["cat.jpg"], brightness=place)
    assert notebook.ask("print(explorer.settings['brightness'])") == f"{place}\n"


def test_a_map_over_the_model_input_shows_where_a_class_is_seen(notebook, shown):
    plain = shown.pixels(1)
    shown.press("Where?")
    shown.control("brightness").hover()
    row = shown.root.locator(".kit-bars tbody tr").nth(1)
    name = row.locator("th").inner_text().removeprefix("✓ ")
    choice = shown.root.get_by_label("Class of the map")
    choose = lambda: choice.select_option(name)
    expected = "import json; print(json.dumps(explorer.view.heat.overlay.tolist()))"
    for act in (lambda: None, lambda: shown.put("brightness", 0.85), choose):
        act()
        shown.page.wait_for_timeout(
            500
        )  # what is near the hand is known ahead by then, map and all
        shown.state()
        overlay = np.array(json.loads(notebook.ask(expected)))
        assert np.abs(shown.pixels(1) - overlay).max() <= 10  # enlarged by the browser
        assert np.abs(shown.pixels(1) - plain).max() > 50
    assert notebook.ask("print(explorer.view.heat.class_name)") == f"{name}\n"
    for leave in (
        lambda: shown.press("Reset"),
        lambda: shown.put("photo", "espresso.jpg"),
    ):
        assert shown.state()["painted"][-1]["where"] >= 0
        leave()
        assert shown.state()["painted"][-1]["where"] == -1
        choice.select_option(index=2)
    shown.press("Where?")
    shown.put("photo", "cat.jpg")
    shown.state()
    np.testing.assert_array_equal(shown.pixels(1), plain)


def test_other_perturbations_come_from_the_kernel(shown, classifier, named):
    shown.root.get_by_text("More perturbations").click()
    for key, value in {"jpeg_quality": 5, "flip_horizontal": True}.items():
        shown.put("noise", 20)
        shown.put(key, value)
        shown.assert_shows(classifier, named["cat.jpg"], noise=20, **{key: value})
        # Reduced to the screen: the photo has 451 columns.
        shown.page.wait_for_function(
            "() => document.querySelector('.kit-pictures canvas').width < 300"
        )
        shown.press("Reset")
    shown.root.get_by_text("More perturbations").click()


SLOW_FRAMES = """() => {
  window.quickFrames = window.requestAnimationFrame;
  window.requestAnimationFrame = (paint) => setTimeout(() => window.quickFrames(paint), 300);
}"""


def test_pictures_come_by_button_drop_and_paste_are_pinned_and_taken_away(
    notebook, shown, classifier
):
    content = TOUCAN.read_bytes()
    text = base64.b64encode(content).decode()
    # A name is text, whatever it looks like.
    dropped = "<img src=x onerror=alert(1)>.jpg"
    file = {"name": "button.jpg", "mimeType": "image/jpeg", "buffer": content}
    shown.put("brightness", 1.3)
    shown.state()
    for name, add in (
        (
            "button.jpg",
            lambda: shown.root.locator("input[type=file]").set_input_files(file),
        ),
        (dropped, lambda: shown.root.evaluate(DROP, [text, dropped, "image/jpeg"])),
        ("pasted.jpg", lambda: shown.root.evaluate(PASTE, text)),
    ):
        add()
        shown.until("photo", name)
        shown.assert_shows(
            classifier, kit.load_image(content, name=name), brightness=1.3
        )
    shown.press("Label it")
    # A hand may be quicker than a frame.
    shown.page.evaluate(SLOW_FRAMES)
    shown.root.get_by_label("Class of this image").fill("toucan")
    shown.page.keyboard.press("Enter")
    shown.root.get_by_text("More", exact=True).focus()
    for key in ("Enter", "Tab", "Tab", "Enter"):  # to the second item of the menu, Pin
        shown.page.keyboard.press(key)
    shown.root.locator(".kit-done").get_by_text("expected toucan").wait_for()
    shown.page.evaluate("() => { window.requestAnimationFrame = window.quickFrames }")
    asked = "print(kit.check_cases('cases', explorer.classifier, progress=False).holds)"
    assert notebook.ask(asked) == "True\n"
    for added in (dropped, "button.jpg", "pasted.jpg"):
        shown.press(f"Remove {added}")
        shown.root.get_by_role("radio", name=added, exact=True).wait_for(
            state="detached"
        )
    assert shown.control("photo").input_value() == "cat.jpg"


STREAMS = """() => {
  window.streams = [];
  window.openCamera ??= navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (window.refused) throw new DOMException('Permission denied', 'NotAllowedError');
    const stream = await window.openCamera(wanted);
    window.streams.push(stream);
    return stream;
  };
}"""
LIGHTS = "() => window.streams.flatMap((stream) => stream.getTracks()).map((track) => track.readyState)"


def test_a_camera_is_a_photo_that_moves_and_its_refusal_is_told(
    notebook, shown, classifier, named
):
    notebook.page.evaluate(STREAMS)
    shown.press("Camera")
    shown.page.wait_for_function(
        "([root, name]) => (root.painted ?? []).filter((settings) => settings.photo === name).length >= 5",
        arg=[shown.root.element_handle(), CAMERA],
    )
    assert shown.page.evaluate(LIGHTS) == ["live"]
    # Settings go along with the frames.
    shown.put("brightness", 0.4)
    shown.until("brightness", 0.4)
    assert int(notebook.ask("print(max(explorer.photo.size))")) == CAMERA_SIDE
    shown.put("brightness", 1)
    shown.put("photo", "cat.jpg")
    assert shown.page.evaluate(LIGHTS) == ["ended"]
    shown.assert_shows(classifier, named["cat.jpg"])
    shown.page.evaluate("() => { window.refused = true }")
    shown.press("Camera")
    shown.root.get_by_role("alert").get_by_text(
        "No camera (Permission denied). Allow it in the browser, or choose a photo."
    ).wait_for()
    assert shown.control("photo").input_value() == "cat.jpg"
    shown.page.evaluate("() => { window.refused = false }")


COMMANDS = """() => {
  window.commands = [];
  jupyterapp.commands.commandExecuted.connect((_, { id }) => window.commands.push(id));
}"""


def test_keys_move_a_slider_and_not_the_notebook_but_ctrl_s_saves_it(
    shown, classifier, named
):
    cells = shown.page.locator(".jp-Notebook .jp-Cell")
    count = cells.count()
    shown.control("brightness").focus()
    for key in ["ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"]:
        shown.page.keyboard.press(key)
    shown.assert_shows(classifier, named["cat.jpg"], brightness=1.1)
    assert shown.control("brightness").get_attribute("aria-valuetext").startswith("1.1")
    for key in ["a", "b", "d", "d", "x", "y", "m", "Shift+M", "0"]:
        shown.page.keyboard.press(key)
    assert cells.count() == count
    assert shown.control("brightness").evaluate(
        "(slider) => slider === document.activeElement"
    )
    shown.root.get_by_role("textbox", name="Brightness, exact value").fill("0,4")
    shown.page.keyboard.press("Enter")
    shown.assert_shows(classifier, named["cat.jpg"], brightness=0.4)
    shown.page.evaluate(COMMANDS)
    shown.page.keyboard.press("Control+z")
    shown.control("brightness").focus()
    shown.page.keyboard.press("Control+s")
    shown.page.wait_for_function("window.commands.includes('docmanager:save')")
    assert not shown.page.evaluate("window.commands.some((id) => id.includes('undo'))")


def test_tab_reaches_every_control_with_a_visible_focus(shown):
    if shown.root.locator(".kit-all").count():
        shown.press("Other steps")
    shown.control("photo").focus()
    focused = """() => {
      const element = document.activeElement;
      const name = element.dataset.key ?? element.ariaLabel ?? element.textContent;
      return [name, !!element.closest('.kit-explorer')];
    }"""
    visited = []
    for _ in range(60):
        shown.page.keyboard.press("Tab")
        name, inside = shown.page.evaluate(focused)
        if not inside:
            break
        shown.assert_seen()
        visited.append(name)
    assert [name for name in visited if name in (*MAIN, *STEPS)] == [
        *MAIN,
        "filter",
        "fit",
        "scaling",
    ], "those that do something here; the others are behind the last button"
    assert {"More perturbations", "Why?", "Other steps"} <= set(visited)
    shown.press("Other steps")
    chips = [shown.root.locator(f"[data-chip={step}]") for step in STEPS]
    assert len({chip.bounding_box()["y"] for chip in chips}) > 1, "not in one row"
    shown.press("Other steps")


def test_sliders_stay_live_while_a_cell_runs_even_after_it_has_assigned_settings(
    notebook, shown, classifier, named
):
    notebook.start(LOOP)
    shown.page.wait_for_function(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
    )
    shown.until("brightness", 0.5)
    for value in (1.2, 1.6, 2):
        shown.put("brightness", value)
        shown.assert_shows(classifier, named["cat.jpg"], brightness=value)
    notebook.output(LOOP).get_by_text("the slider said 2").wait_for()


def test_two_views_show_the_same_and_one_can_go_with_its_camera(
    notebook, shown, classifier, named
):
    notebook.page.evaluate(STREAMS)
    second = in_cell(notebook, SECOND)
    second.put("brightness", 0.7)
    second.assert_shows(classifier, named["cat.jpg"], brightness=0.7)
    shown.assert_shows(classifier, named["cat.jpg"], brightness=0.7)
    assert shown.control("brightness").input_value() == "0.7"
    np.testing.assert_array_equal(shown.pixels(0), second.pixels(0))
    second.press("Camera")
    second.until("photo", CAMERA)
    gone = second.root.element_handle()
    notebook.clear(SECOND)
    second.root.wait_for(state="detached")
    assert shown.page.evaluate(LIGHTS) == ["ended"]
    painted = gone.evaluate("(root) => root.painted.length")
    shown.put("photo", "cat.jpg")
    shown.put("noise", 25)
    shown.assert_shows(classifier, named["cat.jpg"], brightness=0.7, noise=25)
    assert gone.evaluate("(root) => root.painted.length") == painted, (
        "a view that is gone still listens"
    )


LONGER = """(row) => {
  const heights = [row.offsetHeight];
  const name = document.createTextNode('long name '.repeat(99));
  row.prepend(name);
  heights.push(row.offsetHeight);
  name.remove();
  return heights;
}"""
ARROWS = """(root) => {
  const chips = [...root.querySelectorAll('.kit-chip + .kit-chip')];
  const left = (chip) => parseFloat(getComputedStyle(chip, '::after').left);
  return chips.every(({ previousElementSibling: chip }) => left(chip) > chip.clientWidth - 1);
}"""
PLACES = """(root) => {
  const { left, top } = root.getBoundingClientRect();
  const wanted = '.kit-pictures canvas, .kit-main input, .kit-bars, .kit-path, .kit-why';
  return [...root.querySelectorAll(wanted)].map((part) => {
    const box = part.getBoundingClientRect();
    return [box.left - left, box.top - top, box.width].map(Math.round);
  });
}"""
WHOLE = """(root) => {
  const panel = root.closest('.jp-WindowedPanel-outer, .jp-Notebook').getBoundingClientRect();
  const wanted = '.kit-headline, .kit-beside canvas, .kit-apply, .kit-bars tbody tr, .kit-main [type=range]';
  return [...root.querySelectorAll(wanted)].map((part) => {
    const { left, top, right, bottom } = part.getBoundingClientRect();
    const inside = top >= panel.top - 1 && bottom <= panel.bottom + 1 && right <= innerWidth;
    return inside && part.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
  });
}"""


def test_why_answers_below_what_must_not_move_and_its_fix_can_be_undone(
    shown, classifier, named
):
    shown.page.set_viewport_size({"width": 1024, "height": 640})
    shown.root.evaluate("(root) => root.scrollIntoView({ block: 'start' })")
    places = shown.root.evaluate(PLACES)
    shown.put("scaling", "missing_scaling")
    shown.state()
    why = shown.root.get_by_role("button", name="Why?")
    why.focus()
    shown.page.keyboard.press("Enter")
    sentence = (
        "Your code scales pixels to 0..255; this model was trained on about −1..1: lite"
    )
    shown.root.locator(".kit-headline").get_by_text(sentence).wait_for()
    shown.root.get_by_text("How sure").wait_for()
    assert why.evaluate("(button) => button === document.activeElement")
    whole = shown.root.evaluate(WHOLE)
    assert len(whole) == 1 + 2 + 1 + 8 + 2
    assert all(whole)
    guilty = shown.root.locator(".kit-guilty")
    assert guilty.evaluate_all("(chips) => chips.map((chip) => chip.dataset.chip)") == [
        "scaling"
    ]
    shown.press("Where?")
    shown.state()
    outdated = shown.root.get_by_text("Ask again")
    assert outdated.count() == 0, "a map is a way of looking"
    shown.press("Fix it")
    shown.assert_shows(classifier, named["cat.jpg"], where=-1)
    shown.root.get_by_text("Now Egyptian cat, ").wait_for()
    assert shown.root.locator(".kit-fixed").count() == 1
    assert shown.root.evaluate(PLACES) == places
    shown.press("Go back")
    shown.press("Where?")
    shown.assert_shows(classifier, named["cat.jpg"], scaling="missing_scaling")
    shown.press("Close")
    assert shown.root.locator(".kit-because").is_hidden()
    assert why.evaluate("(button) => button === document.activeElement")
    shown.press("More perturbations")
    assert shown.root.evaluate(PLACES) == places
    shown.press("More perturbations")
    shown.page.set_viewport_size(WIDE)


LAYOUT = """(root) => {
  const box = (node) => {
    const { top, bottom, width, height } = node.getBoundingClientRect();
    return { top, bottom, width, height };
  };
  const find = (wanted) => [...root.querySelectorAll(wanted)].map(box);
  return {
    root: box(root), canvas: find('canvas'), bars: find('.kit-bars tbody tr'),
    sliders: find('[data-key=brightness], [data-key=noise]'), name: find('.kit-name'),
  };
}"""


@pytest.mark.parametrize("cell", [FASHION, TRIES])
def test_all_that_moves_together_is_on_one_screen(notebook, shown, cell):
    root, page = in_cell(notebook, cell).root, shown.page
    page.set_viewport_size({"width": 1024, "height": 640})  # 1280 x 800 at 125 %
    page.evaluate("() => jupyterapp.commands.execute('filebrowser:activate')")
    in_cell(notebook, cell).press("Where?")
    root.locator(".kit-where").get_by_text("They do not say why").wait_for()
    for _ in range(2):  # the cells above may change height while they come into view
        page.wait_for_timeout(300)
        root.evaluate("(root) => root.scrollIntoView({ block: 'center' })")
    found = root.evaluate(LAYOUT)
    assert found["root"]["height"] <= 520
    view = page.locator(".jp-WindowedPanel-outer, .jp-Notebook").first.bounding_box()
    low, high = view["y"], view["y"] + view["height"]
    parts = [*found["canvas"][:2], *found["bars"], *found["sliders"], *found["name"]]
    assert len(found["bars"]) == {FASHION: 10, TRIES: 8}[cell]
    assert all(
        low - 1 <= part["top"] and part["bottom"] <= high + 1 for part in parts
    ), (view, found)
    assert all(part["width"] >= 180 for part in found["sliders"])
    assert root.evaluate(ARROWS), "an arrow stands behind each step but the last"
    assert root.get_by_role("columnheader", name="Calibrated").is_visible() == (
        cell == FASHION
    )
    in_cell(notebook, cell).assert_seen()
    in_cell(notebook, cell).press("Where?")
    page.set_viewport_size(WIDE)


def test_a_window_at_200_percent_stacks_without_overflowing(shown):
    shown.page.set_viewport_size({"width": 640, "height": 900})
    shown.page.wait_for_timeout(300)
    pictures, bars = (
        shown.root.locator(each).bounding_box()
        for each in (".kit-pictures", ".kit-bars")
    )
    assert pictures["y"] + pictures["height"] <= bars["y"]
    before, after = shown.root.locator(".kit-verdict div").first.evaluate(LONGER)
    assert before == after, "a long name takes no second line"
    shown.assert_seen()
    shown.page.set_viewport_size(WIDE)


def test_before_an_audience_it_fills_the_screen_and_goes_on_with_one_key(
    notebook, shown, classifier, named
):
    tried, page = in_cell(notebook, TRIES), shown.page
    tried.press("noise 90")
    tried.state()
    places = tried.root.evaluate(PLACES)
    tried.root.get_by_text("More", exact=True).click()
    tried.press("Present (P)")
    page.wait_for_function("() => document.fullscreenElement")
    assert tried.root.bounding_box() == {"x": 0, "y": 0, **WIDE}
    letters = tried.root.locator(".kit-name").bounding_box()["height"]
    assert letters >= 1.5 * 22 * 1.15, "less than half as large again"
    tried.assert_seen()
    page.keyboard.press("PageDown")
    tried.assert_shows(classifier, named["cat.jpg"], channels="channels_swapped")
    page.keyboard.press("PageUp")
    tried.assert_shows(classifier, named["espresso.jpg"], noise=90)
    tried.root.get_by_role("textbox", name="Noise, exact value").press("p")
    assert page.evaluate("() => !!document.fullscreenElement"), "a letter was typed"
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.fullscreenElement")
    assert tried.root.evaluate(PLACES) == places


def test_the_untouched_state_is_seen_while_a_button_is_held(shown, classifier, named):
    shown.put("noise", 60)
    shown.assert_shows(classifier, named["cat.jpg"], noise=60)
    button = shown.root.get_by_role("button", name="Original photo")
    button.focus()
    for held, let_go in (
        (lambda: shown.page.keyboard.down(" "), lambda: shown.page.keyboard.up(" ")),
        (lambda: button.hover() or shown.page.mouse.down(), shown.page.mouse.up),
    ):
        held()
        shown.assert_shows(classifier, named["cat.jpg"])
        let_go()
        shown.assert_shows(classifier, named["cat.jpg"], noise=60)


def test_nothing_hinders_assistive_technology(notebook, shown):
    def violations():
        """Of both themes, which are left as they were."""
        found = []
        for theme in ("dark", "light"):
            notebook.theme(theme)
            shown.assert_seen()
            found += (
                Axe().run(shown.page, context=".kit-explorer").response["violations"]
            )
        return found

    shown.put("noise", 40)
    shown.put("channels", "channels_swapped")
    shown.state()
    shown.press("Why?")
    shown.root.get_by_text("How sure").wait_for()
    for details in shown.root.locator("details").all():
        details.evaluate("(details) => { details.open = true }")
    shown.root.get_by_role("button", name="Label it").click()
    shown.root.get_by_text("More", exact=True).click()
    assert violations() == []
    for _ in range(2):  # the menu, and what the image shows
        shown.page.keyboard.press("Escape")
    shown.root.locator(".kit-apply").click()
    shown.root.get_by_role("button", name="Go back").wait_for()
    shown.press("More perturbations")
    assert violations() == []
    shown.press("More perturbations")


def test_a_saved_notebook_shows_where_it_was_left_opened_again_or_exported_in_simple_mode_too(
    lab, notebook, shown, classifier, named, tmp_path
):
    shown.page.evaluate("() => jupyterapp.commands.execute('application:toggle-mode')")
    shown.put("photo", "espresso.jpg")
    shown.put("brightness", 0.55)
    shown.assert_shows(classifier, named["espresso.jpg"], brightness=0.55)
    shown.page.wait_for_timeout(1500)  # a hand that rests for a second
    shown.page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    html, _ = HTMLExporter().from_filename(lab.folder / "work" / notebook.name)
    (tmp_path / "book.html").write_text(html, encoding="utf-8")
    notebook.page.reload()
    notebook.wait()
    notebook.page.evaluate(RECORD)
    shown.root.locator(".kit-bars tbody tr").first.wait_for()
    shown.put("noise", 8)
    shown.assert_shows(classifier, named["espresso.jpg"], brightness=0.55, noise=8)
    # Without a network.
    with lab.browser.new_context(offline=True).new_page() as page:
        page.goto((tmp_path / "book.html").as_uri())
        note = page.locator(".kit-note").first
        note.get_by_text("efficientnet_lite0: espresso.jpg, brightness 0.55").wait_for()
        image = note.get_by_alt_text("Model input")
        assert image.evaluate("(image) => image.complete && image.naturalWidth") == 200
        assert note.get_by_text(LIVE).is_visible()


def test_the_console_stayed_clean(notebook):
    assert notebook.troubles == []
