"""Cases: images with the class that a classifier has to predict, in a folder."""

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self
from unicodedata import normalize

import numpy as np

from kit._arrays import AnyPath, Float32, JSONObject
from kit._checking import (
    built,
    first_line,
    instance,
    known,
    nearest,
    number,
    parsed,
    small_file,
    whole,
)
from kit.classifier.classifier import Classifier, check_first, known_preprocessing
from kit.classifier.labels import known_classes
from kit.classifier.store import check_fetched, one_line_errors, replacing
from kit.images.metadata import without_metadata
from kit.images.photo import Photo, Source, load_image
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing
from kit.preprocessing.trace import StepRecord, trace_of

UNTOUCHED = Perturbation()
LEAST_PROBABILITY = 0.001
"""Smallest probability that is kept by class; the others count as none."""
TOLERANCE = 0.02
"""By how much a probability may change, unless a case says otherwise."""
FORMAT = "kit.case/1"
PICTURES = "pictures"
"""Folder of the images, below that of the cases."""
NAMES = "cases.txt"
"""File with the name of each case that was pinned, so that none goes unnoticed."""
MAKE_ONE = "make one with kit.pin or python -m kit pin"
# One file name on every system: no folder, drive or stream, and none of the devices of Windows.
_FILE = re.compile(r"(?i:(?!(con|prn|aux|nul|com\w|lpt\w)(\.|$))[\w-]([\w.-]*[\w-])?)")
_PICTURE = re.compile(f"{PICTURES}/{_FILE.pattern}")
_BETWEEN = re.compile(r"\.*[^\w.]\W*")
_LONGEST = 80
"""Bytes of a name that `pin` chooses; file systems take 255, with a number and an ending."""


def probable_classes(
    row: Float32, names: Sequence[str]
) -> tuple[tuple[int, str, float], ...]:
    """Return what an `Observed` keeps of probabilities, float32 (classes,)."""
    ranked = np.argsort(-row, kind="stable").tolist()
    return tuple(
        (index, names[index], round(float(row[index]), 6))
        for index in ranked
        if row[index] >= LEAST_PROBABILITY
    )


def current_index(index: int, name: str, names: Sequence[str]) -> int:
    """Return where a class of this index and name is now: the index, where its name is gone or not unique."""
    return names.index(name) if names.count(name) == 1 else index


