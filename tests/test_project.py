"""The files at the root, the code map, the lock and the imports say the same thing."""

import ast
import json
import re
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.metadata import packages_distributions
from itertools import chain

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import kit
from tests.project import (
    ROOT,
    code,
    hidden_imports,
    imported,
    lines_of,
    modules,
    nodes_of,
    python,
    tracked,
)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LIGHT = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
OPTIONAL = PROJECT["project"]["optional-dependencies"]
EXTRAS = {
    name: [Requirement(line) for line in lines] for name, lines in OPTIONAL.items()
}
# What an extra asks for stands in the place of what the kit alone does.
RUNTIME = [
    *{each.name: each for each in LIGHT + EXTRAS["keras"] + EXTRAS["lab"]}.values()
]
TESTING = EXTRAS["quick"] + EXTRAS["test"]
FOLDERS = {".ci", "data", "docs", "kit", "notebooks", "tests"}
FILES = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"}
FILES |= {
    ".gitignore",
    "Makefile",
    "environment.yml",
    "pyproject.toml",
    "requirements.lock",
}
HEAVY = ("anywidget", "h5py", "keras", "matplotlib", "tensorflow", "torch")


def undeclared(paths, requirements):
    """Top-level modules that are imported in `paths` and come with none of `requirements`."""
    declared = {canonicalize_name(requirement.name) for requirement in requirements}
    homes = packages_distributions()
    ours = {"kit", "exercises", "tests", "data"}
    found = {name.split(".")[0] for path in paths for name in imported(code(path))}
    others = found - ours - sys.stdlib_module_names
    return {
        name
        for name in others
        if declared.isdisjoint(map(canonicalize_name, homes.get(name, [])))
    }


def lock_entries():
    """Pairs of requirement and hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [
        line for line in text.splitlines() if line and not line.lstrip().startswith("#")
    ]
    return [
        (Requirement(line.split(" --hash=")[0]), line.split(" --hash=")[1:])
        for line in lines
    ]


# Root


def test_the_root_holds_nothing_but_what_newcomers_are_told_of():
    parts = [path.partition("/") for path in tracked()]
    assert {first for first, slash, _ in parts if slash} <= FOLDERS
    assert {first for first, slash, _ in parts if not slash} <= FILES


def test_no_file_names_a_folder_of_the_machine_it_was_made_on():
    unix = rb"(?<![\w.])/(?:home|Users|root|opt|work|mnt|tmp/ipykernel_\d+)/[\w.-]+"
    place = re.compile(unix + rb"|\b[A-Z]:\\+Users\\")
    found = {}
    for path in tracked():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content and (match := place.search(content)):
            found[path] = match.group()
    assert found == {}


# Rooms


def rooms():
    """The rooms in the order of the code map, which is the direction of imports."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code_map = guide.split("## Code map")[1].split("\n## ")[0]
    return re.findall(r"^- `(\w+)(?:/|\.py)`", code_map, re.MULTILINE)


def top():
    """The names directly under ``kit/``."""
    return {name.split(".")[1] for name in modules()}


def arrows():
    """Pairs of modules of which the first imports the second: when it runs, late, or for types."""
    known = modules()
    for module, path in known.items():
        for name in imported(code(path)):
            home = name
            while home and home not in known and f"{home}.__init__" not in known:
                home = home.rpartition(".")[0]
            if home:
                yield module, home if home in known else f"{home}.__init__"


def circular(package, pairs):
    """A circle of imports between the direct children of a package; None without one."""
    depth = package.count(".") + 1
    graph = {}
    for pair in pairs:
        if all(name.startswith(f"{package}.") for name in pair):
            source, target = (name.split(".")[depth] for name in pair)
            if source != target:
                graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        return circle.args[1]
    return None


def test_the_code_map_lists_every_room_once():
    assert sorted(rooms()) == sorted(name for name in top() if not name.startswith("_"))


def test_a_room_imports_only_from_rooms_above_it():
    helpers = sorted(
        name for name in top() if name.startswith("_") and not name.startswith("__")
    )
    order = [*helpers, *rooms(), "__init__", "__main__"]
    rank = lambda module: order.index(module.split(".")[1])
    assert {
        (module, name) for module, name in arrows() if rank(module) < rank(name)
    } == set()


