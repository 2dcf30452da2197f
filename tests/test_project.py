"""The files at the root, the code map, the lock and the imports say the same thing."""

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from itertools import chain, pairwise

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import kit
from tests.project import ROOT, code, imported, modules, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(line) for line in lines]
    for name, lines in PROJECT["project"]["optional-dependencies"].items()
}
FOLDERS = {".ci", "data", "kit", "notebooks", "tests"}
FILES = {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENCES.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "WORKSHOP.md",
    "environment.yml",
    "pyproject.toml",
    "requirements.lock",
}
# Besides the rooms at the top of the package; two more helpers may join them.
OUTSIDE_THE_ROOMS = {"__init__", "__main__", "_checking", "_interrupts"}
FUNCTION_LINES = 40
# Functions that are longer yet; none may be added.
LONG = {"kit.robustness.sweeps._flips", "kit.validation.calibration.calibrate"}
PRIVATE_NAMES = 6
LAYOUT = {getattr(tokenize, name) for name in ("COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER")}
HEAVY = ("anywidget", "h5py", "keras", "matplotlib", "tensorflow", "torch")


def undeclared(paths, requirements):
    """Top-level modules that are imported in `paths` and come with none of `requirements`."""
    declared = {canonicalize_name(requirement.name) for requirement in requirements}
    homes = packages_distributions()
    ours = {"kit", "tests", "data"}
    found = {name.split(".")[0] for path in paths for name in imported(code(path))}
    return {
        name
        for name in found - ours - sys.stdlib_module_names
        if declared.isdisjoint(map(canonicalize_name, homes.get(name, [])))
    }


def run(source):
    """Standard output of a fresh Python."""
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def lock_entries():
    """Pairs of requirement and hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return [(Requirement(line.split(" --hash=")[0]), line.split(" --hash=")[1:]) for line in lines]


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


def reached(start, graph):
    """All that can be reached from a node."""
    found, waiting = set(), [start]
    while waiting:
        new = graph.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def circular(package, pairs):
    """Those arrows between the direct children of a package that are part of a circle."""
    depth = package.count(".") + 1
    graph = {}
    for pair in pairs:
        if all(name.startswith(f"{package}.") for name in pair):
            source, target = (name.split(".")[depth] for name in pair)
            if source != target:
                graph.setdefault(source, set()).add(target)
    return {
        f"{package}.{source} -> {package}.{target}"
        for source, targets in graph.items()
        for target in targets
        if source in reached(target, graph)
    }


def test_the_code_map_lists_every_room_once():
    assert sorted(rooms()) == sorted(name for name in top() if not name.startswith("_"))


def test_the_package_has_at_most_twelve_rooms_and_two_more_helpers():
    assert len(rooms()) <= 12
    helpers = {name for name in top() if name.startswith("_")} - OUTSIDE_THE_ROOMS
    assert len(helpers) <= 2


def test_a_room_imports_only_from_rooms_above_it():
    helpers = sorted(name for name in top() if name.startswith("_") and not name.startswith("__"))
    order = [*helpers, *rooms(), "__main__", "__init__"]
    upward = {
        f"{module} imports {name}"
        for module, name in arrows()
        if order.index(module.split(".")[1]) < order.index(name.split(".")[1])
    }
    assert upward == set()


def test_nothing_imports_in_a_circle():
    pairs = list(arrows())
    packages = {name.removesuffix(".__init__") for name in modules() if name.endswith(".__init__")}
    assert set().union(*(circular(package, pairs) for package in packages)) == set()


def test_a_circle_is_found_through_late_imports_and_those_for_types(tmp_path):
    source = "if TYPE_CHECKING:\n    from kit.plots import a\ndef f():\n    import kit.samples"
    assert sorted(imported(source)) == ["kit.plots.a", "kit.samples"]
    pairs = [("kit.a.b", "kit.c.__init__"), ("kit.c.d", "kit.e"), ("kit.e", "kit.a.f"), ("kit.e", "kit.g")]
    assert circular("kit", pairs) == {"kit.a -> kit.c", "kit.c -> kit.e", "kit.e -> kit.a"}


def lines_of_code(source):
    """The numbers of the lines that are neither blank nor comment nor docstring."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        # A string that is a statement documents what it stands in or below.
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            lines.difference_update(range(node.lineno, node.end_lineno + 1))
    return lines


