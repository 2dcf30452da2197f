"""The files at the root, the code map, the lock and the imports say the same thing."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import kit

ROOT = Path(__file__).resolve().parent.parent
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
    "LICENSE",
    "Makefile",
    "README.md",
    "environment.yml",
    "pyproject.toml",
    "requirements.lock",
}
HEAVY = ("anywidget", "h5py", "keras", "matplotlib", "tensorflow", "torch")
# Stand outside the rooms: the table of public names, and what runs before anything is installed.
OUTSIDE = {"kit", "kit._launch"}


def dotted(path):
    """``kit/faults.py`` is ``kit.faults`` and ``kit/__init__.py`` is ``kit``."""
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")


def rooms():
    """The modules in the order of the code map, which is the direction of imports."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code_map = guide.split("## Code map")[1].split("\n## ")[0]
    return [dotted(f"kit/{path}") for path in re.findall(r"^- `([\w/]+\.py)`", code_map, re.MULTILINE)]


def modules():
    """Every module of the package, with its file."""
    return {dotted(path.relative_to(ROOT)): path for path in sorted((ROOT / "kit").rglob("*.py"))}


def module_of(name):
    """The module of the package that a dotted name lies in, or the name of another package."""
    while name.startswith("kit.") and name not in modules():
        name = name.rpartition(".")[0]
    return name


def tracked():
    """Paths that git knows."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("needs a clone made by git")
    return [path for path in listing.stdout.split("\0") if path and (ROOT / path).exists()]


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def imported(source):
    """The dotted names that a source imports when it runs, anywhere in it; ``from a import b`` is ``a.b``."""
    waiting = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.orelse if is_for_types(node) else ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"Expected absolute imports, received {ast.unparse(node)}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def code(path):
    """The Python of a module, or of the code cells of a notebook without its magics."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = ("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", "\n".join(cells), flags=re.MULTILINE)


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


# Code map and imports


def test_the_code_map_lists_every_module_once():
    assert sorted(rooms()) == sorted(modules().keys() - OUTSIDE)


def test_a_room_imports_only_from_rooms_above_it():
    order = [name for name in rooms() if name in modules()]
    upward = []
    for module in order:
        above = order[: order.index(module)]
        names = {module_of(name) for name in imported(code(modules()[module])) if name.startswith("kit.")}
        upward += [f"{module} imports {name}" for name in names.difference(above)]
    assert upward == []


def test_importing_kit_imports_nothing_heavy():
    assert run(f"import sys, kit; print(*sorted(sys.modules.keys() & {set(HEAVY)}))") == ""


def test_no_module_of_kit_imports_tensorflow_until_it_needs_it():
    source = f"import sys, importlib as i; [i.import_module(name) for name in {sorted(modules())}]"
    assert run(f"{source}; print(*sorted(sys.modules.keys() & {{'keras', 'tensorflow', 'torch'}}))") == ""


@pytest.mark.parametrize("name", kit.__all__)
def test_every_public_name_is_there(name):
    assert getattr(kit, name).__doc__


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'Clasifier'.*Classifier"):
        kit.Clasifier  # noqa: B018


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
