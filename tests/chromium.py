"""Where this machine has a Chrome or Chromium, and how to start it so that it talks to nobody else."""

import os
import shutil
from pathlib import Path

NAMES = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "chrome",
)
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "%PROGRAMFILES%/Google/Chrome/Application/chrome.exe",
    "%PROGRAMFILES(X86)%/Google/Chrome/Application/chrome.exe",
    "%LOCALAPPDATA%/Google/Chrome/Application/chrome.exe",
)
FLAGS = (
    "--no-sandbox",  # root, as in containers, gets no sandbox; the only pages opened are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a moving pattern, where there is none
    "--use-fake-ui-for-media-stream",  # and nobody to ask for it
)


def find():
    """Return the program that KIT_BROWSER names, else an installed Chrome or Chromium, else None."""
    if named := os.environ.get("KIT_BROWSER"):
        return named
    on_path = (shutil.which(name) for name in NAMES)
    in_folders = (
        path for path in map(os.path.expandvars, APPLICATIONS) if Path(path).is_file()
    )
    return next(filter(None, [*on_path, *in_folders]), None)


def launch(playwright):
    """Start the browser found, else Playwright's own, with Playwright's sync or async interface.

    Raises playwright's Error when there is neither. The full browser is asked for by its new headless mode,
    since the old one paints differently from what people see.
    """
    executable = find()
    if executable is None:
        return playwright.chromium.launch(channel="chromium", args=[*FLAGS])
    return playwright.chromium.launch(executable_path=executable, args=[*FLAGS])