@dataclass(frozen=True)
class Observed:
    """What a classifier predicted.

    Attributes
    ----------
    probabilities
        Index and name of each class with a probability of `LEAST_PROBABILITY` or more, and that probability,
        0..1; the most probable first.
    trace
        What each step left behind.
    preprocessing
        That prepared the image; None in cases of earlier versions, unless it was the classifier's own.
    """

    probabilities: tuple[tuple[int, str, float], ...]
    trace: tuple[StepRecord, ...] = ()
    preprocessing: Preprocessing | None = None

    @property
    def top(self) -> tuple[str, float]:
        """The most probable class and its probability."""
        return self.probabilities[0][1:] if self.probabilities else ("no class", 0.0)

    def moved(self, row: Float32, names: Sequence[str] = ()) -> float:
        """Return the largest change of a probability to another prediction, float32 (classes,).

        A class is found again by its name; by its place where `names` does not have that once.
        """
        # What was not kept may be anything up to that.
        before: Float32 = np.clip(np.asarray(row, np.float32), 0, LEAST_PROBABILITY)
        for index, name, probability in self.probabilities:
            place = current_index(index, name, names)
            if place >= len(row):
                return 1.0
            before[place] = probability
        # To one digit less than is kept.
        return round(float(np.abs(row - before).max(initial=0)), 5)

    def renamed(self, names: Sequence[str]) -> bool:
        """Whether a class that was predicted has another name now."""
        return any(
            name not in names[current_index(index, name, names) :][:1]
            for index, name, _ in self.probabilities
        )

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return what was predicted from JSON values; raises a TypeError or a ValueError for others."""
        raw = built(cls, "a part of a case", data)
        rows = instance("probabilities", raw.probabilities, list, "a list")
        trace = instance("trace", raw.trace, list, "a list")
        probabilities = [
            (
                whole("the index of a class", index, 0, None),
                instance("a class", name, str, "text"),
                number("a probability", probability, 0, 1),
            )
            for index, name, probability in rows
        ]
        return cls(
            probabilities=tuple(probabilities),
            trace=tuple(built(StepRecord, "a step", step) for step in trace),
            preprocessing=_preprocessing_or_none(raw.preprocessing),
        )


@dataclass(frozen=True)
class Case:
    """An image and what a classifier has to predict.

    Attributes
    ----------
    picture, sha256
        The image, ``pictures/`` and the name of a file, and the digest of that file.
    classifier, weights
        Name of the classifier that predicted, and digest of its weights, empty in some earlier cases.
    expected
        Names of classes: one of them has to be the most probable.
    observed
        What was predicted when the case was made.
    preprocessing, perturbation
        How the image is prepared, None for the classifier's own preprocessing; and what is applied before.
    fault
        A preprocessing that is known to go wrong on this image; the report says whether it still does.
    tolerance
        By how much a probability may change, 0..1.
    cause, note
        What was found, and anything else.
    """

    name: str
    picture: str
    sha256: str
    classifier: str
    weights: str
    expected: tuple[str, ...]
    observed: Observed
    preprocessing: Preprocessing | None = None
    perturbation: Perturbation = UNTOUCHED
    fault: Preprocessing | None = None
    tolerance: float = TOLERANCE
    cause: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.type is str:
                instance(field.name, getattr(self, field.name), str, "text")
        object.__setattr__(self, "tolerance", number("tolerance", self.tolerance, 0, 1))
        if not _PICTURE.fullmatch(self.picture):
            raise ValueError(
                f"Expected the name of a file below {PICTURES}/, received {self.picture!r}"
            )
        names = instance("expected", self.expected, Sequence, "names of classes")
        if isinstance(names, str) or set(map(type, names)) != {str}:
            raise ValueError(
                f"Expected names of at least one class, received {names!r}"
            )
        object.__setattr__(self, "expected", tuple(names))

    @property
    def known_to_fail(self) -> bool:
        """Whether what was expected did not hold when the case was made."""
        return self.observed.top[0] not in self.expected

    def broken(self, row: Float32, names: Sequence[str]) -> str:
        """Return in words what does not hold of probabilities, float32 (classes,); empty where all does."""
        unknown = next((name for name in self.expected if name not in names), None)
        if unknown is not None:
            return f"the classifier has no class {unknown!r}{nearest(unknown, names)}"
        predicted = names[int(np.argmax(row))]
        if predicted in self.expected:
            return ""
        return f"it is {predicted}, expected {' or '.join(self.expected)}"

    def to_json(self) -> str:
        """Return the case as JSON text; `from_json` gives back an equal one."""
        data = {"format": FORMAT, **vars(self), "expected": {"classes": self.expected}}
        return json.dumps(data, default=_plain, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the case that `to_json` wrote; TypeError or ValueError for another format or no case."""
        values = parsed("a case", text)
        written_as = values.pop("format", None)
        if written_as != FORMAT:
            raise ValueError(
                f"Expected a case of the format {FORMAT!r}, received {written_as!r}"
            )
        try:
            values["observed"] = Observed.from_dict(values["observed"])
            for name in values["expected"]:
                known("field of what is expected", name, ["classes"])
            values["expected"] = values["expected"]["classes"]
            perturbation = values["perturbation"]
            values["perturbation"] = built(
                Perturbation, "a part of a case", perturbation
            )
            for name in ("preprocessing", "fault"):
                values[name] = _preprocessing_or_none(values[name])
            return built(cls, "a case", values)
        except KeyError as error:
            raise ValueError(
                f"Expected a whole case, received one without {error}"
            ) from error


def _plain(value: Any) -> JSONObject:
    return value.to_dict() if isinstance(value, Preprocessing) else vars(value)


