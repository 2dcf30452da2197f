"""The command line: ``python -m kit COMMAND`` or ``kit COMMAND``; ``--help`` lists them."""

import argparse
import json
import os
import re
import shlex
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import kit
from kit._bundled import LESSONS, __version__
from kit._checking import require, small_file

_Run = Callable[[argparse.Namespace], int]

DIAGNOSED = {"clean": 0, "named": 1, "cannot_tell": 2}
BAD_INPUT = 3
CRASHED = 70
INTERRUPTED = 130
CUT_OFF = 141
"""Exit codes, beside 0 where all holds and 1 where something changed."""
PROGRAM = "python -m kit"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; bad input is one line on stderr."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        # Each command has a help of its own, which names what it takes.
        parser.prog += f" {options.command}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        for module in options.imports:
            _import_layers(module)
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        message = "interrupted"
        code = INTERRUPTED
    except BrokenPipeError:  # whoever reads it has read enough
        return CUT_OFF
    except (ImportError, OSError, TypeError, ValueError) as error:
        message = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ImportError) and not message.startswith("Expected"):
            message += "; make environment installs what is needed, for .venv/bin/python -m kit"
        code = BAD_INPUT
    except Exception:  # noqa: BLE001 (ours; Python's own 1 would be read as a result)
        message = traceback.format_exc()
        code = CRASHED
    else:
        return code
    sys.stderr.write(f"{PROGRAM} {options.command}: {message}\n")
    return code


def run_and_exit() -> NoReturn:
    """Be the process of one command."""
    # Closed: a file that is opened next would take their number, and what libraries print.
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    # Of the script, or at hand, where a file may have the name of a module that is imported later.
    if not sys.flags.safe_path:
        del sys.path[0]
    # In a log, a bar is a text for each of its states.
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.formatwarning = lambda message, *_: f"{PROGRAM}: {message}\n"
    try:
        sys.exit(main())
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # At its end Python would try again, tell of it, and exit with a code of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _import_layers(module: str) -> None:
    """Import a module that registers layers; one in the folder at hand hides none that is installed."""
    sys.path.append("")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import_module(module)
    except (Exception, SystemExit) as error:  # whatever a person's module raises
        raise ValueError(
            f"Expected a module to import, received {module!r} ({type(error).__name__}: {error})"
        ) from error


def _parser() -> _Parser:
    parser = _Parser(
        prog=PROGRAM,
        description="Find out why an image classifier gets an image wrong.",
    )
    parser.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}"
    )
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", dest="command", parser_class=_Parser
    )
    for run, arguments in _COMMANDS.items():
        _add_command(commands, run, arguments)
    return parser


def _class_names(text: str) -> Any:
    from kit.classifier.metadata import names_in

    file = Path(text)
    try:
        content = small_file(file).decode()
        if file.suffix == ".json":
            given = json.loads(content)
            # A configuration of Hugging Face has more than names.
            return given.get("id2label", given) if isinstance(given, dict) else given
        names, _ = names_in(file.resolve())
        if names:
            return names
        reason = "it is empty"
    except (OSError, ValueError) as error:
        if "," in text:
            return re.split(" *, *", text)
        reason = str(error)
    raise argparse.ArgumentTypeError(
        "Expected a file of class names in UTF-8, one a line or as JSON, or names with commas between,"
        f" received {text!r}: {reason}"
    )


