"""Every lesson as JupyterLab opens it, before any cell has been run."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.project import ROOT

# What stands below each cell that has to be guessed, or in the place of an output that is collapsed.
SPOILERS = """async () => {
  const { content } = jupyterapp.shell.currentWidget;
  const below = [];
  for (const [index, cell] of content.widgets.entries()) {
    await content.scrollToItem(index);
    await cell.ready;
    const guess = (cell.model.getMetadata('tags') ?? []).includes('guess');
    const shown = cell.node.querySelector('.jp-Cell-outputWrapper')?.innerText.trim();
    if ((guess && shown) || cell.outputHidden) below.push(`${cell.model.id}: ${shown}`);
  }
  return below;
}"""


LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_nothing_is_given_away_before_a_guess_and_headings_go_down_one_level_at_a_time(
    path, lab
):
    shutil.copy(path, lab.folder / "work")
    with lab.show(path.name) as notebook:
        assert notebook.page.evaluate(SPOILERS) == []
        found = Axe().run(notebook.page, options={"runOnly": ["heading-order"]})
    assert found.response["violations"] == []
