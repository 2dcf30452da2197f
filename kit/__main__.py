"""The command line: ``python -m kit COMMAND``; ``--help`` lists them."""

# So that an older Python can run `check`, which says that it is too old.
from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kit.regression import commands as regression
from kit.workshop import setup as workshop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kit.classifier import Classifier
    from kit.preprocessing import Preprocessing

CLEAN, NAMED, CANNOT_TELL, BAD_INPUT = range(4)
"""Exit codes."""
INTERRUPTED = 130
"""The one that shells give to a program that was interrupted."""
PROGRAM = "python -m kit"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    Of ``diagnose``, 0: no fault is found, or none that is loud. 1: a cause is named. 2: it cannot be told. Of
    the others, 0: all holds. 1: something moved. Of all, 3: bad input, told in one line. 130: interrupted.
    """
    given = _parser().parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    command = f"{PROGRAM} {given.command}"
    try:
        for module in given.imports:
            _import(module)
        code: int = given.run(given, _classifier)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has read enough, as head does; what is left would be written once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD_INPUT
    except (ImportError, OSError, TypeError, ValueError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, ImportError):
            line += "; make environment installs what is needed, for .venv/bin/python -m kit"
        if isinstance(error, OSError) and error.filename is not None:  # said by the system alone
            line = f"Expected another path than {str(error.filename)!r}, received: {error.strerror}; try one"
        sys.stderr.write(f"{command}: {line}\n")
        return BAD_INPUT
    except KeyboardInterrupt:
        sys.stderr.write(f"{command}: interrupted\n")
        return INTERRUPTED
    return code


def _import(module: str) -> None:
    """Import a module that registers layers; ``python -m`` looks in the folder at hand first."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import_module(module)
    except (Exception, SystemExit) as error:  # whatever a person's module raises
        raise ValueError(
            f"Expected a module that can be imported, received {module!r} ({type(error).__name__}: {error})"
        ) from error


def _joined(arguments: Sequence[str]) -> list[str]:
    """Write the name of a scaling behind its option: -1..1 by itself would be taken for an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--scaling":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _parser() -> _Parser:
    parser = _Parser(prog=PROGRAM, description="Find out why an image classifier gets a picture wrong.")
    version = import_module("kit").__version__
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command", parser_class=_Parser)
    diagnose = commands.add_parser(
        "diagnose",
        help="name the cause",
        description="Name the cause. Exit codes: 0 clean, 1 a cause named, 2 cannot tell, 3 bad input.",
    )
    diagnose.add_argument("model", metavar="MODEL.keras")
    diagnose.add_argument("pictures", metavar="PICTURE", nargs="+", help="files, folders or patterns")
    diagnose.add_argument(
        "--labels", help="the right classes, by name or index, separated by commas; empty where unknown"
    )
    _add_in_use(diagnose)
    diagnose.add_argument("--json", action="store_true", help="print JSON instead of text")
    diagnose.set_defaults(run=_diagnose)
    regression.add(commands, _add_in_use)
    workshop.add(commands)
    for command in commands.choices.values():
        # Shortened names of options would not be seen in time; see `_joined`.
        command.allow_abbrev = False
        told = "a module that registers custom layers, imported first; may be repeated"
        command.add_argument(
            "--import", dest="imports", metavar="MODULE", action="append", default=[], help=told
        )
    return parser


def _add_in_use(command: argparse.ArgumentParser) -> None:
    """Add the options that say how pictures are prepared."""
    in_use = command.add_mutually_exclusive_group()
    options = {
        "--preprocessing FILE.json": "the preprocessing in use, in place of the model's own: what "
        "Preprocessing.to_json gives, or a file of KerasHub, Hugging Face or timm",
        "--application NAME": "the same, by a name of keras.applications, in the size of the model's input",
        "--scaling NAME": "the same, for RGB resized to the model's input, by the name of the scaling: "
        "0..255, 0..1, -1..1, imagenet, caffe or lite",
    }
    for option, told in options.items():
        flag, metavar = option.split()
        in_use.add_argument(flag, metavar=metavar, help=told)


def _diagnose(given: argparse.Namespace, opened: Callable[[argparse.Namespace], Classifier]) -> int:
    from kit._reporting import plain  # noqa: PLC0415 (--help stays fast)
    from kit.diagnosis import diagnose  # noqa: PLC0415
    from kit.images import as_photos  # noqa: PLC0415

    photos = as_photos(given.pictures)
    classifier = opened(given)
    labels = None if given.labels is None else _labels(given.labels, classifier.class_names)
    diagnosis = diagnose(classifier, photos, labels)
    if given.json:
        shown = json.dumps(plain(diagnosis.to_dict()), indent=2, ensure_ascii=False, allow_nan=False)
    else:
        shown = diagnosis.text()
    sys.stdout.write(f"{shown}\n")
    if diagnosis.undecided:
        return CLEAN
    return {"clean": CLEAN, "named": NAMED, "cannot_tell": CANNOT_TELL}[diagnosis.verdict]


def _classifier(given: argparse.Namespace) -> Classifier:
    """Open the model with the preprocessing in use; what is missing is told before anything is compiled."""
    from kit.classifier import Classifier, store  # noqa: PLC0415
    from kit.diagnosis.checks_input import assumed_preprocessing  # noqa: PLC0415
    from kit.preprocessing import Preprocessing  # noqa: PLC0415

    if given.application is given.scaling is given.preprocessing is None:
        if (store.read(given.model).contract or {}).get("preprocessing") is None:
            name = Path(given.model).name
            raise ValueError(
                f"Expected a model that carries its preprocessing, received {name!r} without;"
                " say how your code prepares a picture: --scaling 0..1, --application MobileNetV2 or "
                "--preprocessing FILE.json (see --help)"
            )
        return Classifier.load(given.model)
    # Refused before the model is opened, if the name is wrong.
    if given.preprocessing is not None:
        named, ours = _preprocessing(given.preprocessing)
        if ours:
            return Classifier.load(given.model, preprocessing=named)
    elif given.application is not None:
        named = Preprocessing.for_application(given.application)
    else:
        named = Preprocessing(scaling=given.scaling)
    classifier = Classifier.load(given.model)
    usual = assumed_preprocessing(classifier)
    if given.scaling is not None:
        return classifier.using(usual.replace(scaling=named.scaling))
    size = named.size if given.application is None else usual.size or named.size
    return classifier.using(named.replace(size=size, layout=usual.layout))


def _preprocessing(path: str) -> tuple[Preprocessing, bool]:
    """Read a preprocessing, and say whether it is a file of the kit's, which tells the order of axes, too."""
    from kit.preprocessing import Preprocessing  # noqa: PLC0415

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        raise ValueError(
            f"Expected a preprocessing as a JSON file, received {path!r} ({reason}); write one with "
            "kit.Preprocessing(…).to_json()"
        ) from error
    ours = '"kit.preprocessing"' in text
    return (Preprocessing.from_json(text) if ours else Preprocessing.from_config(Path(path))), ours


def _labels(text: str, class_names: Sequence[str]) -> list[int | str | None]:
    """Read labels; a class may have a number for its name, which then comes first."""
    parts = [part.strip() for part in text.split(",")]
    return [int(part) if part.isdecimal() and part not in class_names else part or None for part in parts]


if __name__ == "__main__":
    sys.exit(main())