def long_functions(source):
    """Names of the functions with more than forty lines of code, from ``def`` to the last line."""
    lines = lines_of_code(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = len(lines & set(range(node.lineno, node.end_lineno + 1)))
            if count > FUNCTION_LINES:
                yield node.name


def test_no_function_has_more_than_forty_lines_of_code():
    found = {f"{module}.{name}" for module, path in modules().items() for name in long_functions(code(path))}
    assert found <= LONG


def test_lines_of_code_are_counted_without_docstrings_comments_and_blanks():
    body = "    # why\n\n    x = (\n        1,\n    )\n"
    source = f'def f():\n    """Words.\n\n    More.\n    """\n{body}'
    assert len(lines_of_code(source)) == 4
    ones = "    x = 1\n"
    assert list(long_functions(source + ones * 36)) == []
    assert list(long_functions(source + ones * 37)) == ["f"]


def reached_into(source):
    """Private names of other objects that a source takes; what an object does with its own is its affair."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and re.match("_[a-z].*(?<!_)$", node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("kit"):
            yield from (each.name for each in node.names if re.match("_[a-z]", each.name))


def test_tests_reach_into_private_names_in_few_places():
    found = [name for path in (ROOT / "tests").rglob("*.py") for name in reached_into(code(path))]
    assert len(found) <= PRIVATE_NAMES, found


# Imports


def is_there(name):
    """Whether a dotted name is a module, or something in one."""
    try:
        import_module(name)
    except ModuleNotFoundError:
        home, _, last = name.rpartition(".")
        return hasattr(import_module(home), last)
    return True


def test_importing_kit_imports_nothing_heavy():
    assert run(f"import sys, kit; print(*sorted(sys.modules.keys() & {set(HEAVY)}))") == ""


def test_no_module_of_kit_imports_tensorflow_until_it_needs_it():
    source = f"import sys, importlib as i; [i.import_module(name) for name in {sorted(modules())}]"
    assert run(f"{source}; print(*sorted(sys.modules.keys() & {{'keras', 'tensorflow', 'torch'}}))") == ""


def test_scripts_that_no_test_runs_import_names_that_are_there():
    scripts = [*(ROOT / "tests" / "benchmarks").glob("*.py"), *(ROOT / "data" / "build").glob("*.py")]
    wanted = {name for path in scripts for name in imported(code(path)) if name.startswith("kit.")}
    assert {name for name in wanted if not is_there(name)} == set()


@pytest.mark.parametrize("name", kit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(kit, name).__doc__


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'Clasifier'.*Classifier"):
        kit.Clasifier  # noqa: B018


# Lessons


def lessons():
    """The notebooks that are read, by name, as JSON."""
    paths = (ROOT / path for path in tracked() if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", path))
    return {path.name: json.loads(path.read_text(encoding="utf-8"))["cells"] for path in paths}


def test_every_lesson_is_in_the_readme_with_its_minutes_and_links_to_files_that_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\d\d_\w+\.ipynb)` \|", readme, re.MULTILINE) == sorted(lessons())
    for name, cells in lessons().items():
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        minutes = re.search(r"\*\*Time\.\*\* (\d+) minutes", text).group(1)
        assert re.search(rf"^\| `{name}` .* \| {minutes} \|$", readme, re.MULTILINE), name
        assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if link not in lessons()] == [], name


def test_code_of_lessons_is_narrow_and_exercises_begin_without_an_answer():
    for name, cells in lessons().items():
        for cell in cells:
            lines = "".join(cell["source"]).splitlines()
            if cell["cell_type"] == "code":
                assert all(len(line) <= 80 for line in lines), (name, lines)
                assert (lines[0] == "answer = None") == ("exercise" in cell["metadata"].get("tags", [])), name


def test_where_readers_write_down_a_guess_the_result_is_folded():
    for name, cells in lessons().items():
        for before, cell in pairwise(cells):
            if before["cell_type"] == "markdown" and "**Write down**" in "".join(before["source"]):
                hidden = cell["metadata"].get("jupyter", {}).get("outputs_hidden")
                assert hidden or cell["metadata"].get("tags") == ["nbval-ignore-output"], (name, cell["id"])


# Dependencies


def test_kit_and_notebooks_import_only_declared_packages():
    notebooks = (path for path in map(ROOT.joinpath, tracked()) if path.suffix == ".ipynb")
    assert undeclared(chain((ROOT / "kit").rglob("*.py"), notebooks), RUNTIME) == set()


def test_tests_import_only_declared_packages():
    assert undeclared((ROOT / "tests").rglob("*.py"), RUNTIME + EXTRAS["test"]) == set()


def test_conda_environment_has_the_packages_and_floors_of_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, *conda, by_pip = environment["dependencies"]
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert python == "python=3.12"
    assert by_pip["pip"][-1] == "-e ."
    listed = [Requirement(line) for line in [*conda, *by_pip["pip"][:-1]] if line != "pip"]
    assert sorted(map(str, listed)) == sorted(map(str, RUNTIME))


def test_what_shares_compiled_code_with_tensorflow_comes_by_pip():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    by_pip = {Requirement(line).name for line in environment["dependencies"][-1]["pip"][:-1]}
    assert {"numpy", "pillow", "matplotlib", "keras", "tensorflow", "tensorflow-cpu"} <= by_pip


PLATFORMS = [("linux", "x86_64"), ("linux", "aarch64"), ("win32", "AMD64"), ("darwin", "arm64")]


@pytest.mark.parametrize(("system", "machine"), PLATFORMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_meets_every_floor_on_every_platform(system, machine, python):
    place = {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.9",
        "os_name": "nt" if system == "win32" else "posix",
    }
    pins = {}
    for pin, _ in lock_entries():
        if pin.marker is None or pin.marker.evaluate(place):
            assert pin.name not in pins, f"{pin.name} twice"
            pins[pin.name] = Version(str(pin.specifier).removeprefix("=="))
    backend = [Requirement(line) for line in PROJECT["build-system"]["requires"]]
    for wanted in RUNTIME + EXTRAS["test"] + backend:
        if wanted.marker is None or wanted.marker.evaluate(place):
            assert pins[wanted.name] in wanted.specifier, wanted


def test_lock_pins_each_package_by_hash():
    for pin, hashes in lock_entries():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes), pin


def test_lock_names_no_index_and_no_folder():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^\s*-(?!-hash)|index-url|find-links|/", text, re.MULTILINE)
