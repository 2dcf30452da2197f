"""A folder of cases: a JSON file for each, and their pictures beside them, named by their contents."""

import errno
import hashlib
import os
import re
from dataclasses import replace
from datetime import datetime
from io import BytesIO
from os import PathLike
from pathlib import Path
from uuid import uuid4

from PIL import Image

from kit.classifier.archive.writing import flush_folder, replacing
from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.regression.case import Case

PICTURES = "pictures"
"""Folder of the pictures, below that of the cases."""
MAKE_ONE = "make one with kit.pin, or python -m kit pin MODEL.keras PICTURE --cases FOLDER"
CASE_BYTES = 2_000_000
"""No more is read of a file."""
_NAMED = re.compile(r"[^\w.-]+")
_LONGEST = 80
_TRIES = 10_000


def picture_of(photo: Photo) -> tuple[bytes, str]:
    """Return the file that a photo is kept as, and its ending: the one that it came from, or a PNG."""
    if photo.file is not None:
        with Image.open(BytesIO(photo.file)) as image:
            kind = (image.format or "png").lower()
        return photo.file, {"jpeg": "jpg", "tiff": "tif"}.get(kind, kind)
    return encoded(photo.pixels), "png"


def keep_picture(folder: str | PathLike[str], photo: Photo) -> tuple[str, str]:
    """Write the file of a photo once, and return its path in the folder and its SHA-256."""
    data, ending = picture_of(photo)
    digest = hashlib.sha256(data).hexdigest()
    place = f"{PICTURES}/{digest[:16]}.{ending}"
    target = Path(folder) / place
    if not target.exists():
        write(target, data)
    return place, digest


def keep(folder: str | PathLike[str], case: Case) -> Path:
    """Write a case beside those that are there, and return its path.

    The file appears whole or not at all; where one of its name is there, a number is added.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f".{uuid4().hex}.draft"
    try:
        for count in range(1, _TRIES):
            name = case.name if count == 1 else f"{case.name}-{count}"
            write(draft, replace(case, name=name).to_json().encode())
            if _take(draft, path := target / f"{name}.json"):
                flush_folder(target)
                return path
    finally:
        draft.unlink(missing_ok=True)
    raise FileExistsError(f"Expected fewer than {_TRIES} cases named {case.name!r} in {target.name!r}")


def overwrite(path: Path, case: Case) -> None:
    """Write a case in place of the one that is there, in one step."""
    write(path, case.to_json().encode())


def read(path: Path) -> Case:
    """Read one case.

    Raises
    ------
    ValueError
        No case, in one line.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("Expected a file, received something else")  # noqa: TRY301 (told with its name)
        with path.open("rb") as file:
            text = file.read(CASE_BYTES + 1)[:CASE_BYTES].decode()
        return replace(Case.from_json(text), name=path.stem)
    except (OSError, TypeError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ValueError(f"{path.name}: {reason}") from error


def paths(folder: str | PathLike[str]) -> list[Path]:
    """Return the files of all cases of a folder, by name.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """
    place = Path(folder)
    if not place.is_dir():
        raise FileNotFoundError(
            f"Expected a folder of cases, received {place.name!r}, which is none; {MAKE_ONE}"
        )
    return sorted(path for path in place.glob("*.json") if not path.name.startswith("."))


def photo_of(folder: str | PathLike[str], case: Case) -> Photo:
    """Open the picture of a case.

    Raises
    ------
    ValueError
        It is not there, or another one.
    """
    path = Path(folder) / case.picture
    try:
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, "no such file")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"Expected the picture {case.picture}, received none ({error.strerror}); copy it there"
        ) from error
    if case.sha256 and hashlib.sha256(data).hexdigest() != case.sha256:
        raise ValueError(
            f"Expected the picture {case.picture} as it was, received another file; copy the old one there"
        )
    return load_image(data, name=Path(case.picture).name)


def name_for(*words: str) -> str:
    """Return a name for a case that is good for files everywhere."""
    parts = [_NAMED.sub("-", word).strip("-.") for word in words if word]
    return "-".join(part for part in parts if part).lower()[:_LONGEST].rstrip("-.") or "case"


def today() -> str:
    """Return the date here, as 2026-01-31."""
    return datetime.now().astimezone().date().isoformat()


def write(target: Path, data: bytes) -> None:
    """Write a file in one step, over the one that is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as stream:
        stream.write(data)


def _take(draft: Path, path: Path) -> bool:
    """Give a draft its name, unless a file has it; no other process can come between."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without links.
        try:
            with path.open("xb"):
                pass
        except FileExistsError:
            return False
        draft.replace(path)
    return True
