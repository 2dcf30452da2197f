"""Takes the names of a person and of a machine out of a text."""

import getpass
import os
import platform
import re
from contextlib import suppress
from pathlib import Path

# Accounts of containers and hubs, which name nobody; the words stand in texts of other meaning, too.
_NOBODY = {"", "root", "user", "jovyan", "runner", "codespace", "localhost"}
_OF_A_HOME = re.compile(r"((?:/home|/Users|\b[A-Za-z]:[\\/]+Users)[\\/]+)[^\\/\s'\"<>:|]+")


def anonymous(text: str) -> str:
    """Return a text without the path of the home folder and the names of its user and of this machine.

    Paths through other people's home folders lose the names as well. A name is taken out where it stands as a
    word of its own, in any case; those of accounts that name nobody, such as root, are left.
    """
    for home in _homes():
        text = text.replace(home, "~")
    text = _OF_A_HOME.sub(r"\g<1>(user)", text)
    for word, names in (("(user)", _users()), ("(machine)", _machines())):
        for name in sorted(names - _NOBODY, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", word, text, flags=re.IGNORECASE)
    return text


def _homes() -> list[str]:
    """Return the home folder as texts, JSON and file URLs spell it, the longest first."""
    try:
        home = Path.home()
    except RuntimeError:
        return []
    paths = {str(home), str(home.resolve())}
    spelled = {path.replace("\\", sign) for path in paths for sign in ("\\", "\\\\", "/")}
    # Accounts of services may live at the root of the disk.
    return sorted((path for path in spelled if len(path) > 3), key=len, reverse=True)


def _users() -> set[str]:
    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "JUPYTERHUB_USER")}
    # In some containers no account has this number.
    with suppress(KeyError, OSError, ImportError):
        names.add(getpass.getuser())
    return {name.lower() for name in names}


def _machines() -> set[str]:
    name = platform.node().lower()
    return {name, name.partition(".")[0]}