def _preprocessing_or_none(data: Any) -> Preprocessing | None:
    return None if data is None else Preprocessing.from_dict(data)


def file_stem(words: str) -> str:
    """Return a name for a case that is good for files everywhere."""
    # A Mac may write a letter and its accent apart.
    text = _BETWEEN.sub("-", normalize("NFC", words)).lower()
    name = text.encode()[:_LONGEST].decode(errors="ignore").strip("-.")
    return name if _FILE.fullmatch(name) else f"case-{name}".rstrip("-")


# The folder


def case_files(folder: AnyPath) -> list[Path]:
    """Return the files of a folder's cases by name, deleted ones too; an error for what is no folder."""
    try:
        folder = Path(folder)
    except TypeError:
        received = type(folder).__name__
        raise TypeError(
            f"Expected the folder of cases first, received {received}"
        ) from None
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Expected a folder of cases, received {folder.name!r}; {MAKE_ONE}"
        )
    return sorted(pinned_files(folder).union(folder.glob("[!.]*.json")))


def pinned_files(folder: Path) -> set[Path]:
    """Return the files of the cases that were pinned, which the list of a folder has."""
    names = file_in_folder(folder, NAMES)
    try:
        listed = small_file(names) if names.exists() else b""
        pinned = listed.decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"Expected {NAMES} as UTF-8 text, received: {error}; restore it"
        ) from error
    if "=======" in pinned:
        raise ValueError(
            f"Expected {NAMES} without conflict markers; resolve the merge, keep all names"
        )
    return {folder / Path(f"{name}.json").name for name in pinned if name.strip()}


def file_in_folder(folder: AnyPath, relative_path: str) -> Path:
    """Return a path in the folder of the cases; raises a ValueError where a link leads out of it."""
    path = Path(folder)
    for name in relative_path.split("/"):
        path /= name
        if path.is_symlink():
            raise ValueError(
                f"Expected a file, received the link {name!r}; copy the file there"
            )
    return path


def _case_bytes(path: Path) -> bytes:
    if not file_in_folder(path.parent, path.name).is_file():
        raise ValueError(
            f"Expected a case, received no file; restore it, or take it out of {NAMES}"
        )
    check_fetched("a case", path)
    content = small_file(path)
    # No line of JSON begins so.
    if b"\n=======" in content:
        raise ValueError(
            "Expected a case, received one with conflict markers; resolve the merge"
        )
    return content


def read_case(path: Path) -> Case:
    """Read one case; raises a ValueError of one line."""
    try:
        return replace(Case.from_json(_case_bytes(path)), name=path.stem)
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {first_line(error)}") from error


def photo_of(folder: AnyPath, case: Case) -> Photo:
    """Open the image of a case; raises a ValueError where it is not there, or another one."""
    path = file_in_folder(folder, case.picture)
    if not path.is_file():
        raise ValueError(
            f"Expected the image {case.picture}, received none; copy it there"
        )
    photo = load_image(path)
    if hashlib.sha256(photo.file or b"").hexdigest() != case.sha256:
        raise ValueError(
            f"Expected {case.picture} as it was, received another file; restore it"
        )
    return photo


def make_folder_of(target: Path) -> None:
    """Make the folder of a file, and write there for a moment, before anything is computed for that file."""
    with one_line_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=target.parent).close()


def make_folder_of_new(target: Path, suffix: str) -> None:
    """Do so for a file that a person names, once nothing else can be lost in its place."""
    # A report would replace the photo cat.jpg, or what /dev/null is.
    if target.suffix.lower() != suffix or (target.exists() and not target.is_file()):
        raise ValueError(
            f"Expected a plain {suffix} file to write, received {str(target)!r}; choose another name"
        )
    make_folder_of(target)


def write_file(target: Path, data: bytes) -> None:
    """Write a file in one step, over the one that is there; its folder is made."""
    make_folder_of(target)
    with replacing(target) as stream:
        stream.write(data)


