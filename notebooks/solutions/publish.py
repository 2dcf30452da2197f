"""Runs the lessons and writes them as pages whose explorers move: ``python publish.py [NAME.ipynb …]``.

The pages in ``site/`` are read from the disk or from any server, without Python and without a network. Each
explorer is a page of its own, as `kit.Explorer.export` writes it, in a frame where the lesson shows it. What
several of them have, such as a model, lies beside them once. Cells with the tag ``notebook`` are left out;
those with the tag ``stored``, which take long and which no explorer needs, show what is stored of them. An
exercise becomes a field: the lesson's own check is asked beforehand, about its solution and each other answer
that a reader may give.
"""

import json
import re
import shutil
import sys
from base64 import b64encode
from hashlib import sha256
from html import escape
from io import BytesIO
from itertools import count
from pathlib import Path

import nbformat
from derive import LESSONS, SOLUTIONS, stored
from IPython.display import HTML, display
from matplotlib import rc_context
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

import exercises
import kit
from kit._checking import letters

SITE = LESSONS.parent / "site"
TITLE = "Image classifier investigation kit"
START = "start.html"
"""The page that waits for a photo."""
SHARED = 50_000
"""Characters from which on a part of a page becomes a file of its own."""
PART = re.compile(r'<script type="text/plain">([\w+/=]+)</script>')
LINK = re.compile(r"\]\((\w+)\.ipynb\)")
GUESS = re.compile(r"write down|^\*\*\w\)?[.)]", re.IGNORECASE | re.MULTILINE)
ANSWER = re.compile(r"<details>.*?</details>(<br>)?\s*", re.DOTALL)
CHECK = re.compile(r"^print\((.*)\)$", re.MULTILINE)
NUMBERS = [*range(101), *(tenth / 10 for tenth in range(100) if tenth % 10)]
NAMES = [*exercises.FAULTS, *exercises.REMEDIES]
FORMULA = re.compile(r"\$(\$?)(.+?)\1\$")


def share(file):
    """Move the large parts of an exported page into scripts beside it, named after what they hold."""

    def moved(match):
        part = match[1]
        if len(part) < SHARED:
            return match[0]
        name = f"{sha256(part.encode()).hexdigest()[:16]}.js"
        script = f'(window.kitParts ??= {{}})["{name}"] = "{part}";'
        (file.parent / name).write_text(script, encoding="utf-8")
        block = f'<script type="text/plain" data-part="{name}"></script>'
        return f'<script src="{name}"></script>\n{block}'

    page = PART.sub(moved, file.read_text(encoding="utf-8"))
    page = page.replace("script-src 'sha256-", "script-src 'self' 'sha256-", 1)
    file.write_text(page, encoding="utf-8")


def framed(name, about):
    """Return a page of an explorer in a frame, and the link to it."""
    rights = "camera *; clipboard-write *; fullscreen *"
    frame = f'<iframe src="{name}" title="{escape(about)}" loading="lazy" allow="{rights}"></iframe>'
    return f'{frame}<p><a href="{name}">Open this explorer alone</a></p>'


def live(folder, stem):
    """Show each explorer of this kernel as a page of its own."""
    numbers = count(1)

    def show(explorer, **_options):
        name = f"{stem}-{next(numbers)}.html"
        share(explorer.export(Path(folder) / name, progress=False))
        about = ", ".join(photo.name for photo in explorer.photos)
        display(HTML(framed(name, f"Explorer: {about}")))

    kit.Explorer._ipython_display_ = show


def self_check(check, solution):
    """Show a field for an answer, with what `check` says of each, the solution among them."""
    answers = [*NUMBERS, *NAMES, *([] if solution is None else [solution])]
    names = [answer for answer in answers if isinstance(answer, str)]
    numbers = [answer for answer in answers if not isinstance(answer, str)]
    replies = {
        "numbers": {f"{answer:g}": check(answer) for answer in numbers},
        "names": {letters(answer): check(answer) for answer in names},
        "none": check(None),
        "other": check("?"),
    }
    form = """<form class="check" data-replies="{}">
    <label>Your answer <input name="answer" autocomplete="off"></label>
    <button>Check</button> <output></output></form>"""
    display(HTML(form.format(escape(json.dumps(replies)))))


def for_readers(lesson, solution):
    """Return a lesson without what needs a kernel at hand, its exercises as fields, its guesses marked."""
    for cell, solved in zip(lesson.cells, solution.cells, strict=True):
        if (
            is_stored(cell) and not cell.outputs
        ):  # a guess, of which the solution has the output
            cell.outputs = solved.outputs
        if "exercise" in cell.metadata.get("tags", []):
            call = r"publish.self_check(lambda answer: \1, answer)"
            cell.source = CHECK.sub(call, solved.source)
    lesson.cells = [
        cell for cell in lesson.cells if "notebook" not in cell.metadata.get("tags", [])
    ]
    text = ""
    for cell in lesson.cells:
        tags = cell.metadata.get("tags", [])
        if "guess" in tags and GUESS.search(text):
            tags.append("write")
        text = cell.source if cell.cell_type == "markdown" else ""
    return lesson


