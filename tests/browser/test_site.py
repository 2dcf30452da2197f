"""A lesson as a page, read from the disk without a network."""

import runpy

import nbformat

from tests.browser.shown import RECORD, Shown
from tests.project import ROOT

SOLUTIONS = ROOT / "notebooks" / "solutions"
CELL = """import kit
classifier, photos = kit.samples.classifier("fashion_mnist"), kit.samples.photos("fashion_mnist")
kit.Explorer(classifier, photos[:1])"""
TEXT = "# Clothes\n\n**Question.** Is $x_1$ a boot?\n\n**Time.** 1 minute.\n\nNext: [again](lesson.ipynb)"


def test_a_lesson_is_a_page_whose_explorer_moves_and_whose_links_work(
    browser, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(SOLUTIONS))
    cells = [nbformat.v4.new_markdown_cell(TEXT), nbformat.v4.new_code_cell(CELL)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "lesson.ipynb")
    runpy.run_path(str(SOLUTIONS / "publish.py"))["publish"](
        [tmp_path / "lesson.ipynb"], tmp_path
    )
    with browser.new_context(offline=True).new_page() as page:
        page.add_init_script(f"({RECORD})()")
        page.goto((tmp_path / "index.html").as_uri())
        page.get_by_role("link", name="Clothes").click()
        links = page.locator("a").evaluate_all(
            "(links) => links.map((link) => link.getAttribute('href'))"
        )
        assert {*links} == {"index.html", "lesson.html", "lesson-1.html"}
        assert all((tmp_path / link).exists() for link in links)
        assert (
            page.get_by_role("img", name="x_1", exact=True).evaluate(
                "(image) => image.naturalWidth"
            )
            > 0
        )
        shown = Shown(
            page.frame_locator("iframe[title^='Explorer: ']").locator(".kit-explorer")
        )
        shown.put("brightness", 0)
        assert shown.state()["painted"][-1]["brightness"] == 0
        page.goto((tmp_path / "start.html").as_uri())
        photo = ROOT / "data" / "photographs" / "cat.jpg"
        page.locator("input[type=file]").set_input_files(photo)
        state = Shown(page.locator(".kit-explorer")).state()
        assert state["verdict"].startswith("Egyptian cat 40.")
