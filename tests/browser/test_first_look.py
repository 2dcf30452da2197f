"""What a learner sees who runs ``make lab`` for the first time."""

import os
import sys

import pytest

from kit._launch import interpreter, lab_command
from tests.browser.lab import jupyter_lab

COLLAPSED = "() => jupyterapp.shell.leftCollapsed"


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """JupyterLab as ``make lab`` starts it, in an environment that is new."""
    if os.name == "nt":
        pytest.skip("the Python of this environment is stood for by a shell script")
    python = interpreter(tmp_path_factory.mktemp("environment"))
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    command = [part for part in lab_command(python, []) if "root_dir" not in part]
    with jupyter_lab(browser, command) as running:
        yield running


def test_no_question_is_asked_and_the_file_browser_is_folded_until_a_person_unfolds_it(lab):
    with lab.open(["import kit"], first=True) as notebook:
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