_ARGUMENTS: dict[str, dict[str, Any]] = {
    "model": {"metavar": "MODEL"},
    "other": {"metavar": "OTHER"},
    "cases": {"metavar": "FOLDER"},
    "folder": {"metavar": "FOLDER"},
    "old": {"metavar": "OLD.h5"},
    "new": {"metavar": "NEW.keras"},
    "page": {"metavar": "PAGE.html", "help": "the page to write"},
    "pictures": {
        "metavar": "IMAGE",
        "nargs": "+",
        "help": "files, folders or patterns",
    },
    "photos": {
        "metavar": "IMAGE",
        "nargs": "*",
        "help": "files, folders or patterns; without any, the page waits for one",
    },
    "--title": {"default": "", "help": "what the page is called"},
    "--text": {"default": "", "help": "what stands above the explorer"},
    "--preprocessing": {
        "metavar": "FILE.json",
        "help": "how your code prepares images: a file of the kit, KerasHub, Hugging Face or timm",
    },
    "--application": {
        "metavar": "NAME",
        "help": "the same, as this model of keras.applications",
    },
    "--scaling": {
        "metavar": "NAME",
        "help": "only how your code scales pixels: 0..255, 0..1, -1..1, imagenet, lite"
        " or caffe (of RGB; --application VGG16 is caffe of BGR)",
    },
    "--classes": {
        "metavar": "NAMES",
        "type": _class_names,
        "help": "class names: a text file with one a line, JSON, or the names with commas between",
    },
    "--import": {
        "dest": "imports",
        "metavar": "MODULE",
        "action": "append",
        "default": [],
        "help": "import this module first, for custom layers",
    },
    "--details": {"action": "store_true", "help": "print all findings"},
    "--labels": {
        "help": "true classes, names or indices, with commas between; or 'folders', where each class has one"
    },
    "--expect": {
        "metavar": "CLASS",
        "help": "expected class; default: the prediction",
    },
    "--cases": {
        "metavar": "FOLDER",
        "default": "cases",
        "help": "where to save; default: cases",
    },
    "--note": {"default": "", "help": "why you keep it"},
    "--artefacts": {"metavar": "FOLDER", "help": "write images of what changed"},
    "--update": {
        "action": "store_true",
        "help": "accept changes, if the class is as expected",
    },
    "--junit": {
        "metavar": "FILE.xml",
        "type": Path,
        "help": "write a JUnit report",
    },
    "--html": {"metavar": "FILE.html", "type": Path, "help": "write a page"},
    "--json": {"action": "store_true", "help": "print JSON"},
}


def _add_command(commands: Any, run: _Run, arguments: Sequence[str]) -> None:
    """Add a command, named after its function, whose docstring says what it does, and its exit codes."""
    words, _, codes = str(run.__doc__).partition(": 0 ")
    description = f"{words}. Exit codes: 0 {codes[:-1]}, 3 bad input."
    if "model" in arguments:
        description += " A MODEL is a .keras, .tflite or .onnx file."
    command = commands.add_parser(
        run.__name__.strip("_"),
        help=words[0].lower() + words[1:],
        description=description,
    )
    command.set_defaults(run=run)
    if "model" in arguments:
        in_use = command.add_mutually_exclusive_group()
        for option in ("--preprocessing", "--application", "--scaling"):
            in_use.add_argument(option, **_ARGUMENTS[option])
        command.add_argument("--classes", **_ARGUMENTS["--classes"])
    for argument in ("--import", *arguments):
        command.add_argument(argument, **_ARGUMENTS[argument])
    # As from Python 3.14 on: -1..1 is a value, no option.
    command._negative_number_matcher = re.compile(r"-\d")  # noqa: SLF001


def _diagnose(options: argparse.Namespace) -> int:
    """Name the cause of wrong predictions: 0 nothing serious found, 1 a cause is named, 2 cannot tell."""
    from kit.images.photo import as_photos

    classifier = _classifier(options, options.model)
    asked = as_photos(options.pictures), _labels(options)
    predicted = {}
    with suppress(ValueError):  # of a network that puts out no numbers
        predictions = classifier.predict(*asked)
        rows = zip(predictions.photos, predictions.top(), strict=True)
        predicted = {"predictions": [*rows]}
        if not options.json:
            _print_result(predictions)
            sys.stdout.flush()
    progress = sys.stderr.isatty() and not options.json and _show_part
    diagnosis = kit.diagnose(classifier, *asked, progress=progress)
    if options.json:
        _print_result(diagnosis, as_json=True, **predicted)
    elif options.details:
        sys.stdout.write(f"{diagnosis.title}\n")
        _print_result(diagnosis.details())  # the fix is among them
    else:
        _print_result(diagnosis)
        if diagnosis.fix_code:
            sys.stdout.write(f"\n{diagnosis.fix_code}\n")
    return DIAGNOSED[diagnosis.verdict]


