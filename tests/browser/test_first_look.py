"""What a learner sees who runs ``make lab`` for the first time."""

import shutil
import sys

import pytest

from tests.browser.lab import jupyter_lab
from tests.project import ROOT

COLLAPSED = "() => jupyterapp.shell.leftCollapsed"


@pytest.fixture
def new_lab(browser, tmp_path_factory):
    """JupyterLab as ``make lab`` starts it, in an environment that is new."""
    copy = shutil.copytree(ROOT / "notebooks" / ".jupyterlab", tmp_path_factory.mktemp("share") / "lab")
    folders = [f"--LabApp.app_settings_dir={copy}/settings", f"--LabApp.workspaces_dir={copy}/workspaces"]
    command = [sys.executable, "-m", "jupyterlab", *folders]
    with jupyter_lab(browser, command) as running:
        yield running


def test_no_question_is_asked_and_the_file_browser_is_folded_until_a_person_unfolds_it(new_lab):
    with new_lab.open(["import kit"], first=True) as notebook:
        page = notebook.page
        # The question comes a moment after the page.
        page.wait_for_timeout(3000)
        assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0
        assert page.evaluate(COLLAPSED)
        with page.expect_response(
            lambda answer: "/api/workspaces/" in answer.url and answer.request.method == "PUT"
        ):
            page.evaluate("() => jupyterapp.commands.execute('application:toggle-left-area')")
        page.reload()
        notebook.wait()
        assert not page.evaluate(COLLAPSED)