def is_stored(cell):
    """Whether a page shows what is stored of a cell."""
    return "stored" in cell.metadata.get("tags", [])


def run(lesson, folder, stem):
    """Run a lesson as readers get it; return it with its outputs."""
    start = f"import sys\nsys.path.append({str(SOLUTIONS)!r})\nimport publish\n"
    start += f"publish.live({str(folder)!r}, {stem!r})"
    lesson.cells.insert(0, nbformat.v4.new_code_cell(start))
    resources = {"metadata": {"path": str(LESSONS)}}
    NotebookClient(
        lesson,
        timeout=None,
        resources=resources,
        store_widget_state=False,
        coalesce_streams=True,
        skip_cells_with_tag="stored",
    ).execute()
    del lesson.cells[0]
    for cell in lesson.cells:
        if cell.cell_type == "code" and not is_stored(cell):
            cell.outputs = stored(cell.outputs, cell.execution_count)
    return lesson


def drawn(formula):
    """Return a formula as an image, since what typesets formulas in a browser is a script from elsewhere."""
    file = BytesIO()
    # As large as the text, larger on a line of its own; on no white page, which would be black in the dark.
    size = FontProperties(size=20 if formula[1] else 12)
    with rc_context({"figure.facecolor": "none"}):
        math_to_image(f"${formula[2]}$", file, size, dpi=72, format="svg")
    data = b64encode(file.getvalue()).decode()
    return f'<img class="math" alt="{escape(formula[2])}" src="data:image/svg+xml;base64,{data}">'


def page(notebook, title):
    """Return a notebook as a page, whose one script compares answers."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(drawn, LINK.sub(r"](\1.html)", cell.source))
    template = (SOLUTIONS / "page.html.j2").read_text(encoding="utf-8")
    exporter = HTMLExporter(
        raw_template=template, template_name="basic", exclude_anchor_links=True
    )
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight")
        for name in ("default", "monokai")
    )
    script = (SOLUTIONS / "check.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    resources = {
        "title": title,
        "light": light,
        "dark": dark,
        "script": script,
        "digest": digest,
    }
    written = exporter.from_notebook_node(notebook, resources)[0]
    # Long lines of code scroll, by the keyboard as well.
    return written.replace(
        '<div class="highlight"><pre>', '<div class="highlight"><pre tabindex="0">'
    )


def publish(paths, folder):
    """Write the pages of these notebooks, and an index of them, into a folder."""
    start(folder)
    rows = ["| lesson | question | time |", "|---|---|---|"]
    questions = []
    for path in paths:
        solved = path.parent / SOLUTIONS.name / path.name
        solution = nbformat.read(solved, as_version=4)
        lesson = for_readers(nbformat.read(path, as_version=4), solution)
        text = "\n\n".join(
            cell.source for cell in lesson.cells if cell.cell_type == "markdown"
        )
        title, question, time = (
            re.search(pattern, text, re.MULTILINE)[1]
            for pattern in (
                r"^# (.+)$",
                r"^\*\*Question\.\*\* (.+)$",
                r"^\*\*Time\.\*\* (.+)\.$",
            )
        )
        rows.append(f"| [{title}]({path.name}) | {question} | {time} |")
        questions += [
            cell.source.replace("## Questions", f"## {title}")
            for cell in lesson.cells
            if "questions" in cell.metadata.get("tags", [])
        ]
        run(lesson, folder, path.stem)
        write(folder, path.stem, title, lesson.cells)
    write_text(folder, "questions", "Questions", *questions)
    unanswered = [ANSWER.sub("", text) for text in questions]
    write_text(folder, "questions_to_print", "Questions", *unanswered)
    handout = (LESSONS.parent / "docs" / "handout.md").read_text(encoding="utf-8")
    write_text(folder, "handout", "In one page", handout.partition("\n")[2])
    about = (SOLUTIONS / "about.md").read_text(encoding="utf-8")
    write_text(folder, "index", TITLE, about.format(lessons="\n".join(rows)))


def write_text(folder, stem, title, *parts):
    """Write texts in Markdown as a page with this title."""
    text = "\n\n".join([f"# {title}", *parts])
    write(folder, stem, title, [nbformat.v4.new_markdown_cell(text)])


def write(folder, stem, title, cells):
    """Write cells as a page."""
    path = folder / f"{stem}.html"
    notebook = nbformat.v4.new_notebook(cells=cells)
    path.write_text(page(notebook, title), encoding="utf-8")
    print(path, flush=True)


def start(folder):
    """Write the page that waits for a photo."""
    classifier = kit.samples.classifier("efficientnet_lite0")
    explorer = kit.Explorer(classifier, kit.samples.photo("cat.jpg"))
    text = "What does the model see in your photo, and what changes its prediction?"
    share(explorer.export(folder / START, [], title=TITLE, text=text, progress=False))


def main(names):
    """Write the pages of these lessons; of all without any."""
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir()
    publish(
        sorted(LESSONS / name for name in names)
        or sorted(LESSONS.glob("[0-9]*.ipynb")),
        SITE,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