def write_case(path: Path, case: Case) -> None:
    """Write a case."""
    write_file(file_in_folder(path.parent, path.name), case.to_json().encode())


# Pinning


def pin(
    folder: AnyPath,
    classifier: Classifier,
    photo: Source,
    expected: str | int | Sequence[str | int] | None = None,
    *,
    perturbation: Perturbation = UNTOUCHED,
    preprocessing: Preprocessing | None = None,
    fault: Preprocessing | None = None,
    name: str = "",
    tolerance: float = TOLERANCE,
    cause: str = "",
    note: str = "",
) -> Path:
    """Write a case of one image, with what the classifier predicts now, and return its path.

    Parameters
    ----------
    folder
        Of cases; made where there is none. The image is copied into it once. Its ``cases.txt`` lists the
        cases, so that `check_cases` reports one that was deleted.
    classifier, photo
        What predicts, and whatever `kit.load_image` takes.
    expected
        The right class by name or index, or a list of them. None for the present prediction.
    perturbation, fault, tolerance, cause, note
        See `Case`.
    preprocessing
        None, or one that equals it, for the classifier's own, whatever that will be then.
    name
        Of the file; by default of the image and what it is about. A number is added to that of another case;
        an equal one stays as it is.

    Raises
    ------
    TypeError, ValueError
        No image, no such class, or no preprocessing is known.
    """
    check_first(classifier)
    opened = without_metadata(load_image(photo))
    steps = preprocessing or known_preprocessing(classifier)
    row, observed = observe(classifier, opened, perturbation, steps)
    names = classifier.class_names
    classes = _expected_names(
        int(row.argmax()) if expected is None else expected, names
    )
    file = opened.file or b""
    digest = hashlib.sha256(file).hexdigest()
    kind = "jpg" if file.startswith(b"\xff\xd8") else "png"
    word = str(cause).replace("_", "-") or "-".join(classes[:1])
    case = Case(
        name=file_stem(name or f"{Path(opened.name).stem}-{word}"),
        picture=f"{PICTURES}/{digest[:16]}.{kind}",
        sha256=digest,
        classifier=classifier.name,
        weights=classifier.network.digest,
        expected=classes,
        observed=observed,
        preprocessing=None if steps == classifier.preprocessing else steps,
        perturbation=perturbation,
        fault=fault,
        tolerance=tolerance,
        cause=cause,
        note=note,
    )
    path = _write_new_case(Path(folder), case, file)
    listed = "".join(f"{pinned.stem}\n" for pinned in case_files(folder))
    write_file(file_in_folder(folder, NAMES), listed.encode())
    return path


def observe(
    classifier: Classifier,
    photo: Photo,
    perturbation: Perturbation,
    steps: Preprocessing,
) -> tuple[Float32, Observed]:
    """Return probabilities, float32 (classes,), and what a case keeps of them."""
    (row,) = classifier.probabilities(photo, perturbation, steps)
    probabilities = probable_classes(row, classifier.class_names)
    return row, Observed(probabilities, trace_of(photo, perturbation, steps), steps)


def _expected_names(expected: Any, names: Sequence[str]) -> tuple[str, ...]:
    labels = list(expected) if isinstance(expected, (list, tuple)) else [expected]
    return tuple(names[index] for index in known_classes(labels, names, labels))


def _write_new_case(folder: Path, case: Case, file: bytes) -> Path:
    """Write an image and, where there is no equal case, its case under a free name; return the path."""
    write_file(file_in_folder(folder, case.picture), file)
    name = case.name
    attempt = 1
    while True:
        path = folder / f"{name}.json"
        with suppress(FileExistsError):
            # So that nobody takes it meanwhile.
            path.touch(exist_ok=False)
            try:
                write_case(path, replace(case, name=name))
            except BaseException:
                path.unlink()
                raise
            return path
        with suppress(ValueError):  # of a file that is no case
            if replace(read_case(path), name=case.name) == case:
                return path
        attempt += 1
        name = f"{case.name}-{attempt}"
