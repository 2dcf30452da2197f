"""The command line: ``python -m kit diagnose MODEL.keras PICTURE… [--labels …] [--json]``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

CLEAN, NAMED, CANNOT_TELL, BAD_INPUT = range(4)
"""Exit codes."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0: nothing is wrong. 1: a cause is named. 2: it cannot be told. 3: bad input, told in one line.
    """
    given = _parser().parse_args(arguments)
    try:
        return _diagnose(given)
    except (OSError, TypeError, ValueError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        sys.stderr.write(f"kit diagnose: {line}\n")
        return BAD_INPUT


def _parser() -> _Parser:
    parser = _Parser(prog="kit", description="Find out why an image classifier gets a picture wrong.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    diagnose = commands.add_parser(
        "diagnose",
        help="name the cause",
        description="Name the cause. Exit codes: 0 clean, 1 a cause named, 2 cannot tell, 3 bad input.",
    )
    diagnose.add_argument("model", metavar="MODEL.keras")
    diagnose.add_argument("pictures", metavar="PICTURE", nargs="+")
    diagnose.add_argument(
        "--labels", help="the right classes, by name or index, separated by commas; empty where unknown"
    )
    diagnose.add_argument(
        "--preprocessing", metavar="FILE.json", help="the preprocessing in use, in place of the model's own"
    )
    diagnose.add_argument("--application", metavar="NAME", help="the same, by a name of keras.applications")
    diagnose.add_argument("--json", action="store_true", help="print JSON instead of text")
    return parser


def _diagnose(given: argparse.Namespace) -> int:
    from kit.classifier import Classifier  # noqa: PLC0415 (--help stays fast)
    from kit.diagnosis import diagnose  # noqa: PLC0415
    from kit.images import load_image  # noqa: PLC0415
    from kit.preprocessing import Preprocessing  # noqa: PLC0415

    preprocessing = None
    if given.application is not None:
        preprocessing = Preprocessing.for_application(given.application)
    if given.preprocessing is not None:
        text = Path(given.preprocessing).read_text(encoding="utf-8")
        ours = '"kit.preprocessing"' in text
        preprocessing = (
            Preprocessing.from_json(text) if ours else Preprocessing.from_config(Path(given.preprocessing))
        )
    photos = [load_image(path) for path in given.pictures]
    classifier = Classifier.load(given.model, preprocessing=preprocessing)
    if classifier.preprocessing is None:
        raise ValueError(
            f"Expected a model that carries its preprocessing, received {Path(given.model).name!r} without; "
            "give --preprocessing FILE.json or --application NAME"
        )
    labels = None if given.labels is None else _labels(given.labels, classifier.class_names)
    diagnosis = diagnose(classifier, photos, labels)
    shown = json.dumps(diagnosis.to_dict(), indent=2, ensure_ascii=False) if given.json else diagnosis.text()
    sys.stdout.write(f"{shown}\n")
    return {"clean": CLEAN, "named": NAMED, "cannot_tell": CANNOT_TELL}[diagnosis.verdict]


def _labels(text: str, class_names: Sequence[str]) -> list[int | str | None]:
    """Read labels; a class may have a number for its name, which then comes first."""
    parts = [part.strip() for part in text.split(",")]
    return [
        int(part) if part.isdecimal() and part not in class_names else part or None for part in parts
    ]


if __name__ == "__main__":
    sys.exit(main())
