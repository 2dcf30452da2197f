"""The explorer in other hosts than JupyterLab's own window, and on a page that no kernel stands behind."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.sign import NotebookNotary

from kit import samples
from kit.explorer.page import page_file
from tests.browser.lab import START_SECONDS, TOKEN, written
from tests.browser.shown import CELL, GONE, RECORD, Shown

LAPTOP = {"width": 1280, "height": 800}


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport=LAPTOP)
    yield context.new_page()
    context.close()


def live(page):
    """Return the explorer that a page shows, once it has its answer."""
    page.locator(".kit-explorer").wait_for(timeout=1000 * START_SECONDS)
    page.evaluate(RECORD)
    page.locator(".kit-note").wait_for(state="hidden")
    return Shown(page.locator(".kit-explorer"))


def assert_follows(shown):
    """Hold the bars of the cat against the network, wherever the slider is."""
    classifier = samples.classifier("efficientnet_lite0")
    cat = samples.photo("cat.jpg")
    for brightness in (0.3, 1.6):
        shown.put("brightness", brightness)
        shown.assert_shows(classifier, cat, brightness=brightness)


def test_notebook_7_answers_follows_the_arrow_keys_and_tells_a_lost_kernel(lab, page):
    written(lab.folder / "work" / "book.ipynb", [CELL])
    page.goto(f"{lab.url}/notebooks/book.ipynb?token={TOKEN}")
    page.wait_for_function(
        "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    )
    page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
    shown = live(page)
    assert_follows(shown)
    slider = shown.control("brightness")
    slider.focus()
    before = float(slider.input_value())
    page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) > before
    page.evaluate(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()"
    )
    page.get_by_text(GONE).wait_for(timeout=3000)


def test_what_stands_in_place_of_the_widget_shows_after_three_seconds(page):
    style = page_file("note.css")
    page.set_content(f"<style>{style}</style><p class='kit-note'>No kernel</p>")
    # Begun again, since on a busy machine three seconds may have passed.
    seen_at = """(note, time) => {
      note.style.animation = "none";
      note.getAnimations();
      note.style.animation = "";
      const [animation] = note.getAnimations();
      animation.currentTime = time;
      return getComputedStyle(note).visibility;
    }"""
    seen = [page.locator(".kit-note").evaluate(seen_at, time) for time in (2900, 3100)]
    assert seen == ["hidden", "visible"]


@pytest.mark.parametrize(
    "output", ["jp-OutputArea", "output_area", "cell-output-container"]
)
def test_beside_a_live_explorer_nothing_stands_in_its_place(page, output):
    page.set_content(
        f"<style>{page_file('explorer.css')}</style><div class='{output}'>"
        "<p class='kit-note'>No kernel</p><div class='kit-explorer'>Live</div></div>"
    )
    note, explorer = page.locator(".kit-note"), page.locator(".kit-explorer")
    assert note.is_visible()
    explorer.evaluate("(node) => (node.dataset.told = '')")
    assert not note.is_visible()


def test_voila_answers_without_a_cell_to_run(lab, page):
    written(lab.folder / "work" / "shown.ipynb", [CELL])
    page.goto(f"{lab.url}/voila/render/shown.ipynb?token={TOKEN}")
    assert_follows(live(page))


def test_a_trusted_notebook_moves_without_its_kernel_by_what_was_kept(
    lab, tmp_path, classifier, cat
):
    few = (
        "from kit.explorer import export\n"
        'export.TABLE_STEPS = {"brightness": 0.5, "noise": 50}\n'
    )
    written(
        tmp_path / "book.ipynb",
        [f"{few}{CELL.replace('kit.Explorer', 'it = kit.Explorer')}\nit", "it.keep()"],
    )
    book = nbformat.read(tmp_path / "book.ipynb", as_version=4)
    NotebookClient(book).execute()
    nbformat.write(book, lab.folder / "work" / "kept.ipynb")
    NotebookNotary(data_dir=str(lab.folder / "JUPYTER_DATA_DIR")).sign(book)
    with lab.show("kept.ipynb") as notebook:
        shown = live(notebook.page)
        shown.put("brightness", 0.5)
        shown.state()
        shown.assert_shows(classifier, cat, brightness=0.5)
        shown.put("channels", "channels_swapped")
        assert "open the notebook for it" in shown.state()["alert"]
