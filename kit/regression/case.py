"""A case: a picture, how it is prepared, and what a classifier has to make of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

import numpy as np

from kit._checking import built, fraction, instance, parsed, refuse_unknown
from kit.perturbation import Perturbation
from kit.preprocessing import Preprocessing
from kit.regression.answer import Expected, Observed, dict_of, preprocessing_of, texts

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
