"""Runs the lessons and writes them as pages whose explorers move: ``python publish.py [NAME.ipynb …]``.

The pages in ``site/`` are read from the disk or from any server, without Python and without a network. Each
explorer is a page of its own, as `kit.Explorer.export` writes it, in a frame where the lesson shows it. What
several of them have, such as a model, lies beside them once.
"""

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
from matplotlib.mathtext import math_to_image
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

import kit

SITE = LESSONS.parent / "site"
TITLE = "Image classifier investigation kit"
START = "start.html"
"""The page that waits for a photo."""
SHARED = 50_000
"""Characters from which on a part of a page becomes a file of its own."""
PART = re.compile(r'<script type="text/plain">([\w+/=]+)</script>')
LINK = re.compile(r"\]\((\w+)\.ipynb\)")
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
    rights = "camera *; clipboard-write *"
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
    ).execute()
    del lesson.cells[0]
    for cell in lesson.cells:
        if cell.cell_type == "code":
            cell.outputs = stored(cell.outputs, cell.execution_count)
    return lesson


def drawn(formula):
    """Return a formula as an image, since what typesets formulas in a browser is a script from elsewhere."""
    file = BytesIO()
    math_to_image(f"${formula[2]}$", file, dpi=72, format="svg")
    data = b64encode(file.getvalue()).decode()
    return f'<img class="math" alt="{escape(formula[2])}" src="data:image/svg+xml;base64,{data}">'


def page(notebook, title):
    """Return a notebook as a page without scripts."""
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
    return exporter.from_notebook_node(
        notebook, {"title": title, "light": light, "dark": dark}
    )[0]


def publish(paths, folder):
    """Write the pages of these notebooks, and an index of them, into a folder."""
    start(folder)
    rows = ["| lesson | question | time |", "|---|---|---|"]
    for path in paths:
        lesson = nbformat.read(path, as_version=4)
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
        run(lesson, folder, path.stem)
        (folder / f"{path.stem}.html").write_text(page(lesson, title), encoding="utf-8")
        print(folder / f"{path.stem}.html", flush=True)
    about = "The lessons as they ran. The explorers move; to run and change the code, open the notebooks."
    photo = (
        f"Have a photo? [Drop it on the model]({START}); it does not leave your device."
    )
    text = "\n".join([f"# {TITLE}", "", photo, "", about, "", *rows])
    cells = [nbformat.v4.new_markdown_cell(text)]
    (folder / "index.html").write_text(
        page(nbformat.v4.new_notebook(cells=cells), TITLE), encoding="utf-8"
    )


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
        sorted(LESSONS / name for name in names) or sorted(LESSONS.glob("0*.ipynb")),
        SITE,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