def _show_part(part: str) -> None:
    """Show what is done now, where the next line takes its place."""
    sys.stderr.write(f"{part:13}\r")
    sys.stderr.flush()


def _pin(options: argparse.Namespace) -> int:
    """Save images as cases, with the class that you expect: 0 pinned."""
    from kit.images.photo import as_photos
    from kit.regression.cases import read_case

    classifier = _classifier(options, options.model)
    # All are opened first: nothing is written where one of them cannot be read.
    for photo in as_photos(options.pictures):
        before = {*Path(options.cases).glob("*.json")}
        path = kit.pin(
            options.cases, classifier, photo, options.expect, note=options.note
        )
        case = read_case(path)
        name, probability = case.observed.top
        state = "as expected" if options.expect else "taken as the expected class"
        state = "still failing" if case.known_to_fail else state
        state += ", pinned already" if path in before else ""
        sys.stdout.write(f"{path}: {name}, {probability:.3f}, {state}\n")
    return 0


def _verify(options: argparse.Namespace) -> int:
    """Test whether predictions of saved cases changed: 0 none changed, 1 some did."""
    from kit.regression.cases import make_folder_of_new, write_file

    if options.junit:
        make_folder_of_new(options.junit, ".xml")
        # That of an earlier run says nothing of this one, which may end before there is a report.
        options.junit.unlink(missing_ok=True)
    result = kit.check_cases(
        options.cases,
        _classifier(options, options.model),
        artefacts=options.artefacts,
        update=options.update,
        progress=not options.json,
    )
    _print_result(result, as_json=options.json)
    if options.junit:
        write_file(options.junit, result.junit().encode())
    if result.advice and not options.update:
        sys.stderr.write(f"{result.advice}\n")
    return int(not result.holds)


def _compare(options: argparse.Namespace) -> int:
    """Compare two models on the same images: 0 no prediction changes, 1 some change."""
    result = kit.compare(
        _classifier(options, options.model),
        _classifier(options, options.other),
        options.pictures,
        _labels(options),
        progress=not options.json,
    )
    # As they were given: two formats of a model have one name.
    result = replace(result, first=options.model, second=options.other)
    _print_result(result, as_json=options.json)
    return int(result.changed > 0)


def _mistakes(options: argparse.Namespace) -> int:
    """List images that a model predicts wrongly; FOLDER has a folder for each class: 0 done."""
    from kit.regression.cases import make_folder_of_new, write_file

    if options.html:
        require("matplotlib")
        make_folder_of_new(options.html, ".html")
    result = kit.mistakes(_classifier(options, options.model), options.folder)
    _print_result(result)
    if options.html:
        write_file(options.html, kit.plots.mistakes_page(result).encode())
        sys.stdout.write(f"{options.html}: the mistakes as a page\n")
    return 0


def _export(options: argparse.Namespace) -> int:
    """Write the explorer as a page that works without Python: 0 written."""
    classifier = _classifier(options, options.model)
    photos = options.photos or kit.samples.photo("cat.jpg")
    explorer = kit.Explorer(classifier, photos, _labels(options))
    shown = None if options.photos else ()
    explorer.export(options.page, shown, title=options.title, text=options.text)
    return 0


def _print_result(result: Any, *, as_json: bool = False, **others: Any) -> None:
    text = result.text()
    if as_json:
        text = json.dumps(
            result.to_dict() | others, indent=2, ensure_ascii=False, allow_nan=False
        )
    sys.stdout.write(f"{text}\n")


