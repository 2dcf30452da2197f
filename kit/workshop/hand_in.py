"""Packs what a learner did in a folder into one file, without names of account, machine and folders."""

import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from kit.regression import cases as folders
from kit.regression.cases import Case
from kit.workshop.personal import anonymous, anonymous_code, anonymous_name
from kit.workshop.stripping import stripped

FORMAT = "kit.hand-in/1"
CASES = "cases"
ANSWER = "answer"
"""A cell with this tag is an answer, as is one that sets a name that begins so."""
_KINDS = {
    "answers": re.compile(rf"^{ANSWER}(_\w+)?\s*[:=]", re.MULTILINE),
    "settings": re.compile(r"^[\w.]+\.settings\s*=", re.MULTILINE),
}
# How self-checks begin.
_STATE = re.compile("^(Passed|Not yet|Open)", re.MULTILINE)
_INSIDE = """What a learner hands in of a workshop with the image classifier investigation kit.

answers.json  the cells with answers and settings, with what they printed; open it with any text editor
cases/        pinned cases with their pictures: python -m kit verify MODEL.keras cases

Taken out: the name of the account and of the machine (in code only from texts and comments, and there from
four letters on), the folders of paths that begin at a disk or a home folder, owners of cases, and what
cameras write into a file (place, date, device). Still there: other names, folders of relative paths,
whatever else a person wrote, names of files and classes, and all that a picture shows, such as faces.
"""


@dataclass
class Found:
    """What a folder holds: cells for ``answers.json``, files for the archive, what was left out and why."""

    cells: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in _KINDS})
    files: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def told(self) -> Iterator[str]:
        """Yield in words what there is."""
        states = Counter(cell["state"] for cell in self.cells["answers"])
        told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        yield f"answers: {len(self.cells['answers'])}{f' ({told})' * bool(told)}"
        yield f"settings: {len(self.cells['settings'])}"
        number = sum(name.endswith(".json") for name in self.files)
        yield f"pinned cases: {number}, their pictures without place, date and camera"
        yield from (f"left out: {reason}" for reason in self.left_out)


def collect(folder: Path) -> Found:
    """Read the notebooks of a folder and its pinned cases; what cannot be read is told in ``left_out``."""
    found = Found()
    for path in sorted(folder.glob("*.ipynb")):
        try:
            # All of a notebook or nothing.
            for kind, cell in list(_taken(path)):
                found.cells[kind].append(cell)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"which cannot be read as a notebook ({type(error).__name__})"
            found.left_out.append(f"{_printable(path.name)}, {reason}")
    for path in folders.paths(folder / CASES) if (folder / CASES).is_dir() else []:
        try:
            _take_case(found, folder / CASES, folders.read(path))
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split()).removeprefix(f"{path.name}: ")
            found.left_out.append(_printable(f"the case {path.name}: {reason}"))
    return found


def pack(folder: Path, target: Path | None = None) -> tuple[Path, Found]:
    """Write the archive, and return where and what is in it.

    Parameters
    ----------
    folder
        With notebooks, and a folder ``cases`` where something was pinned.
    target
        The archive, a ``.zip`` in a folder that is there, new or in place of an earlier hand-in; by default
        ``hand-in-NUMBER.zip`` in the folder of the notebooks, with a number made of what is in it.

    Raises
    ------
    ValueError, OSError
        There is nothing to hand in, or the archive cannot be written there.
    """
    found = collect(folder)
    if not any(found.cells.values()) and not found.files:
        reasons = "; ".join(["", *found.left_out])
        raise ValueError(
            f"Expected a folder with notebooks that have answers, or with pinned cases in {CASES}/; received"
            f" {folder.resolve().name!r} without{reasons}; name the folder of the notebooks"
        )
    told = {
        "format": FORMAT,
        **found.cells,
        "left_out": [anonymous_name(reason) for reason in found.left_out],
    }
    answers = json.dumps(told, indent=1, ensure_ascii=False)
    files = {"README.txt": _INSIDE.encode(), "answers.json": answers.encode(), **found.files}
    data = _archive(files)
    path = target or folder / f"hand-in-{hashlib.sha256(data).hexdigest()[:6]}.zip"
    _refuse_other(path)
    if not path.parent.is_dir():
        raise ValueError(
            f"Expected a folder for {path.name}, received {path.parent.name!r}, which is none; make it first"
        )
    folders.write(path, data)
    return path, found


def _refuse_other(path: Path) -> None:
    """Raise where the file is no archive by its name, or one that something else wrote."""
    if path.suffix.lower() != ".zip":
        raise ValueError(f"Expected a file that ends in .zip, received {path.name!r}; give another name")
    ours = not path.exists()
    with suppress(OSError, ValueError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        ours = archive.comment == FORMAT.encode()
    if not ours:
        raise ValueError(
            f"Expected a new file or an earlier hand-in, received {path.name!r}, which is something else and"
            " stays as it is; give another name"
        )


def _printable(text: str) -> str:
    """Return a text that UTF-8 can write; file names may hold what it cannot."""
    return text.encode(errors="replace").decode()


def _archive(files: dict[str, bytes]) -> bytes:
    """Return a zip file without dates, so that the same contents are the same bytes."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = FORMAT.encode()
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _taken(notebook: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kind and contents of each cell that is handed in."""
    place = {"notebook": anonymous_name(_printable(notebook.name))}
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"], 1):
        source, code = "".join(cell["source"]), cell["cell_type"] == "code"
        tagged = ANSWER in cell.get("metadata", {}).get("tags", [])
        for kind, pattern in _KINDS.items():
            if (code and pattern.search(source)) or (tagged and kind == "answers"):
                output = anonymous("".join(_printed(cell.get("outputs", []))))
                said = _STATE.search(output)
                told = {"state": said[1].lower() if said else "not checked"}
                told |= {"source": (anonymous_code if code else anonymous)(source), "output": output}
                # Raises for half a character, which no file can hold.
                "".join(told.values()).encode()
                yield kind, {**place, "cell": number, **told}


def _printed(outputs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what a cell printed; pictures and tracebacks stay behind."""
    for output in outputs:
        if output["output_type"] == "error":
            yield f"{output['ename']}: {output['evalue']}"
        # Text, or a list of lines.
        yield "".join(output.get("text", output.get("data", {}).get("text/plain", "")))


def _take_case(found: Found, folder: Path, case: Case) -> None:
    file, ending = stripped(folders.photo_of(folder, case))
    digest = hashlib.sha256(file).hexdigest()
    picture = f"{folders.PICTURES}/{digest[:16]}.{ending}"
    first = folders.name_for(anonymous_name(case.name))
    # Names may be the same without those of people.
    numbered = (f"{first}-{number}" if number > 1 else first for number in count(1))
    name = next(each for each in numbered if f"{CASES}/{each}.json" not in found.files)
    kept = replace(case, name=name, picture=picture, sha256=digest, classifier=anonymous(case.classifier))
    kept = replace(kept, owner="", cause=anonymous(case.cause), note=anonymous(case.note))
    found.files[f"{CASES}/{name}.json"] = kept.to_json().encode()
    found.files[f"{CASES}/{picture}"] = file
