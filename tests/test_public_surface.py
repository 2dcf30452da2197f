"""What `kit` offers stays as it is written down, and notebooks and documents use nothing below it.

``python -m tests.test_public_surface`` writes `public_surface.txt` again, and `numbers.txt`. A line of the
first that goes or changes breaks a notebook or a script of somebody who uses it, so it belongs into
CHANGELOG.md too.
"""

import ast
import dataclasses
import difflib
import inspect
import json
import re
import typing
from types import ModuleType

import pytest

import kit
from kit.__main__ import PROGRAM, _parser
from tests.project import ROOT, python, tracked


def offered(module):
    """The public names of a module: those that it lists, else those that it defines."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    names = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            names.update(
                target.id for target in targets if isinstance(target, ast.Name)
            )
    return {name for name in names if not name.startswith("_")}


# Written down


def arguments(function):
    """Names, kinds and defaults, without types, which are spelled differently from one Python to the next."""
    given = inspect.signature(function).parameters.values()
    parameters = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in given
        if each.name != "self"
    ]
    return re.sub(
        r"<function .*? at 0x\w+>", "<function>", str(inspect.Signature(parameters))
    )


def ours(hint):
    """The classes of the package that a type is made of."""
    if (
        inspect.isclass(hint)
        and hint.__module__.startswith("kit.")
        and not hint.__name__.startswith("_")
    ):
        yield hint
    for part in typing.get_args(hint):
        yield from ours(part)


def of_class(one):
    """Lines on a class: how it is made, and its public attributes and methods."""
    yield f"{one.__name__}{arguments(one)}"
    own = (base for base in one.__mro__ if base.__module__.startswith("kit."))
    fields = (
        {field.name for field in dataclasses.fields(one)}
        if dataclasses.is_dataclass(one)
        else set()
    )
    for name in {
        name for base in own for name in vars(base) if not name.startswith("_")
    }:
        value = getattr(one, name)
        told = arguments(value) if callable(value) and name not in fields else ""
        yield f"{one.__name__}.{name}{told}"


def named():
    """Everything that has a name: in `kit`, or in one of the modules that it offers."""
    for name in kit.__all__:
        value = getattr(kit, name)
        if isinstance(value, ModuleType):
            yield from (
                (f"{name}.{part}", getattr(value, part)) for part in offered(value)
            )
        else:
            yield name, value


def results(value):
    """The classes of what a function returns."""
    function = inspect.unwrap(value)
    if not inspect.isfunction(function):
        return []
    hint = function.__annotations__.get("return")
    return list(
        ours(function.__globals__.get(hint, hint) if isinstance(hint, str) else hint)
    )


def commands():
    """Lines on every command, its arguments and its options, with their defaults and what is said of them."""
    (rows,) = (action for action in _parser()._actions if action.dest == "command")
    for name, command in rows.choices.items():
        yield f"{PROGRAM} {name}: {command.description}"
        for option in command._actions:
            spelled = option.option_strings or [option.metavar, option.nargs]
            yield f"{PROGRAM} {name} {spelled} {option.metavar}={option.default!r}: {option.help}"


def numbers():
    """Lines on every number or table of them that has a name; of a table with functions the numbers alone."""
    for file in sorted((ROOT / "kit").rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                parts = list(ast.walk(node.value))
                values = [getattr(part, "value", None) for part in parts]
                figures = [value for value in values if type(value) in {int, float}]
                text = ast.unparse(node)
                if any(isinstance(part, ast.Lambda) for part in parts):
                    text = f"{text.partition(' = ')[0]} {figures}"
                if figures:
                    yield f"{module}: {text}"


def surface():
    """Lines on all that has a name, on what it returns, and on the fields of that, and on all commands."""
    lines, seen, waiting = {*commands()}, set(), []
    for name, value in named():
        if inspect.isclass(value):
            waiting.append(value)
        else:
            returned = "".join(f" -> {result.__name__}" for result in results(value))
            known = inspect.isfunction(inspect.unwrap(value))
            lines.add(f"{name}{arguments(value) if known else ''}{returned}")
            waiting.extend(results(value))
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            lines.update(of_class(one))
            hints = typing.get_type_hints(one) if dataclasses.is_dataclass(one) else {}
            waiting.extend(field for hint in hints.values() for field in ours(hint))
    return sorted(lines)


WRITTEN = {"public_surface.txt": surface, "numbers.txt": numbers}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_offered_and_what_is_decided_by_is_as_it_is_written_down(name):
    written = (ROOT / "tests" / name).read_text(encoding="utf-8").splitlines()
    now = list(WRITTEN[name]())
    changes = list(
        difflib.unified_diff(
            written, now, "written down", "in the code", lineterm="", n=0
        )
    )
    assert changes == [], (
        "if all of this is meant: make record, and say it in CHANGELOG.md"
    )


# Used


def public_chain(parts):
    """Whether ``kit.a.b`` leads nowhere below the surface; what a class offers is its own affair."""
    place = kit
    for part in parts[1:]:
        if not isinstance(place, ModuleType):
            return not part.startswith("_")
        if part not in offered(place):
            return False
        place = getattr(place, part)
    return True


def named_in(text):
    """Dotted names below `kit` in code, prose and examples; ``-m kit`` is a command."""
    for found in re.findall(
        r"(?<![\w./-])(?<!-m )kit((?:\.[A-Za-z_]\w*)+)(?!\w*/)", text
    ):
        yield ["kit", *found[1:].split(".")]
    for home, names in re.findall(
        r"^\s*from kit([.\w]*) import ([\w, ]+)$", text, re.MULTILINE
    ):
        yield from (
            [*f"kit{home}".split("."), name.split()[0]] for name in names.split(",")
        )


def below(text):
    return {".".join(parts) for parts in named_in(text) if not public_chain(parts)}


def test_a_public_module_is_found_before_another_has_imported_it():
    assert python("import kit; kit.faults.CATALOGUE").stderr == ""


def test_notebooks_and_documents_name_nothing_below_the_public_surface():
    pages = [ROOT / path for path in tracked() if path.endswith((".md", ".ipynb"))]
    texts = {
        page.name: page.read_text(encoding="utf-8")
        for page in pages
        if page.suffix == ".md"
    }
    for page in pages:
        if page.suffix == ".ipynb":
            cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
            texts[page.name] = "\n".join("".join(cell["source"]) for cell in cells)
    assert {name: found for name, text in texts.items() if (found := below(text))} == {}
    assert below(
        "from kit.plots import canvas as c\nkit.pin, kit.severities, python -m kit.x"
    ) == {
        "kit.plots.canvas",
        "kit.severities",
    }


if __name__ == "__main__":
    for name, lines in WRITTEN.items():
        text = "".join(f"{line}\n" for line in lines())
        (ROOT / "tests" / name).write_text(text, encoding="utf-8")
