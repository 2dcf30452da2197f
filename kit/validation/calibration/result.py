"""Calibration: what `kit.calibrate` found, as values and as a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kit._reporting import Result, Table
from kit.classifier import Classifier
from kit.validation.calibration.binning import Bin
from kit.validation.calibration.metrics import TITLES, Metrics
from kit.validation.calibration.temperature import VectorScaling


@dataclass(frozen=True)
class Reliability:
    """The bins of a reliability diagram, in both ways of cutting them.

    Attributes
    ----------
    equal_width, equal_mass
        Bins that hold a picture, in ascending order.
    """

    equal_width: tuple[Bin, ...]
    equal_mass: tuple[Bin, ...]


@dataclass(frozen=True, repr=False)
class Calibration(Result):
    """How far a classifier's softmax probabilities can be trusted, and the temperature that mends them.

    Attributes
    ----------
    classifier
        The classifier with `temperature`: its `calibrated` applies it, its `save` keeps it.
    temperature
        Above 1 where the classifier was too sure. Fitted on one part of the pictures.
    fitted, judged
        Pictures that temperature and vector scaling were fitted on, and the others.
    measured
        The classifier as it is, on all pictures.
    before, after
        The classifier as it is and with the temperature, on the pictures that the temperature never saw.
    vector
        Factor and bias for each class; None where there are too few pictures for that many numbers, and where
        one temperature does as well, by cross-validation where they are fitted or by likelihood where judged.
    after_vector
        As `after`, with `vector` in place of the temperature.
    reliability
        For each of ``"measured"``, ``"before"`` and ``"after"`` the bins of a reliability diagram.
    notes
        What limits the answer, in words.
    """

    classifier: Classifier
    temperature: float
    fitted: int
    judged: int
    measured: Metrics
    before: Metrics
    after: Metrics
    vector: VectorScaling | None
    after_vector: Metrics | None
    reliability: Mapping[str, Reliability]
    notes: tuple[str, ...] = field(default=())

    @property
    def ece(self) -> float:
        """Expected calibration error of the classifier as it is, on all pictures, 0..1."""
        return self.measured.ece.value

    def table(self) -> Table:
        """Set the metrics in a table, one row for each, before and after."""
        columns = {"all, as it is": self.measured, "before": self.before, "after": self.after}
        if self.after_vector is not None:
            columns["vector scaling"] = self.after_vector
        rows = [
            ("pictures", *(f"{one.pictures:,}" for one in columns.values())),
            *(
                (title, *(str(one.estimates()[name]) for one in columns.values()))
                for name, title in TITLES.items()
            ),
            ("ECE by chance", *(f"{one.ece_by_chance:.3f}" for one in columns.values())),
        ]
        return Table(("", *columns), rows, "<" * (1 + len(columns)), widths=(0, *[19] * len(columns)))

    def _report(self) -> Iterator[str]:
        counts = f"fitted on {self.fitted:,} pictures; before and after on {self.judged:,} others"
        yield f"Temperature {self.temperature:.2f}, {counts}"
        yield self.table()
        yield from (f"Note: {note}" for note in self.notes)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        before, after = self.before.ece.value, self.after.ece.value
        return (
            f"Calibration({self.classifier.name!r}, temperature {self.temperature:.2f}, ECE {before:.3f} ->"
            f" {after:.3f} on {self.judged} pictures that it was not fitted on)"
        )
