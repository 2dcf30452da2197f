"""Where the explorer looks at pictures: a classifier, and the preprocessing in use."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from kit.classifier import Classifier
from kit.explorer.view import Settings, View, perturbation_of, preprocessing_of
from kit.images import Photo
from kit.preprocessing import Preprocessing, faults

if TYPE_CHECKING:
    from kit.robustness.reference.novelty import Novelty


@dataclass(frozen=True, eq=False)
class Bench:
    """Where pictures are looked at.

    Attributes
    ----------
    classifier
        With its preprocessing.
    trained
        The preprocessing in use where nobody has chosen another.
    novelty
        Tells pictures of none of the classes; None where the classifier cannot.
    fixed
        What the last diagnosis found to be right; None before, and where it names none.
    """

    classifier: Classifier
    trained: Preprocessing
    novelty: "Novelty | None" = None
    fixed: Preprocessing | None = None

    @classmethod
    def of(cls, classifier: Classifier) -> Self:
        """Take a classifier as it is; where its preprocessing is unknown, one is assumed."""
        trained, novelty = classifier.preprocessing, None
        if trained is None:
            from kit.diagnosis.assumed import assumed_preprocessing  # noqa: PLC0415 (only an unknown one needs it)

            trained = assumed_preprocessing(classifier)
        if classifier.reference.novelty is not None:
            from kit.robustness.reference.fitting import novelty_of  # noqa: PLC0415 (others are shown sooner)

            novelty = novelty_of(classifier)
        return cls(classifier, trained, novelty)

    def base(self, settings: Settings) -> Preprocessing:
        """Preprocessing that the settings start from."""
        return self.fixed if settings["fix"] and self.fixed is not None else self.trained

    def preprocessing(self, settings: Settings) -> Preprocessing:
        """Preprocessing that the settings describe."""
        return preprocessing_of(settings, self.base(settings))

    def view(
        self, photo: Photo, settings: Settings, reference: View | None = None, label: int | None = None
    ) -> View:
        """Take one photograph along the whole path: decode, perturb, preprocess, predict."""
        preprocessing = self.preprocessing(settings)
        source = photo.decoded(preprocessing.decoding)
        perturbed = perturbation_of(settings).apply(source)
        tensor = preprocessing.apply(perturbed)
        rows = self.classifier.predict_tensors(tensor)
        calibrated = self.classifier.calibrated(rows)[0] if self.classifier.temperature != 1 else None
        novel = None if self.novelty is None else self.novelty.is_novel_tensor(tensor)
        return View(
            settings,
            photo,
            source,
            perturbed,
            preprocessing,
            tensor,
            rows[0],
            self.trained,
            self.base(settings),
            reference,
            label,
            calibrated,
            novel,
        )

    def with_preprocessing(self, view: View, preprocessing: Preprocessing) -> View:
        """Return what the picture of a view comes to with another preprocessing."""
        prepared = replace(self, trained=preprocessing)
        settings = view.settings | dict.fromkeys(faults.STEPS, "") | {"fix": False}
        return prepared.view(view.original, settings, view.untouched, view.label)

    def fixing(self, right: Preprocessing | None) -> "Bench":
        """Return the same with another preprocessing that a diagnosis found to be right."""
        return replace(self, fixed=right)
