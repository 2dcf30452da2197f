"""A corpus of four that do all that must not be, for the test of the long form."""

import os
import signal
import warnings

DOCUMENTED = (ValueError,)
ENDS = ("opens", "raises", "dies", "warns")


def corpus(count, seed):
    yield from ((f"{number}-{name}", name.encode()) for number, name in enumerate(ENDS[:count]))


def open_one(path):
    what = path.read_text()
    if what == "raises":
        raise KeyError(what)
    if what == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "warns":
        warnings.warn(what, stacklevel=1)
