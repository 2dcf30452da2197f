"""Fetch the packages that the pictures are made from, by name, through apt, npm and Python's own packages."""

import importlib.resources
import struct
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).resolve().parents[1]
CACHE = Path(tempfile.gettempdir()) / "classifier-investigation-kit-sources"


def read(package: str, path: str) -> bytes:
    """Contents of a file in a package: ``apt:name``, ``npm:name`` or ``python:name``.

    A path into a Qt resource file is written ``file.rcc!/path``.
    """
    kind, name = package.split(":", 1)
    if kind == "python":
        return importlib.resources.files(name).joinpath(path).read_bytes()
    folder = _unpacked_deb(name) if kind == "apt" else _unpacked_npm(name)
    outer, _, inner = path.partition("!")
    contents = (folder / outer).read_bytes()
    return dict(qt_resources(contents))[inner] if inner else contents


def _unpacked_deb(name: str) -> Path:
    """Folder with the contents of a Debian package, fetched on the first call."""
    folder, downloads = CACHE / name, CACHE / "downloads"
    if not folder.exists():
        downloads.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", name], cwd=downloads, check=True)
        (deb,) = downloads.glob(f"{name}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", deb, folder], check=True)
    return folder


def _unpacked_npm(name: str) -> Path:
    """Folder with the contents of an npm package, fetched on the first call."""
    folder, downloads = CACHE / name.replace("/", "-").lstrip("@"), CACHE / "downloads"
    if not folder.exists():
        downloads.mkdir(parents=True, exist_ok=True)
        packing = subprocess.run(
            ["npm", "pack", "--silent", name],
            cwd=downloads,
            check=True,
            capture_output=True,
            text=True,
        )
        with tarfile.open(downloads / packing.stdout.strip()) as archive:
            archive.extractall(folder, filter="data")
    return folder


def qt_resources(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Paths and contents in a compiled Qt resource file (``rcc --binary``), versions 1 to 3."""
    version, tree, data, names = struct.unpack_from(">4xIIII", blob)
    entry = 14 if version == 1 else 22

    def walk(index: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + entry * index
        name_at, flags, first, second = struct.unpack_from(">IHII", blob, at)
        length = struct.unpack_from(">H", blob, names + name_at)[0]
        name = blob[names + name_at + 6 :][: 2 * length].decode("utf-16-be")
        path = f"{folder}/{name}" if index else ""
        if flags & 2:  # a folder: number of children, index of the first
            for child in range(second, second + first):
                yield from walk(child, path)
        else:
            offset = data + second
            size = struct.unpack_from(">I", blob, offset)[0]
            contents = blob[offset + 4 : offset + 4 + size]
            yield path, zlib.decompress(contents[4:]) if flags & 1 else contents

    yield from walk(0, "")
