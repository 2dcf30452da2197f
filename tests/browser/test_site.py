"""A lesson as a page, read from the disk without a network."""

import runpy

import nbformat

import exercises
from tests.browser.shown import RECORD, Shown
from tests.project import ROOT

SOLUTIONS = ROOT / "notebooks" / "solutions"
CELL = """import kit
classifier, photos = kit.samples.classifier("fashion_mnist"), kit.samples.photos("fashion_mnist")
kit.Explorer(classifier, photos[:1])"""
ROWS, LABELS = [[0.9, 0.1]] * 4, [0, 0, 0, 1]
EXERCISE = """import exercises
answer = None
mystery = exercises.Mystery(classifier, 2)

def check(answer):
    if answer in exercises.FAULTS:
        return mystery.check(answer)
    return exercises.check_temperature([[0.9, 0.1]] * 4, [0, 0, 0, 1], answer)

print(check(answer))"""
PASSED = 'Passed: "Polarity: black and white swapped".'
# Typed into the page, and what a reader of the notebook would give.
ANSWERS = {
    "2": 2,
    " 2.0 ": 2,
    "2,0": 2,
    "'2'": 2,
    "2.15": "2.15",
    "Black and white swapped!": PASSED,
    "inverted_polarity": PASSED,
    "1.5": 1.5,
    "3": 3,
    "0": 0,
    "": None,
    "warm": "warm",
    "-1": "-1",
    "<b>2</b>": "<b>2</b>",
}
GUESS = "**Write down** what you see."
TEXT = "# Clothes\n\n**Question.** Is $x_1$ a boot?\n\n**Time.** 1 minute.\n\nNext: [again](lesson.ipynb)"


def lesson(path):
    """Write a lesson with an explorer, a guess and an exercise."""
    new = nbformat.v4
    guess = new.new_code_cell("'a boot'", metadata={"tags": ["guess"]})
    long = new.new_code_cell("1 / 0", metadata={"tags": ["guess", "stored"]})
    exercise = new.new_code_cell(EXERCISE, metadata={"tags": ["exercise"]})
    kernel = new.new_markdown_cell("Run the cell.", metadata={"tags": ["notebook"]})
    cells = [
        new.new_markdown_cell(TEXT),
        new.new_code_cell(CELL),
        new.new_markdown_cell(GUESS),
        guess,
        long,
        kernel,
        exercise,
    ]
    nbformat.write(new.new_notebook(cells=cells), path)
    long.outputs = [new.new_output("stream", text="after hours")]
    solutions = path.parent / "solutions"
    solutions.mkdir()
    nbformat.write(new.new_notebook(cells=cells), solutions / path.name)


def test_a_lesson_is_a_page_whose_explorer_moves_and_whose_links_work(
    browser, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(SOLUTIONS))
    lesson(tmp_path / "lesson.ipynb")
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
        assert not page.get_by_text("Run the cell").count()
        assert page.get_by_text("after hours").count()
        page.get_by_label("Your guess").fill("a boot")
        for typed, answer in ANSWERS.items():
            page.get_by_label("Your answer").fill(typed)
            page.get_by_role("button", name="Check").click()
            reply = exercises.check_temperature(ROWS, LABELS, answer)
            assert page.locator("output").text_content() in (reply, answer)
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
