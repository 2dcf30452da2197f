"""Cases: what a classifier has to make of an image, in a folder."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from io import BytesIO
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import Any, Self
from uuid import uuid4

import numpy as np
from PIL import Image

from kit._arrays import Float32
from kit._checking import built, fraction, instance, nearest, parsed, refuse_unknown
from kit.classifier.store import flush_folder, replacing
from kit.images import Photo, load_image
from kit.images.photo import encoded
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing
from kit.preprocessing.trace import Trace

KEPT = 0.001
"""Probabilities from which on a class is kept by name; the others count as none."""

Bounds = Mapping[str, float]


@dataclass(frozen=True)
class Expected:
    """What the answer has to be; all that is given has to hold.

    Attributes
    ----------
    classes
        The most probable class has to be one of these.
    never
        The most probable class must be none of these.
    order
        Two classes, of which the first has to be more probable.
    least, most
        Least and greatest probability, 0..1, by class.
    novel
        True where it has to be told as none of the classes, False where it must not; needs a classifier that
        can tell, see `kit.fit_novelty`.
    """

    classes: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    least: Bounds = field(default_factory=dict)
    most: Bounds = field(default_factory=dict)
    novel: bool | None = None

    def __post_init__(self) -> None:
        for name in ("classes", "never", "order"):
            object.__setattr__(self, name, texts(name, getattr(self, name)))
        if len(self.order) not in {0, 2}:
            raise ValueError(f"Expected order as two classes, received {list(self.order)!r}")
        for name in ("least", "most"):
            bounds = instance(name, getattr(self, name), Mapping, "probabilities by class")
            checked = {str(key): fraction(f"{name} of {key}", value) for key, value in bounds.items()}
            object.__setattr__(self, name, checked)
        if self.novel is not None:
            instance("novel", self.novel, bool, "True or False")
        if not self.named and self.novel is None:
            raise ValueError("Expected something that has to hold, received nothing; give classes, for one")

    @property
    def named(self) -> tuple[str, ...]:
        """Every class that it speaks of."""
        return (*self.classes, *self.never, *self.order, *self.least, *self.most)

    def broken(self, row: Float32, names: Sequence[str], *, novel: bool | None = None) -> tuple[str, ...]:
        """Return what does not hold of an answer, in words; empty where all does.

        Parameters
        ----------
        row
            float32, (classes,): probabilities.
        names
            Of the classes.
        novel
            Whether the classifier says that it is none of them; None where it cannot tell.
        """
        if not np.isfinite(row).all():
            return ("its probabilities are no numbers",)
        unknown = next((name for name in self.named if name not in names), None)
        if unknown is not None:
            return (f"the classifier has no class {unknown!r}{nearest(unknown, names)}",)
        top = names[int(np.argmax(row))]
        found = []
        if self.classes and top not in self.classes:
            found.append(f"it is {top}, expected {' or '.join(self.classes)}")
        if top in self.never:
            found.append(f"it is {top}, which it must not be")
        share = {
            name: max(float(row[place]) for place, each in enumerate(names) if each == name)
            for name in self.named
        }
        if self.order and share[self.order[0]] <= share[self.order[1]]:
            found.append(f"{self.order[0]} is not more probable than {self.order[1]}")
        found += [f"{name} has less than {low:g}" for name, low in self.least.items() if share[name] < low]
        found += [f"{name} has more than {high:g}" for name, high in self.most.items() if share[name] > high]
        if self.novel is not None and novel is None:
            found.append("the classifier cannot tell what is none of its classes")
        elif self.novel is not None and novel != self.novel:
            found.append(f"it is told as {'one' if self.novel else 'none'} of the classes")
        return tuple(found)


@dataclass(frozen=True)
class Observed:
    """What a classifier answered.

    Attributes
    ----------
    probabilities
        Index and name of each class with a probability of `KEPT` or more, and that probability, 0..1.
    trace
        What each step left behind.
    engine
        What ran the network, in words.
    novel
        Whether it was told as none of the classes; None where the classifier cannot tell.
    preprocessing
        The classifier's own at that time, if the picture was prepared by it; None in older files.
    held
        Whether what was expected held; None in older files.
    """

    probabilities: tuple[tuple[int, str, float], ...]
    trace: Trace
    engine: str = ""
    novel: bool | None = None
    preprocessing: Preprocessing | None = None
    held: bool | None = None

    @classmethod
    def of(cls, row: Float32, names: Sequence[str], trace: Trace, **more: Any) -> Self:
        """Keep an answer: float32, (classes,); `more` are the other attributes."""
        kept = np.flatnonzero(row >= KEPT).tolist()
        ranked = sorted(kept, key=lambda place: (-row[place], place))
        told = tuple((place, names[place], round(float(row[place]), 6)) for place in ranked)
        return cls(told, trace, **more)

    @property
    def top(self) -> tuple[str, float]:
        """The most probable class and its probability."""
        if not self.probabilities:
            return "no class", 0.0
        _, name, share = self.probabilities[0]
        return name, share

    def judged(self, expected: Expected, row: Float32, names: Sequence[str]) -> Self:
        """Return a copy that knows whether what is expected holds of the answer: float32, (classes,)."""
        return replace(self, held=not expected.broken(row, names, novel=self.novel))

    def moved(self, row: Float32) -> float:
        """Return by how much a probability differs at most from those of another answer, 0..1."""
        before = np.zeros(len(row))
        for place, _, share in self.probabilities:
            if place >= len(row):
                return 1.0
            before[place] = share
        told = {place for place, _, _ in self.probabilities}
        rest = [place not in told for place in range(len(row))]
        change = np.abs(np.asarray(row, np.float64) - before)
        change[rest] = np.maximum(change[rest] - KEPT, 0)
        return float(np.nan_to_num(change, nan=1.0).max(initial=0))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `from_dict` gives back an equal one."""
        return {
            **vars(self),
            "probabilities": [list(each) for each in self.probabilities],
            "trace": self.trace.to_list(),
            "preprocessing": dict_of(self.preprocessing),
        }

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Return the answer that `to_dict` wrote.

        Raises
        ------
        TypeError, ValueError
            Something else.
        """
        kept = built(cls, "a part of a case", data)
        rows = []
        for place, name, share in instance("probabilities", kept.probabilities, list, "a list"):
            if type(place) is not int or place < 0:
                raise TypeError(f"Expected the index of a class, received {place!r}")
            rows.append((place, instance("a class", name, str, "text"), fraction("a probability", share)))
        engine = instance("engine", kept.engine, str, "text")
        for name in ("novel", "held"):
            if not isinstance(value := getattr(kept, name), (bool, NoneType)):
                raise TypeError(f"Expected {name} as true, false or null, received {value!r}")
        trace, steps = Trace.from_list(kept.trace), preprocessing_of(kept.preprocessing)
        return cls(tuple(rows), trace, engine, kept.novel, steps, kept.held)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Return names as a tuple; one name may stand alone."""
    listed = (value,) if isinstance(value, str) else value
    if not isinstance(listed, (list, tuple)) or not all(isinstance(each, str) for each in listed):
        raise TypeError(f"Expected {name} as names of classes, received {value!r}")
    return tuple(listed)


