"""What README and docs/ say can be typed as it stands, and their links lead somewhere."""

import re
import shlex
import shutil

import matplotlib as mpl
import pytest

from kit import robustness
from kit.__main__ import _ARGUMENTS, _COMMANDS, _parser
from kit.images.opening import FORMATS
from kit.preprocessing.configs import _READERS
from kit.preprocessing.scaling import SCALINGS
from tests.project import ROOT, tracked

PAGES = [ROOT / path for path in tracked() if re.fullmatch(r"(docs/)?\w+\.md", path)]
PHOTOGRAPHS = ROOT / "data" / "photographs"


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```$",
        page.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    mpl.use("agg")
    shutil.copy(ROOT / "data" / "models" / "efficientnet_lite0.keras", "my_model.keras")
    shutil.copy(PHOTOGRAPHS / "panda.jpg", "photo.jpg")
    for name, photo in {"photos": "cat.jpg", "camera": "ibex.jpg"}.items():
        (tmp_path / name).mkdir()
        shutil.copy(PHOTOGRAPHS / photo, name)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python")],
    ids=lambda page: page.stem,
)
def test_the_python_of_a_page_runs_from_top_to_bottom(page):
    names = {}
    for source in blocks(page, "python"):
        exec(compile(source, page.name, "exec"), names)  # noqa: S102 (our own)


def test_the_commands_of_a_page_are_there():
    lines = [
        line
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
    ]
    targets = re.search(
        r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )[1].split()
    commands = [shlex.split(line, comments=True) for line in lines]
    assert len(commands) > 10
    for program, *arguments in filter(None, commands):
        if program == "make":
            assert arguments[0] in targets
        elif arguments[:2] == ["-m", "kit"]:
            _parser().parse_args(arguments[2:])
        else:
            assert (ROOT / arguments[-1].partition("::")[0]).exists()


OPTIONS = [name for name in _ARGUMENTS if "--" in name]
LESSONS = [path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")]
COMMANDS = [f"kit {run.__name__.strip('_')}" for run in _COMMANDS]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ("docs/*.md", OPTIONS + COMMANDS),
        ("docs/security.md", FORMATS),
        ("kit/__main__.py", [*SCALINGS, *_READERS]),
        ("kit/preprocessing/__init__.py", _READERS),
        ("docs/own_model.md", _READERS),
        ("notebooks/02*.ipynb", _READERS),
        ("notebooks/*.ipynb", robustness.__all__),
        ("docs/workshop.md", LESSONS),
        ("tests/**/test_*.py", OPTIONS),
    ],
)
def test_what_is_offered_is_named_in_these_files(files, names):
    text = "".join(path.read_text("utf-8") for path in ROOT.glob(files)).lower()
    pattern = r"(?<!\w){}\b".format
    absent = [
        name for name in names if not re.search(pattern(re.escape(name.lower())), text)
    ]
    assert absent == [], f"name them in {files}"


def test_links_of_pages_lead_to_files():
    for page in PAGES:
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_files_and_names_that_contributors_are_sent_to_are_there():
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:data|docs|kit|notebooks|tests)/[\w/.]+)`", guide)
    assert [path for path in named if not (ROOT / path).exists()] == []
    paths = [path for path in tracked() if path.endswith((".py", "js", "Makefile"))]
    code = "\n".join((ROOT / path).read_text("utf-8") for path in paths)
    names = {*re.findall(r"`(\w*_\w+|[A-Z]\w+)`", guide)}
    assert names - {*re.findall(r"\w+", code)} == set()


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 120
