"""What the explorer says when its kernel does not answer, in JupyterLab."""

import os
import signal

import pytest

from tests.browser.shown import CELL, GONE, RECORD, Shown

# As if the page had waited; tests/page has how long it waits.
LATER = """() => {
  performance.now = () => Performance.prototype.now.call(performance) + 10_000;
}"""
KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"


@pytest.fixture(scope="module")
def notebook(lab):
    with lab.open([CELL]) as opened:
        opened.page.evaluate(RECORD)
        yield opened


@pytest.fixture
def shown(notebook):
    """An explorer that a kernel stands behind, and that is as it was made."""
    root = notebook.output(0).locator(".kit-explorer")
    if root.count() == 0 or root.locator(".kit-lost[role=alert]").is_visible():
        notebook.wait()
        notebook.run(0)
    explorer = Shown(notebook.output(0).locator(".kit-explorer"))
    explorer.press("Reset")
    explorer.state()
    return explorer


def banner(shown):
    return shown.root.locator(".kit-lost[role=alert]")


def assert_lost(shown, text):
    banner(shown).get_by_text(text).wait_for(timeout=15_000)
    assert shown.root.locator("[inert] .kit-bars").count() == 1
    shown.assert_seen()


def test_a_connection_that_breaks_comes_back_by_itself(
    notebook, shown, classifier, cat
):
    notebook.page.evaluate(f"() => {{ {KERNEL}._ws.close(); }}")
    shown.page.wait_for_function(
        f"() => {KERNEL}.connectionStatus === 'connected'", timeout=30_000
    )
    banner(shown).wait_for(state="hidden", timeout=30_000)
    shown.put("brightness", 0.5)
    shown.assert_shows(classifier, cat, brightness=0.5)


def test_a_kernel_that_is_silent_is_told_and_found_again(
    notebook, shown, classifier, cat
):
    # Stopped as a whole, so that no thread of it answers either.
    pid = int(notebook.ask("import os; print(os.getpid())"))
    os.kill(pid, signal.SIGSTOP)
    try:
        shown.put("brightness", 1.5)
        shown.page.evaluate(LATER)
        shown.put("brightness", 1.6)
        assert_lost(shown, "No answer for 10 seconds.")
    finally:
        os.kill(pid, signal.SIGCONT)
    banner(shown).wait_for(state="hidden", timeout=30_000)
    shown.put("brightness", 0.5)
    shown.assert_shows(classifier, cat, brightness=0.5)


def test_a_restart_is_told_at_once_and_nothing_comes_from_the_cache(
    notebook, shown, classifier, cat
):
    shown.control("brightness").hover()
    shown.page.wait_for_timeout(1500)  # answers ahead are there
    shown.press("Why?")
    notebook.page.evaluate(f"() => {KERNEL}.restart()")
    assert_lost(shown, GONE)
    painted = shown.root.evaluate("(root) => root.painted.length")
    # Even what a script does to a control that a hand cannot reach.
    shown.control("brightness").evaluate(
        "(slider) => { slider.value = 1.5; slider.dispatchEvent(new Event('input', { bubbles: true })); }"
    )
    shown.page.wait_for_timeout(300)
    assert shown.root.evaluate("(root) => root.painted.length") == painted
    assert "Ended" in shown.root.locator(".kit-asking").inner_text()
    notebook.wait()
    notebook.run(0)
    again = Shown(notebook.output(0).locator(".kit-explorer"))
    assert banner(again).is_hidden()
    again.put("noise", 20)
    again.assert_shows(classifier, cat, noise=20)


def test_a_kernel_that_dies_is_told(notebook, shown):
    notebook.page.evaluate(
        f"() => {{ {KERNEL}.requestExecute({{ code: 'import os; os._exit(1)' }}) }}"
    )
    assert_lost(shown, GONE)