def test_no_room_hides_an_import_in_a_text():
    # Public names are imported when they are first used, and the command line imports what it is given.
    allowed = {"kit.__init__", "kit.__main__"}
    rooms = {name: path for name, path in modules().items() if name not in allowed}
    found = {name: [*hidden_imports(code(path))] for name, path in rooms.items()}
    assert {name: calls for name, calls in found.items() if calls} == {}
    hidden = ["import_module(f'kit.{room}')", "importlib.import_module('kit.plots')"]
    hidden += ["__import__(home)"]
    others = ["import_module('pandas')", "import_module('kitchen.sink')"]
    assert [*hidden_imports("\n".join([*hidden, *others]))] == hidden


def test_nothing_imports_in_a_circle():
    pairs = list(arrows())
    packages = {
        name.removesuffix(".__init__")
        for name in modules()
        if name.endswith(".__init__")
    }
    assert {package: circular(package, pairs) for package in packages} == dict.fromkeys(
        packages
    )
    assert circular(
        "kit", [("kit.a.b", "kit.c"), ("kit.c.d", "kit.e"), ("kit.e", "kit.a.f")]
    )


def sizes():
    """What CONTRIBUTING.md sets limits to."""
    sources = [code(path) for path in modules().values()]
    trees = [ast.parse(source) for source in sources]
    page = [
        path for path in (ROOT / "kit").rglob("*.*") if path.suffix in {".js", ".css"}
    ]
    return {
        "nodes": sum(map(nodes_of, trees)),
        "docstrings": sum(len(lines_of(source)[1]) for source in sources),
        "modules": sum(nodes_of(tree) > 1 for tree in trees),
        "page": sum(
            bool(line.strip())
            for path in page
            for line in path.read_text("utf-8").splitlines()
        ),
        "tests": sum(
            nodes_of(ast.parse(code(path))) for path in (ROOT / "tests").rglob("*.py")
        ),
        "function": max(map(longest_function, sources)),
    }


def longest_function(source):
    """The lines of code in the longest function."""
    lines, _ = lines_of(source)
    functions = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    lengths = (
        len(lines & set(range(node.lineno, node.end_lineno + 1))) for node in functions
    )
    return max(lengths, default=0)


def test_the_project_stays_within_its_budget():
    budget = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Budget")[2]
    rows = re.findall(r"^\| (\w+) \| ([\d,]+) \|", budget, re.MULTILINE)
    limits, found = {name: int(most.replace(",", "")) for name, most in rows}, sizes()
    assert limits.keys() == found.keys()
    assert {name: size for name, size in found.items() if size > limits[name]} == {}, (
        f"take something out, or raise the budget of CONTRIBUTING.md: {limits}"
    )


def test_what_code_does_is_counted_and_not_how_it_is_laid_out():
    source = 'def f(x):\n    """Words.\n\n    More.\n    """\n    # why\n\n    return g(x, 1)\n'
    assert lines_of(source) == ({1, 8}, {2, 3, 4, 5})
    # Module, function, arguments, x; return, call, g, x, 1.
    assert nodes_of(ast.parse(source)) == 9
    assert nodes_of(ast.parse(source.replace("g(x, 1)", "(\n g(\n  x, 1)\n)"))) == 9


# Imports


def is_there(name):
    """Whether a dotted name is a module, or something in one."""
    try:
        import_module(name)
    except ModuleNotFoundError:
        home, _, last = name.rpartition(".")
        return hasattr(import_module(home), last)
    return True


def test_importing_kit_imports_nothing_heavy_and_no_module_of_it_tensorflow():
    source = f"""
import sys, importlib, kit
print(*sys.modules.keys() & {{*{HEAVY}}})
for name in {list(modules())}:
    importlib.import_module(name)
print(*sys.modules.keys() & {{"keras", "tensorflow", "torch"}})
"""
    done = python(source)
    assert (done.stdout, done.stderr) == ("\n\n", "")


def test_scripts_that_no_test_runs_import_names_that_are_there():
    scripts = [
        *(ROOT / "tests" / "benchmarks").glob("*.py"),
        *(ROOT / "data" / "build").glob("*.py"),
    ]
    wanted = {
        name
        for path in scripts
        for name in imported(code(path))
        if name.startswith("kit.")
    }
    assert {name for name in wanted if not is_there(name)} == set()


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'Clasifier'.*Classifier"):
        kit.Clasifier  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'import exercises'"):
        kit.exercises  # noqa: B018


