"""For pytest with nbval: notebooks that check cases report by case, and what they did is kept.

Pictures in HTML are left out of the comparison, as nbval leaves out those that stand alone. All else is off
unless ``--kit`` is given. ``--kit-artefacts FOLDER`` (kit-artefacts) gets the executed notebooks and a
picture of each case that moved; ``--kit-update`` accepts what moved, after telling it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.regression.environment import ARTEFACTS, UPDATE, clear, reports

NAME = "kit-cases"
PICTURE = r'<img [^>]*src="data:image/[^>]*>'


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("kit", "cases of kit.check_cases in notebooks")
    group.addoption("--kit", action="store_true", help="report cases that moved, and keep executed notebooks")
    group.addoption("--kit-artefacts", metavar="FOLDER", default="kit-artefacts", help="where they are kept")
    group.addoption("--kit-update", action="store_true", help="accept what moved, after telling it")


def pytest_configure(config: pytest.Config) -> None:
    """Tell the kernels, which inherit the environment."""
    if config.getoption("--kit") or config.getoption("--kit-update"):
        folder = Path(config.rootpath, config.getoption("--kit-artefacts")).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if config.getoption("dist", "no") == "load":
            # The cells of a notebook belong together; xdist would deal them out one by one.
            config.option.dist = "loadfile"
        config.pluginmanager.register(Cases(folder, update=config.getoption("--kit-update")), NAME)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave pictures out of what nbval compares."""
    patterns = getattr(item.parent, "sanitize_patterns", None)
    if patterns is not None:
        patterns.setdefault(PICTURE, "<img>")


class Cases:
    """What the plugin does while it is on.

    Parameters
    ----------
    folder
        For executed notebooks, reports and pictures.
    update
        Whether what moved is accepted.
    """

    def __init__(self, folder: Path, *, update: bool) -> None:
        self._folder, self._update = folder, update
        self._books: dict[Path, dict[int, Any]] = {}
        if "PYTEST_XDIST_WORKER" not in os.environ:
            clear(folder)

    @contextmanager
    def _told(self) -> Iterator[None]:
        before = {name: os.environ.get(name) for name in (ARTEFACTS, UPDATE)}
        os.environ[ARTEFACTS] = str(self._folder)
        if self._update:
            os.environ[UPDATE] = "1"
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Any:
        """Run all tests with the environment that kernels inherit."""
        with self._told():
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Keep what a cell of a notebook put out."""
        number, outputs = getattr(item, "cell_num", None), getattr(item, "test_outputs", None)
        if number is not None and outputs is not None:
            self._books.setdefault(Path(item.path), {})[number] = outputs

    def pytest_sessionfinish(self) -> None:
        """Write the notebooks as they came out."""
        for path, cells in self._books.items():
            book = json.loads(path.read_text(encoding="utf-8"))
            code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
            for number, outputs in cells.items():
                if number < len(code):
                    code[number]["outputs"] = json.loads(json.dumps(outputs))
            (self._folder / path.name).write_text(json.dumps(book, indent=1), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Report what moved, a line a case."""
        told = [json.loads(path.read_text(encoding="utf-8")) for path in reports(self._folder)]
        red = [case for each in told for case in each["cases"] if case["state"] in {"moved", "unusable"}]
        if not red:
            return
        terminalreporter.section("cases that moved")
        for case in red:
            terminalreporter.write_line(f"{case['name']}: {case['told']}")
        terminalreporter.write_line(f"pictures and executed notebooks: {self._folder}")
