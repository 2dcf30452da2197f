"""The commands ``check`` and ``hand-in``."""

import argparse
import sys
from pathlib import Path
from typing import Any

READY, NOT_READY = 0, 1
"""Exit codes; 3 is bad input, as everywhere."""


def add(commands: Any) -> None:
    """Add the commands to a parser."""
    check = commands.add_parser(
        "check",
        help="look whether this machine has what the notebooks need",
        description="Look whether this machine is ready. Exit codes: 0 ready, 1 not.",
    )
    hand_in = commands.add_parser(
        "hand-in", help="pack answers, settings and pinned cases of a folder into a file"
    )
    hand_in.add_argument(
        "folder", metavar="FOLDER", nargs="?", default=".", help="of the notebooks (this one)"
    )
    hand_in.add_argument("--to", metavar="FILE.zip", type=Path, help="where it is written (into that folder)")
    check.set_defaults(run=run_check)
    hand_in.set_defaults(run=run_hand_in)


def run_check(_given: argparse.Namespace, _opened: object) -> int:
    """Look at this machine, and tell what to mail."""
    from kit.workshop.setup import check_setup  # noqa: PLC0415 (--help stays fast)

    setup = check_setup()
    sys.stdout.write(
        f"\n{setup}\n"
        "These lines can be mailed to your instructor: account, machine and folders are taken out.\n"
    )
    return READY if setup.ready else NOT_READY


def run_hand_in(given: argparse.Namespace, _opened: object) -> int:
    """Pack a folder, and tell what is inside."""
    from kit.workshop.hand_in import pack  # noqa: PLC0415 (--help stays fast)

    path, found = pack(Path(given.folder), given.to)
    lines = [f"{path}, {max(path.stat().st_size // 1000, 1)} kB", *(f"  {line}" for line in found.told())]
    lines.append(
        "Taken out: names of your account and this machine, folders of absolute paths, owners of cases. Still"
        " in it: other names, whatever else you wrote, what pictures show. Only what was saved is in it."
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return READY