# Lessons


def lessons():
    """The notebooks that are read, by name, as JSON."""
    paths = (
        ROOT / path
        for path in tracked()
        if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", path)
    )
    return {
        path.name: json.loads(path.read_text(encoding="utf-8"))["cells"]
        for path in paths
    }


def test_every_lesson_is_in_the_readme_with_its_minutes_and_links_to_files_that_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\d\d_\w+\.ipynb)` \|", readme, re.MULTILINE) == sorted(
        lessons()
    )
    for name, cells in lessons().items():
        text = "\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
        begin = r"^\*\*Question\.\*\* .+\n\n\*\*Time\.\*\* (\d+) minutes.*\.$"
        time = re.search(begin, text, re.MULTILINE)
        assert time, f"its page in make site takes from {name} {begin}"
        row = rf"^\| `{name}` .* \| {time[1]} \|$"
        assert re.search(row, readme, re.MULTILINE), f"the README has no row as {row}"
        assert [
            link for link in re.findall(r"\]\(([^)]+)\)", text) if link not in lessons()
        ] == [], name


def test_readers_guess_before_they_see_and_have_an_explorer_where_they_need_one():
    assert len("".join(lessons()["00_explore.ipynb"][0]["source"]).split()) <= 40
    for name, cells in lessons().items():
        sources = ["".join(cell["source"]) for cell in cells]
        live = ["Explorer(" in source or "explore(" in source for source in sources]
        for place, cell in enumerate(cells):
            tags = cell["metadata"].get("tags", [])
            if "**Write down**" in sources[place - 1] and cell["cell_type"] == "code":
                assert live[place] or "guess" in tags, (name, cell["id"])
            assert "exercise" not in tags or any(live[place - 2 : place]), name


# Dependencies


def test_kit_and_notebooks_import_only_declared_packages():
    notebooks = (
        path for path in map(ROOT.joinpath, tracked()) if path.suffix == ".ipynb"
    )
    assert (
        undeclared(
            chain((ROOT / "kit").rglob("*.py"), notebooks), RUNTIME + EXTRAS["onnx"]
        )
        == set()
    )


def test_tests_import_only_declared_packages():
    assert undeclared((ROOT / "tests").rglob("*.py"), RUNTIME + TESTING) == set()


def test_conda_environment_has_the_packages_and_floors_of_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, *conda, by_pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert python == "python=3.12"
    assert by_pip["pip"][-1] == "-e ."
    listed = [
        Requirement(line) for line in [*conda, *by_pip["pip"][:-1]] if line != "pip"
    ]
    assert sorted(map(str, listed)) == sorted(map(str, RUNTIME))


PLATFORMS = [
    ("linux", "x86_64"),
    ("linux", "aarch64"),
    ("win32", "AMD64"),
    ("darwin", "arm64"),
]


@pytest.mark.parametrize(("system", "machine"), PLATFORMS)
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_lock_meets_every_floor_on_every_platform(system, machine, version):
    place = {"sys_platform": system, "platform_machine": machine}
    place |= {"python_version": version, "python_full_version": f"{version}.9"}
    place |= {"os_name": "nt" if system == "win32" else "posix"}
    pins = {}
    for pin, _ in lock_entries():
        if pin.marker is None or pin.marker.evaluate(place):
            assert pin.name not in pins, f"{pin.name} twice"
            pins[pin.name] = Version(str(pin.specifier).removeprefix("=="))
    backend = [Requirement(line) for line in PROJECT["build-system"]["requires"]]
    for wanted in RUNTIME + TESTING + backend:
        if wanted.marker is None or wanted.marker.evaluate(place):
            assert pins[wanted.name] in wanted.specifier, wanted


def test_lock_pins_each_package_by_hash_and_names_no_index_and_no_folder():
    for pin, hashes in lock_entries():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, pin
        assert all(
            re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes
        ), pin
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(
        r"://|^\s*-(?!-hash)|index-url|find-links|/", text, re.MULTILINE
    )
