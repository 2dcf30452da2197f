"""The version, and where bundled files lie: in a wheel within the package, in a checkout beside it, once."""

import os
from pathlib import Path

__version__ = "0.1.0"

_PACKAGE = Path(__file__).resolve().parent
_HOME = _PACKAGE if (_PACKAGE / "data").is_dir() else _PACKAGE.parent
DATA = _HOME / "data"
LESSONS = _HOME / "notebooks"


def search_path() -> str:
    """Return the ``PYTHONPATH`` with which another process of this Python finds the kit, wherever it runs."""
    folders = str(_PACKAGE.parent), os.environ.get("PYTHONPATH")
    return os.pathsep.join(filter(None, folders))
