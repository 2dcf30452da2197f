"""A lesson as JupyterLab opens it, before any cell has been run."""

import shutil

from axe_playwright_python.sync_playwright import Axe

from tests.project import ROOT

# What stands below each cell that has to be guessed.
SPOILERS = """async () => {
  const { content } = jupyterapp.shell.currentWidget;
  const below = [];
  for (const [index, cell] of content.widgets.entries()) {
    await content.scrollToItem(index);
    await cell.ready;
    const guess = (cell.model.getMetadata('tags') ?? []).includes('guess');
    const shown = cell.node.querySelector('.jp-Cell-outputWrapper')?.innerText.trim();
    if (guess && shown) below.push(`${cell.model.id}: ${shown}`);
  }
  return below;
}"""


def test_nothing_is_given_away_before_a_guess_and_headings_go_down_one_level_at_a_time(
    lab,
):
    # Of all lessons, this one has the most that is guessed; the files of the others are looked at elsewhere.
    name = "03_unexpected_input.ipynb"
    shutil.copy(ROOT / "notebooks" / name, lab.folder / "work")
    with lab.show(name) as notebook:
        assert notebook.page.evaluate(SPOILERS) == []
        found = Axe().run(notebook.page, options={"runOnly": ["heading-order"]})
    assert found.response["violations"] == []
