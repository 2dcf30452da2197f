"""Where bundled files lie: in a wheel within the package, in a checkout beside it, once."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_HOME = _PACKAGE if (_PACKAGE / "data").is_dir() else _PACKAGE.parent
DATA = _HOME / "data"
LESSONS = _HOME / "notebooks"
