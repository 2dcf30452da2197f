"""The command line: ``python -m kit COMMAND``; ``--help`` lists them."""

# So that an older Python can run `check`, which says that it is too old.
from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import kit
from kit.regression import commands as regression
from kit.regression.commands import Open, show

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
            _import(module)
        code: int = given.run(given, _classifier)
    except KeyboardInterrupt:
        line, code = "interrupted", INTERRUPTED
    except OSError as error:
        line, code = str(error), BAD_INPUT
        if error.filename is not None:  # said by the system alone
            line = f"Expected a path to open, received {str(error.filename)!r} ({error.strerror}); check it"
    except (ImportError, TypeError, ValueError) as error:
        line, code = str(error) or type(error).__name__, BAD_INPUT
        if isinstance(error, ImportError):
            line += "; make environment installs what is needed, for .venv/bin/python -m kit"
    except Exception:  # noqa: BLE001 (ours; Python's own 1 would be read as a result)
        line, code = traceback.format_exc(), CRASHED
    else:
        return code
    said = line if code == CRASHED else " ".join(line.split())
    sys.stderr.write(f"{PROGRAM} {given.command}: {said}\n")
    return code


def _import(module: str) -> None:
    """Import a module that registers layers; ``python -m`` looks in the folder at hand first."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import_module(module)
    except (Exception, SystemExit) as error:  # whatever a person's module raises
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"Expected a module to import, received {module!r} ({reason})") from error


def _parser() -> _Parser:
    parser = _Parser(prog=PROGRAM, description="Find out why an image classifier gets an image wrong.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {kit.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command", parser_class=_Parser)
    codes = "nothing serious found, 1 a cause is named, 2 cannot tell"
    diagnose = _command(commands, "diagnose", _diagnose, "name the cause of wrong predictions", codes)
    diagnose.add_argument("model", metavar="MODEL.keras")
    diagnose.add_argument("--labels", help="true classes by name or index, with commas; empty where unknown")
    diagnose.add_argument("--details", action="store_true", help="print all findings with their numbers")
    regression.add(commands, _add_in_use)
    codes = "no prediction changes, 1 some change"
    compare = _command(commands, "compare", _compare, "compare two models on the same images", codes)
    compare.add_argument("first", metavar="A.keras")
    compare.add_argument("second", metavar="B.keras")
    words = "list the images that a model predicts wrongly"
    mistakes = _command(commands, "mistakes", _mistakes, words, "done")
    mistakes.add_argument("model", metavar="MODEL.keras")
    mistakes.add_argument("folder", metavar="FOLDER", help="with a folder of images for each class")
    mistakes.add_argument("--html", metavar="FILE.html", type=Path, help="write a page for any browser")
    _add_in_use(mistakes)
    for command in (diagnose, compare):
        command.add_argument("pictures", metavar="IMAGE", nargs="+", help="files, folders or patterns")
        command.add_argument("--json", action="store_true", help="print JSON instead of text")
        _add_in_use(command)
    words = "check that this machine can run the notebooks"
    _command(commands, "check", _check, words, "ready, 1 not")
    words = "convert a file of Keras 2 or Teachable Machine to .keras"
    importing = _command(commands, "import", _import_h5, words, "written")
    importing.add_argument("old", metavar="OLD.h5")
    importing.add_argument("new", metavar="NEW.keras")
    words = "import this module with custom layers first; can be repeated"
    for command in commands.choices.values():
        # As from Python 3.14 on: -1..1 is a value, no option.
        command._negative_number_matcher = re.compile(r"-\d")  # noqa: SLF001
        command.add_argument(
            "--import", dest="imports", metavar="MODULE", action="append", default=[], help=words
        )
    return parser


def _command(commands: Any, name: str, run: Callable[..., int], words: str, code_0: str) -> Any:
    told = f"{words[0].upper()}{words[1:]}. Exit codes: 0 {code_0}, 3 bad input."
    command = commands.add_parser(name, help=words, description=told)
    command.set_defaults(run=run)
    return command


def _add_in_use(command: argparse.ArgumentParser) -> None:
    """Add the options that say how images are prepared."""
    in_use = command.add_mutually_exclusive_group()
    words = "how your code prepares images: a file of the kit, KerasHub, Hugging Face or timm"
    in_use.add_argument("--preprocessing", metavar="FILE.json", help=words)
    in_use.add_argument("--application", metavar="NAME", help="the same, as this model of keras.applications")
    words = "the same, by how it scales pixels: 0..255, 0..1, -1..1, imagenet, caffe or lite"
    in_use.add_argument("--scaling", metavar="NAME", help=words)


def _diagnose(given: argparse.Namespace, opened: Open) -> int:
    classifier = opened(given)
    labels = None if given.labels is None else _labels(given.labels, classifier.class_names)
    diagnosis = kit.diagnose(classifier, given.pictures, labels)
    show(diagnosis.details() if given.details and not given.json else diagnosis, as_json=given.json)
    return 0 if diagnosis.undecided else DIAGNOSED[diagnosis.verdict]


def _compare(given: argparse.Namespace, opened: Open) -> int:
    models = [argparse.Namespace(**{**vars(given), "model": each}) for each in (given.first, given.second)]
    first, second = map(opened, models)
    result = kit.compare(first, second, given.pictures, progress=not given.json)
    show(result, as_json=given.json)
    return int(result.changed > 0)


def _mistakes(given: argparse.Namespace, opened: Open) -> int:
    from kit.classifier.store import replacing

    result = kit.mistakes(opened(given), given.folder)
    if given.html:
        with replacing(given.html) as stream:
            stream.write(result.page().encode())
    show(result, as_json=False)
    return 0


def _check(_given: argparse.Namespace, _opened: Open) -> int:
    setup = kit.check_setup()
    sys.stdout.write(f"\n{setup}\n")
    return int(bool(setup.missing))


def _import_h5(given: argparse.Namespace, _opened: Open) -> int:
    left_out = kit.import_h5(given.old, given.new)
    without = f", without {', '.join(left_out)}" if left_out else ""
    sys.stdout.write(f"{given.new}: architecture and weights of {given.old}{without}\n")
    return 0


def _classifier(given: argparse.Namespace) -> kit.Classifier:
    """Open the model with the preprocessing in use; what is wrong is said before anything is compiled."""
    from kit.classifier import store
    from kit.diagnosis.inside import assumed_preprocessing

    if given.preprocessing is not None:
        file = Path(given.preprocessing)
        if '"kit.preprocessing"' in (text := file.read_text(encoding="utf-8", errors="replace")):
            return kit.Classifier.load(given.model, preprocessing=kit.Preprocessing.from_json(text))
        named = kit.Preprocessing.from_config(file)
    elif given.application is not None:
        named = kit.Preprocessing.for_application(given.application)
    elif given.scaling is not None:
        named = kit.Preprocessing(scaling=given.scaling)
    elif (store.read(given.model).contract or {}).get("preprocessing") is not None:
        return kit.Classifier.load(given.model)
    else:
        advice = "add --scaling, --application or --preprocessing (see --help)"
        raise ValueError(f"Expected a model that carries its preprocessing, received one without; {advice}")
    classifier = kit.Classifier.load(given.model)
    usual = assumed_preprocessing(classifier)
    if given.scaling is not None:
        return classifier.using(usual.replace(scaling=named.scaling))
    size = named.size if given.application is None else usual.size or named.size
    return classifier.using(named.replace(size=size, layout=usual.layout))


def _labels(text: str, class_names: Sequence[str]) -> list[int | str | None]:
    """Read labels; a class may have a number for its name, which then comes first."""
    parts = [part.strip() for part in text.split(",")]
    return [int(part) if part.isdecimal() and part not in class_names else part or None for part in parts]


if __name__ == "__main__":
    sys.exit(main())
