"""Takes folders and the names of a person and of a machine out of texts and code."""

import ast
import getpass
import os
import platform
import re
import tokenize
import warnings
from contextlib import suppress
from io import StringIO
from itertools import accumulate
from pathlib import Path

# Accounts of containers and hubs, which name nobody; the words stand in texts of other meaning, too.
_NOBODY = {"", "root", "user", "jovyan", "runner", "codespace", "localhost"}
_SHORT = 4
"""Names with fewer letters are words and functions as well: max, will."""
_SPOKEN = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
"""Tokens in which names and paths stand; Python 3.12 splits f-strings."""
# POSIX (in code a written \n may stand before), UNC, a drive, file URLs; not the host of an address, nor a/b.
_ROOT = (
    r"(?:(?:(?<![\w.)\]/\\])|(?<=\\[nrt]))/(?![/\s])|(?<![\w:/\\])(?://|\\\\+)(?=\w)"
    r"|(?<![^\W_])[A-Za-z]:[\\/]+|\bfile:/+)"
)
_HOME = r"(?<![\w~])~(?:[^\W\d][\w.-]*)?[\\/]+"
_WORD = r"(?:[^\s\\/'\"<>|:*?`]|(?<=\w)'(?=\w))+"
# Blanks may stand in a folder, but not behind what ends like a file: there a sentence goes on.
_FOLDER = rf"(?:(?![^\s\\/]*\.[A-Za-z]\w{{0,7}}\W?\s){_WORD}[ ]+){{0,7}}{_WORD}[\\/]+"
_LAST = r"(?:[^\s\\/'\"<>|:*?`,;()\[\]]*\w)?"
_QUOTED = rf"(?<=['\"`])(?:{_ROOT}[^'\"`\n]*[\\/]|{_HOME})[^'\"`\n]*(?=['\"`])"
_PATH = re.compile(rf"{_QUOTED}|(?:{_ROOT}(?:{_FOLDER})+|{_HOME}(?:{_FOLDER})*){_LAST}")
_FILE = re.compile(r".*\.[A-Za-z]\w{0,7}")


def anonymous(text: str, *, code: bool = False) -> str:
    """Return a text without folders, the names of this account and of this machine.

    Of an absolute path, or one from a home folder, the name of a file at its end is left. Names are taken out
    in any case, where no letter or digit is beside them; those of fewer than four letters only where they are
    words of their own, and not in code. Those of accounts that name nobody, such as root, are left.
    """
    return _unnamed(_PATH.sub(lambda found: _shortened(found[0]), text), code=code)


def anonymous_name(name: str) -> str:
    """Return the name of a file without those of this account and of this machine, however short."""
    return _unnamed(anonymous(name), file=True)


def anonymous_code(source: str) -> str:
    """Return Python code that is `anonymous` in its texts and comments; what is not Python is a text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
        tokens = list(tokenize.generate_tokens(StringIO(source).readline))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return anonymous(source)
    begins = [0, *accumulate(map(len, StringIO(source)))]
    for token in reversed([token for token in tokens if token.type in _SPOKEN]):
        start, stop = (begins[line - 1] + column for line, column in (token.start, token.end))
        source = source[:start] + anonymous(source[start:stop], code=True) + source[stop:]
    return source


def _shortened(path: str) -> str:
    last = re.split(r"[\\/]+", path)[-1]
    return f"(path)/{_unnamed(last, file=True)}" if not last or _FILE.fullmatch(last) else "(path)"


def _unnamed(text: str, *, code: bool = False, file: bool = False) -> str:
    for word, names in (("(user)", _users(home=file)), ("(machine)", _machines())):
        for name in sorted(names - _NOBODY, key=len, reverse=True):
            if file or len(name) >= _SHORT:
                pattern = rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"
            elif code:
                continue
            else:
                pattern = rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w|\()"
            text = re.sub(pattern, word, text, flags=re.IGNORECASE)
    return text


def _users(*, home: bool) -> set[str]:
    names = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "JUPYTERHUB_USER")}
    # In some containers no account has this number, or no home.
    with suppress(KeyError, OSError, ImportError):
        names.add(getpass.getuser())
    with suppress(RuntimeError):
        names |= {Path.home().name} if home else set()
    return {name.lower() for name in names}


def _machines() -> set[str]:
    name = platform.node().lower()
    return {name, name.partition(".")[0]}
