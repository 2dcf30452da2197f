"""A stock JupyterLab and a headless Chromium, to test and measure widgets where people use them.

Nothing here changes timing: server, kernel and front end run with their defaults. Settings, workspaces,
runtime files and notebooks lie in one temporary folder, so that no state of the user is read or left behind.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
WIDE = {"width": 1400, "height": 1000}
START_SECONDS = 60
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}

FOLDERS = (
    "JUPYTER_RUNTIME_DIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
)
FOLDERS += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
TOKEN = "not-a-secret-on-loopback"  # noqa: S105
_CURRENT = "const panel = jupyterapp.shell.currentWidget;"
_RUN = """async (index) => {
  const panel = jupyterapp.shell.currentWidget;
  panel.content.activeCellIndex = index;
  await jupyterapp.commands.execute('notebook:run-cell');
}"""
_ASK = """async (code) => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = '';
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === 'stream' && content.name === 'stdout') text += content.text;
    if (header.msg_type === 'error') text += content.traceback.join('\\n');
  };
  const reply = await future.done;
  return [reply.content.status, text];
}"""


class JupyterLab:
    """A server, shown in a browser.

    Parameters
    ----------
    browser
        From Playwright's sync interface.
    folder
        Existing empty folder for all that the server reads and writes.
    url
        Where the server answers.
    """

    def __init__(self, browser, folder, url):
        self.browser = browser
        self.folder = folder
        self.url = url
        self._notebooks = 0

    def open(self, cells, *, wire=False):
        """Open a new notebook with these code cells; `wire` logs messages (wire.js)."""
        name = f"notebook-{self._notebooks + 1}.ipynb"
        written(self.folder / "work" / name, cells)
        return self.show(name, wire=wire)

    def show(self, name, *, wire=False):
        """Open a notebook that is in the server's folder already."""
        self._notebooks += 1
        context = self.browser.new_context(viewport=WIDE)
        if wire:
            context.add_init_script(path=Path(__file__).with_name("wire.js"))
        page = context.new_page()
        place = f"lab/workspaces/w{self._notebooks}/tree/{name}"
        return Notebook(page, f"{self.url}/{place}?token={TOKEN}", name)


def written(path, cells):
    """Write a notebook with these code cells."""
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    book.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(book, path)


class Notebook:
    """One open notebook with its kernel.

    Attributes
    ----------
    page
        The Playwright page.
    name
        Of its file.
    troubles : list of str
        Errors on the page's console and exceptions that nobody caught.
    """

    def __init__(self, page, url, name):
        self.page = page
        self.name = name
        self.troubles = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on(
            "console",
            lambda entry: entry.type == "error" and self.troubles.append(entry.text),
        )
        page.goto(url)
        self.wait()

    def wait(self):
        """Wait until the notebook is there and its kernel idle."""
        page = self.page
        page.wait_for_selector(
            ".jp-NotebookPanel .jp-Cell", timeout=1000 * START_SECONDS
        )
        page.wait_for_function(
            f"() => {{ {_CURRENT} return panel?.sessionContext?.session?.kernel?.status === 'idle' }}",
            timeout=1000 * START_SECONDS,
        )

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.close()

    def run(self, cell):
        """Run one cell and wait until the kernel has done it."""
        self.page.evaluate(_RUN, cell)

    def start(self, cell):
        """Run one cell without waiting for it."""
        self.page.evaluate(f"(index) => {{ ({_RUN})(index); }}", cell)

    def ask(self, code):
        """Run `code` in the kernel, as a cell would be, and return what it prints.

        Raises
        ------
        RuntimeError
            With the traceback, if the code raises.
        """
        status, text = self.page.evaluate(_ASK, code)
        if status != "ok":
            raise RuntimeError(text)
        return text

    def output(self, cell):
        """Return where the output of one cell is shown."""
        return (
            self.page.locator(".jp-Notebook .jp-CodeCell")
            .nth(cell)
            .locator(".jp-OutputArea-output")
        )

    def clear(self, cell):
        """Clear the output of one cell, as the menu does."""
        self.page.evaluate(
            f"(index) => {{ {_CURRENT} panel.content.activeCellIndex = index;"
            " return jupyterapp.commands.execute('notebook:clear-cell-output') }",
            cell,
        )

    def theme(self, name):
        """Switch the page to the theme 'light' or 'dark'."""
        change = (
            "(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })"
        )
        self.page.evaluate(change, THEMES[name])
        is_light = json.dumps(str(name == "light").lower())
        self.page.wait_for_selector(
            f"body[data-jp-theme-light={is_light}]", state="attached"
        )
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def close(self):
        """End the kernel and close the page."""
        self.page.evaluate(
            f"() => {{ {_CURRENT} return panel.sessionContext.shutdown() }}"
        )
        self.page.context.close()


@contextlib.contextmanager
def jupyter_lab(browser):
    """Start a server, of Notebook 7 and Voila, too; leaving ends it and removes its folder."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        _server(Path(name)) as url,
    ):
        yield JupyterLab(browser, Path(name), url)


@contextlib.contextmanager
def _server(folder):
    """Start a server on a free port and yield its address."""
    places = {name: folder / name for name in FOLDERS}
    for place in (folder / "work", *places.values()):
        place.mkdir()
    environment = os.environ | {name: str(place) for name, place in places.items()}
    path = [str(ROOT), os.environ.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    # Kernels inherit this, and with it ipykernel does not show what libraries write to the terminal.
    environment.pop("PYTEST_CURRENT_TEST", None)
    options = (
        "--no-browser",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--ServerApp.port=0",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={folder / 'work'}",
        f"--IdentityProvider.token={TOKEN}",
        # As ``make lab``: it asks on its first start whether it may fetch news, over the notebook.
        f"--LabServerApp.app_settings_dir={ROOT / 'notebooks' / '.jupyterlab' / 'settings'}",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    )
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
        ) as process,
    ):
        try:
            yield _address(folder, process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _address(folder, process):
    """Wait until the server answers and return its address."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            info = next(
                (folder / FOLDERS[0]).glob("jpserver-*.json"), folder / "not-yet"
            ).read_text()
            url = f"http://127.0.0.1:{json.loads(info)['port']}"
            with urllib.request.urlopen(f"{url}/api/status?token={TOKEN}"):  # noqa: S310 - loopback
                return url
        time.sleep(0.1)
    log = (folder / "server.log").read_text(errors="replace")[-2000:]
    raise RuntimeError(
        f"Expected JupyterLab to start within {START_SECONDS} s; its log ends in:\n{log}"
    )
