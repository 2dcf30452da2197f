"""The command line: ``python -m kit COMMAND`` or ``kit COMMAND``; ``--help`` lists them."""

# So that an older Python can run `check`, which says that it is too old.
from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import kit
from kit._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DIAGNOSED = {"clean": 0, "named": 1, "cannot_tell": 2}
BAD_INPUT, CRASHED, INTERRUPTED = 3, 70, 130
"""Exit codes, beside 0 where all holds and 1 where something changed."""
PROGRAM = "python -m kit"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; bad input is one line on stderr."""
    given = _parser().parse_args(arguments)
    try:
        for module in given.imports:
            _registered(module)
        code: int = given.run(given)
    except KeyboardInterrupt:
        line, code = "interrupted", INTERRUPTED
    except (ImportError, OSError, TypeError, ValueError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        code = BAD_INPUT
        if isinstance(error, ImportError):
            line += "; make environment installs what is needed, for .venv/bin/python -m kit"
    except Exception:  # noqa: BLE001 (ours; Python's own 1 would be read as a result)
        line, code = traceback.format_exc(), CRASHED
    else:
        return code
    sys.stderr.write(f"{PROGRAM} {given.command}: {line}\n")
    return code


def run() -> NoReturn:
    """Be the process of one command."""
    # Of the script, or at hand, where a file may have the name of a module that is imported later.
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.formatwarning = lambda message, *_: f"{PROGRAM}: {message}\n"
    sys.exit(main())


def _registered(module: str) -> None:
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
    _add_model_commands(commands)
    _command(
        commands,
        _check,
        "check that this machine can run the notebooks",
        "ready, 1 not",
    )
    _command(
        commands,
        _import,
        "convert a file of Keras 2 or Teachable Machine to .keras",
        "written",
        old="OLD.h5",
        new="NEW.keras",
    )
    return parser


def _add_model_commands(commands: Any) -> None:
    diagnose = _command(
        commands,
        _diagnose,
        "name the cause of wrong predictions",
        "nothing serious found, 1 a cause is named, 2 cannot tell",
        model="MODEL",
    )
    diagnose.add_argument("--details", action="store_true", help="print all findings")
    pin = _command(
        commands,
        _pin,
        "save images as cases, with the class that you expect",
        "pinned",
        model="MODEL",
    )
    pin.add_argument(
        "--expect", metavar="CLASS", help="expected class; default: the prediction"
    )
    pin.add_argument(
        "--cases",
        metavar="FOLDER",
        default="cases",
        help="where to save; default: cases",
    )
    pin.add_argument("--note", default="", help="why you keep it")
    verify = _command(
        commands,
        _verify,
        "test whether predictions of saved cases changed",
        "none changed, 1 some did",
        model="MODEL",
        cases="FOLDER",
    )
    verify.add_argument(
        "--artefacts", metavar="FOLDER", help="write images of what changed"
    )
    verify.add_argument(
        "--update",
        action="store_true",
        help="accept changes, if the class is as expected",
    )
    verify.add_argument(
        "--junit", metavar="FILE.xml", type=Path, help="write a JUnit report"
    )
    compare = _command(
        commands,
        _compare,
        "compare two models on the same images",
        "no prediction changes, 1 some change",
        first="MODEL",
        second="OTHER",
    )
    mistakes = _command(
        commands,
        _mistakes,
        "list images that a model predicts wrongly; FOLDER has a folder for each class",
        "done",
        model="MODEL",
        folder="FOLDER",
    )
    mistakes.add_argument("--html", metavar="FILE.html", type=Path, help="write a page")
    export = _command(
        commands,
        _export,
        "write the explorer as a page that works without Python",
        "written",
        model="MODEL",
    )
    for command in (diagnose, export):
        command.add_argument(
            "--labels", help="true classes, names or indices, with commas between"
        )
    for command in (diagnose, pin, compare, export):
        command.add_argument(
            "pictures", metavar="IMAGE", nargs="+", help="files, folders or patterns"
        )
    for command in (diagnose, verify, compare):
        command.add_argument("--json", action="store_true", help="print JSON")
    export.add_argument("page", metavar="PAGE.html", help="the page to write")


def _command(
    commands: Any, run: Callable[..., int], words: str, code_0: str, **arguments: str
) -> Any:
    """Add a command, named after its function, with its arguments in order."""
    told = f"{words[0].upper()}{words[1:]}. Exit codes: 0 {code_0}, 3 bad input."
    takes_model = "MODEL" in arguments.values()
    if takes_model:
        told += " A MODEL is a .keras, .tflite or .onnx file."
    command = commands.add_parser(run.__name__.strip("_"), help=words, description=told)
    command.set_defaults(run=run)
    if takes_model:
        _add_in_use(command)
    for name, metavar in arguments.items():
        command.add_argument(name, metavar=metavar)
    command.add_argument(
        "--import",
        dest="imports",
        metavar="MODULE",
        action="append",
        default=[],
        help="import this module first, for custom layers",
    )
    # As from Python 3.14 on: -1..1 is a value, no option.
    command._negative_number_matcher = re.compile(r"-\d")  # noqa: SLF001
    return command


def _add_in_use(command: argparse.ArgumentParser) -> None:
    """Add the options that say how images are prepared."""
    in_use = command.add_mutually_exclusive_group()
    in_use.add_argument(
        "--preprocessing",
        metavar="FILE.json",
        help="how your code prepares images: a file of the kit, KerasHub, Hugging Face or timm",
    )
    in_use.add_argument(
        "--application",
        metavar="NAME",
        help="the same, as this model of keras.applications",
    )
    in_use.add_argument(
        "--scaling",
        metavar="NAME",
        help="only how your code scales pixels: 0..255, 0..1, -1..1, imagenet, caffe or lite",
    )


def _diagnose(given: argparse.Namespace) -> int:
    classifier = _classifier(given, given.model)
    diagnosis = kit.diagnose(classifier, given.pictures, _labels(given, classifier))
    _show(
        diagnosis.details() if given.details and not given.json else diagnosis,
        as_json=given.json,
    )
    return 0 if diagnosis.undecided else DIAGNOSED[diagnosis.verdict]


def _pin(given: argparse.Namespace) -> int:
    from kit.images import as_photos
    from kit.regression.cases import read_case

    classifier = _classifier(given, given.model)
    expected = (
        None if given.expect is None else _label(given.expect, classifier.class_names)
    )
    for photo in as_photos(
        given.pictures
    ):  # nothing is written where one of them cannot be read
        path = kit.pin(given.cases, classifier, photo, expected, note=given.note)
        case = read_case(path)
        name, share = case.observed.top
        state = "still failing" if case.known_to_fail else "as expected"
        sys.stdout.write(f"{path}: {name}, {share:.3f}, {state}\n")
    return 0


def _verify(given: argparse.Namespace) -> int:
    from kit.regression.cases import write_file

    result = kit.check_cases(
        given.cases,
        _classifier(given, given.model),
        artefacts=given.artefacts,
        update=given.update,
        progress=not given.json,
    )
    _show(result, as_json=given.json)
    if given.junit:
        write_file(given.junit, result.junit().encode())
    return int(not result.holds)


def _compare(given: argparse.Namespace) -> int:
    result = kit.compare(
        _classifier(given, given.first),
        _classifier(given, given.second),
        given.pictures,
        progress=not given.json,
    )
    _show(result, as_json=given.json)
    return int(result.changed > 0)


def _mistakes(given: argparse.Namespace) -> int:
    from kit.regression.cases import write_file

    result = kit.mistakes(_classifier(given, given.model), given.folder)
    _show(result)
    if given.html:
        write_file(given.html, kit.plots.mistakes_page(result).encode())
    return 0


def _export(given: argparse.Namespace) -> int:
    classifier = _classifier(given, given.model)
    kit.Explorer(classifier, given.pictures, _labels(given, classifier)).export(
        given.page
    )
    return 0


def _show(result: Any, *, as_json: bool = False) -> None:
    from kit._reporting import json_value

    text = result.text()
    if as_json:
        text = json.dumps(
            json_value(result.to_dict()), indent=2, ensure_ascii=False, allow_nan=False
        )
    sys.stdout.write(f"{text}\n")


def _check(_given: argparse.Namespace) -> int:
    setup = kit.check_setup()
    sys.stdout.write(f"\n{setup}\n")
    return int(bool(setup.missing))


def _import(given: argparse.Namespace) -> int:
    left_out = kit.import_h5(given.old, given.new)
    without = f", without {', '.join(left_out)}" if left_out else ""
    sys.stdout.write(f"{given.new}: architecture and weights of {given.old}{without}\n")
    return 0


def _classifier(given: argparse.Namespace, model: str) -> kit.Classifier:
    """Open the model with the preprocessing in use; what is wrong is said before anything is compiled."""
    from kit.classifier import store
    from kit.diagnosis.inside import assumed_preprocessing

    if given.preprocessing is not None:
        file = Path(given.preprocessing)
        if '"kit.preprocessing"' in (
            text := file.read_text(encoding="utf-8", errors="replace")
        ):
            return kit.Classifier.load(
                model, preprocessing=kit.Preprocessing.from_json(text)
            )
        named = kit.Preprocessing.from_config(file)
    elif given.application is not None:
        named = kit.Preprocessing.for_application(given.application)
    elif given.scaling is not None:
        named = kit.Preprocessing(scaling=given.scaling)
    else:
        opened = store.read_model(model)
        # What its maker says of another format is read where it is tried.
        if opened.network or opened.preprocessing():
            classifier = kit.Classifier.load(model)
            if classifier.preprocessing:
                return classifier
        raise ValueError(
            "Expected a model that carries its preprocessing, received one without; "
            "add --scaling, --application or --preprocessing (see --help)"
        )
    classifier = kit.Classifier.load(model)
    usual = assumed_preprocessing(classifier)
    if given.scaling is not None:
        return classifier.using(usual.replace(scaling=named.scaling))
    size = named.size if given.application is None else usual.size or named.size
    return classifier.using(named.replace(size=size, layout=usual.layout))


def _labels(
    given: argparse.Namespace, classifier: kit.Classifier
) -> list[int | str | None] | None:
    if given.labels is None:
        return None
    return [
        _label(part.strip(), classifier.class_names) for part in given.labels.split(",")
    ]


def _label(text: str, class_names: Sequence[str]) -> int | str | None:
    """Read a label; a class may have a number for its name, which then comes first."""
    return int(text) if text.isdecimal() and text not in class_names else text or None


if __name__ == "__main__":
    run()
