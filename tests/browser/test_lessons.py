"""Every lesson as JupyterLab opens it, before any cell has been run."""

import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.project import ROOT

LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# Takes the place of the notebook before; without a kernel, since nothing is run.
SHOW = """async (path) => {
  const before = jupyterapp.shell.currentWidget;
  const kernelPreference = { shouldStart: false };
  const panel = await jupyterapp.commands.execute('docmanager:open', { path, kernelPreference });
  await panel.revealed;
  before.dispose();
}"""
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


@pytest.fixture(scope="module")
def page(lab):
    with lab.open([""]) as notebook:
        yield notebook.page


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_nothing_is_given_away_before_a_guess_and_headings_go_down_one_level_at_a_time(
    path, lab, page
):
    shutil.copy(path, lab.folder / "work")
    page.evaluate(SHOW, path.name)
    assert page.locator(".jp-NotebookPanel").count() == 1
    assert page.evaluate(SPOILERS) == []
    found = Axe().run(page, options={"runOnly": ["heading-order"]})
    assert found.response["violations"] == []