def dict_of(preprocessing: Preprocessing | None) -> dict[str, Any] | None:
    """Return a preprocessing as JSON values."""
    return None if preprocessing is None else preprocessing.to_dict()


def preprocessing_of(data: Any) -> Preprocessing | None:
    """Return the preprocessing that `dict_of` wrote."""
    return None if data is None else Preprocessing.from_dict(data)


FORMAT = "kit.case/1"
TOLERANCE = 0.02
"""By how much a probability may move, unless a case says otherwise."""


@dataclass(frozen=True)
class Case:
    """A picture and what a classifier has to make of it.

    Attributes
    ----------
    name
        Of the case, and of its file.
    picture
        Path of the picture, from the folder of cases; forward slashes.
    sha256
        Of the picture's file, 64 hexadecimal digits.
    classifier, weights
        Name of the classifier it was observed on, and digest of its weights; empty where it has none.
    expected
        What has to hold.
    observed
        What was answered when the case was made.
    preprocessing
        How the picture is prepared; None where the classifier's own preprocessing has to do.
    perturbation
        Applied before.
    fault
        A preprocessing that is known to go wrong on this picture; it is only told whether it still does.
    tolerance
        By how much a probability may move, 0..1.
    cause, note, owner
        What was found, anything else, and who needs it to hold.
    platforms
        Beginnings of `sys.platform` on which it has to hold, such as ``"linux"``; all where empty.
    """

    name: str
    picture: str
    sha256: str
    classifier: str
    weights: str
    expected: Expected
    observed: Observed
    preprocessing: Preprocessing | None = None
    perturbation: Perturbation = field(default_factory=Perturbation)
    fault: Preprocessing | None = None
    tolerance: float = TOLERANCE
    cause: str = ""
    note: str = ""
    owner: str = ""
    platforms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("name", "picture", "sha256", "classifier", "weights", "cause", "note", "owner"):
            instance(name, getattr(self, name), str, "text")
        object.__setattr__(self, "tolerance", fraction("tolerance", self.tolerance))
        object.__setattr__(self, "platforms", texts("platforms", self.platforms))
        if self.picture.startswith(("/", "~")) or ".." in self.picture.split("/") or ":" in self.picture:
            raise ValueError(f"Expected a picture below the folder of cases, received {self.picture!r}")

    @property
    def known_to_fail(self) -> bool:
        """Whether what was expected did not hold when the case was made.

        Of older files that is found in what they keep of the answer.
        """
        if self.observed.held is not None:
            return not self.observed.held
        observed = [name for _, name, _ in self.observed.probabilities] or ["\0"]
        shares = [share for _, _, share in self.observed.probabilities] or [0.0]
        # Classes below what is kept count as none.
        kept = set(observed)
        names = [*observed, *dict.fromkeys(name for name in self.expected.named if name not in kept)]
        row = np.array([*shares, *[0.0] * (len(names) - len(shares))], np.float32)
        return bool(self.expected.broken(row, names, novel=self.observed.novel))

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `from_dict` gives back an equal case."""
        data = {part.name: getattr(self, part.name) for part in fields(self)}
        data["expected"] = asdict(self.expected)
        data["observed"] = self.observed.to_dict()
        data["perturbation"] = asdict(self.perturbation)
        for name in ("preprocessing", "fault"):
            data[name] = dict_of(data[name])
        return {"format": FORMAT, **json.loads(json.dumps(data))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the case that `to_dict` wrote.

        Raises
        ------
        TypeError, ValueError
            Another format, or something that is no case.
        """
        given = dict(instance("a case", data, Mapping, "a JSON object"))
        if given.pop("format", None) != FORMAT:
            raise ValueError(f"Expected a case of the format {FORMAT!r}, received {data.get('format')!r}")
        refuse_unknown(given, [part.name for part in fields(cls)])
        try:
            given["expected"] = built(Expected, "a part of a case", given["expected"])
            given["observed"] = Observed.from_dict(given["observed"])
            given["perturbation"] = built(Perturbation, "a part of a case", given["perturbation"])
            for name in ("preprocessing", "fault"):
                given[name] = preprocessing_of(given[name])
            return cls(**given)
        except (KeyError, AttributeError) as error:
            raise ValueError(f"Expected a whole case, received one without {error}") from error

    def to_json(self) -> str:
        """Return the case as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the case that `to_json` wrote; raises as `from_dict`, and a ValueError if it is no JSON."""
        return cls.from_dict(parsed("a case", text))


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