def _check(_given: argparse.Namespace) -> int:
    """Check that this machine can run what is installed: 0 ready, 1 not."""
    setup = kit.check_setup()
    sys.stdout.write(f"\n{setup}\n")
    return int(bool(setup.missing))


def _import(options: argparse.Namespace) -> int:
    """Convert a file of Keras 2 or Teachable Machine to .keras: 0 written."""
    left_out = kit.import_h5(options.old, options.new)
    without = f", without {', '.join(left_out)}" if left_out else ""
    sys.stdout.write(
        f"{options.new}: architecture and weights of {options.old}{without}\n"
    )
    return 0


def _lessons(options: argparse.Namespace) -> int:
    """Copy the lessons into a new FOLDER: 0 copied."""
    from kit.regression.cases import write_file

    folder = Path(options.folder)
    if folder.exists():
        raise FileExistsError(
            f"Expected a folder that is not there yet, received {options.folder!r}; name another"
        )
    try:
        for pattern in ("*.ipynb", "exercises.py", "regression/**/[!.]*.*"):
            for file in LESSONS.glob(pattern):
                write_file(folder / file.relative_to(LESSONS), file.read_bytes())
    except BaseException:
        # Half of them would be in the way of the next try.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    lesson = folder / "00_explore.ipynb"
    sys.stdout.write(f"Begin with: python -m jupyterlab {shlex.quote(str(lesson))}\n")
    return 0


def _classifier(options: argparse.Namespace, model: str) -> "kit.Classifier":
    """Open the model with the preprocessing in use; what is wrong is said before anything is compiled."""
    from kit.classifier import store
    from kit.classifier.engines import fitted
    from kit.diagnosis.inside import assumed_preprocessing

    load = partial(kit.Classifier.load, model, class_names=options.classes)
    # Left empty, as by a variable that is not set, they are refused.
    if options.preprocessing is not None:
        file = Path(options.preprocessing)
        # Of a file that cannot be read, `from_config` says what it should have been.
        text = small_file(file).decode(errors="replace") if file.is_file() else ""
        if '"kit.preprocessing"' in text:
            preprocessing = kit.Preprocessing.from_json(text)
            return load(preprocessing=preprocessing)
        preprocessing = kit.Preprocessing.from_config(file)
    elif options.application is not None:
        preprocessing = kit.Preprocessing.for_application(options.application)
    elif options.scaling is not None:
        preprocessing = kit.Preprocessing(scaling=options.scaling)
    else:
        opened = store.read_model(model)
        # What its maker says of another format is read where it is tried.
        if opened.network or opened.preprocessing:
            classifier = load()
            if classifier.preprocessing:
                return classifier
        raise ValueError(
            "Expected a model that carries its preprocessing, received one without; "
            "add --scaling, --application or --preprocessing (see --help)"
        )
    classifier = load()
    usual = assumed_preprocessing(classifier)
    if options.scaling is not None:
        return classifier.using(usual.replace(scaling=preprocessing.scaling))
    size = preprocessing.size
    if options.application is not None:
        size = fitted(preprocessing, classifier.input_shape).size or size
    return classifier.using(preprocessing.replace(size=size, layout=usual.layout))


def _labels(options: argparse.Namespace) -> Any:
    if options.labels in (None, "folders"):
        return options.labels
    return [part.strip() or None for part in options.labels.split(",")]


_COMMANDS: dict[_Run, tuple[str, ...]] = {
    _diagnose: ("model", "--details", "--labels", "pictures", "--json"),
    _pin: ("model", "--expect", "--cases", "--note", "pictures"),
    _verify: ("model", "cases", "--artefacts", "--update", "--junit", "--json"),
    _compare: ("model", "other", "--labels", "pictures", "--json"),
    _mistakes: ("model", "folder", "--html"),
    _export: ("model", "--labels", "--title", "--text", "photos", "page"),
    _check: (),
    _lessons: ("folder",),
    _import: ("old", "new"),
}
"""The arguments of each command, out of `_ARGUMENTS`."""

if __name__ == "__main__":
    run_and_exit()
