"""The page as it is joined, and its own tests, which node runs."""

import re
import subprocess
from pathlib import Path

import pytest

import kit
from kit.explorer import page
from tests.project import python

HERE = Path(page.__file__).parent
ALONE = (*page.MODULES, "alone")
TESTS = Path(__file__).parents[1] / "page"
TOP = re.compile(
    r"^(?:export )?(?:async )?(?:const|let|var|class|function\*?) (\w+)", re.MULTILINE
)
IMPORTED = re.compile(
    r"^import \{(.*?)\} from \"\./(\w+)\.js\";$", re.MULTILINE | re.DOTALL
)


def source(name):
    return (HERE / f"{name}.js").read_text(encoding="utf-8")


def test_the_page_passes_its_own_tests(node):
    files = sorted(map(str, TESTS.glob("*.test.mjs")))
    assert len(files) >= 4
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,  # or a page that asks for ever is never red
    )
    failing = done.stdout.rpartition("failing tests:")[2] + done.stderr
    words = "if the page is meant to change: make record, and read what differs"
    assert done.returncode == 0, f"{failing}\n{words}"


@pytest.mark.parametrize(
    ("modules", "name"), [(ALONE, "page.mjs"), (page.WORKER, "worker.cjs")]
)
def test_what_is_joined_is_one_module_or_script(node, tmp_path, modules, name):
    (tmp_path / name).write_text(page.joined(modules), encoding="utf-8")
    done = subprocess.run(
        [node, "--check", tmp_path / name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_ties_the_joined_page_to_other_files():
    assert (
        re.findall(
            r"^import\b.*|^export (?!default ).*", page.joined(ALONE), re.MULTILINE
        )
        == []
    )
    assert page.joined().count("export default") == 1


def test_the_page_asks_nothing_of_a_network_and_makes_no_html_of_texts():
    told = (
        page.joined(ALONE)
        + page.page_file("explorer.css")
        + page.page_file("alone.css")
    )
    markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
    network = r"fetch\(|XMLHttpRequest|WebSocket|https?:"
    assert re.findall(f"{markup}|{network}", told) == []


def test_every_module_of_the_page_is_joined_once():
    assert sorted({*ALONE, *page.WORKER}) == sorted(
        path.stem for path in HERE.glob("*.js")
    )


def test_a_module_needs_only_what_earlier_ones_declare_for_others():
    declared = {}
    for module in (*ALONE, "worker"):
        for names, other in IMPORTED.findall(source(module)):
            assert other in declared, f"{module}.js needs {other}.js"
            wanted = {name.strip() for name in names.split(",") if name.strip()}
            assert wanted <= declared[other], (
                f"{module}.js needs {wanted - declared[other]} of {other}.js"
            )
        exported = re.findall(
            TOP.pattern.replace("(?:export )?", "export ", 1),
            source(module),
            re.MULTILINE,
        )
        declared[module] = set(exported)


NOT_INSTALLED = """
from importlib import metadata

known = metadata.version

def version(name):
    if name == "classifier-investigation-kit":
        raise metadata.PackageNotFoundError(name)
    return known(name)

metadata.version = version
from kit import samples
from kit.explorer import bench, export

classifier = samples.classifier("fashion_mnist")
print(export.document(bench.Bench(classifier, classifier.preprocessing), [], ""))
"""


def test_a_page_is_exported_from_a_checkout_that_is_not_installed():
    assert kit.__version__ in python(NOT_INSTALLED).stdout
