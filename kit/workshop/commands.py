"""The command ``check``."""

import argparse
import sys
from typing import Any

READY, NOT_READY = 0, 1
"""Exit codes; 3 is bad input, as everywhere."""


def add(commands: Any) -> None:
    """Add the command to a parser."""
    check = commands.add_parser(
        "check",
        help="check that this machine can run the notebooks",
        description="Check that this machine can run the notebooks. Exit codes: 0 ready, 1 not.",
    )
    check.set_defaults(run=run_check)


def run_check(_given: argparse.Namespace, _opened: object) -> int:
    """Check this machine, a line for each thing as soon as it is known."""
    from kit.workshop.setup import check_setup  # noqa: PLC0415 (--help stays fast)

    setup = check_setup()
    sys.stdout.write(f"\n{setup}\n")
    return READY if setup.ready else NOT_READY
