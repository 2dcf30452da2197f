"""All evidence together: what there is for one network and some images, and the scores of candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kit._arrays import Int64
from kit.diagnosis.candidates import (
    FEW_IMAGES,
    QUIET_SHARE,
    Candidate,
    Evaluator,
    Trial,
    candidates,
)
from kit.diagnosis.finding import Photos, chance_of_at_least
from kit.diagnosis.sources import (
    Averages,
    Bundled,
    Certainty,
    Labelled,
    Ordinary,
    Source,
    Vote,
    votes,
)
from kit.preprocessing import Preprocessing
from kit.preprocessing.resizing import WITH_BARS
from kit.samples import LABELLED, labelled_images, reduced, typical

FAMILIAR_DISTANCE = 0.15
"""Largest distance, in nats, at which probe photos count as what the network knows."""

NATIVE_DISTANCE = 0.04
"""Distance, in nats, up to which these photos count in full; beyond, half as much."""

LEAST_DISTANCE = 0.01
"""Smallest distance, in nats, that counts as nearer for them."""

LEAST_SIDE = 64
"""Networks for smaller images are not judged by photos."""

CHANCE_DISTANCE = 0.4
"""Distance from training, in nats, that one image has by chance; of more images, by their number less."""

SOURCE_DISTANCE = 0.05
"""Distance from training, in nats, that images have from small differences of their source."""

USUAL_DISTANCE = 0.5
"""Distance from the averages, in nats, up to which images count as those of the training."""

CORRECT_SHARE = 0.5
"""Share of the kit's labelled images that a network with their classes predicts correctly."""

# Likewise, of these once they are reduced; where it predicts fewer, they tell nothing.
RECOGNISED_SHARE = 0.2

CONVINCING_CHANCE = 0.05
"""Chance of as many correct predictions where half are, or by any of the changes tried, up to which labels
alone say that nothing is wrong, or name a cause; or of as many wrong ones as the network is unsure of."""


@dataclass(frozen=True)
class Score:
    """What speaks for and against one candidate, compared with the preprocessing in use.

    The last of its votes is that of what is known before any image; `variants` fit about as well as the
    candidate, and predict otherwise.
    """

    candidate: Candidate
    votes: tuple[Vote, ...]
    variants: tuple[Preprocessing, ...] = ()

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of the candidate."""
        return self.candidate.preprocessing

    @property
    def gain(self) -> float:
        """Nats of all sources together; above 0 where the candidate explains more."""
        # In nats: above 0 where the candidate explains more than the preprocessing in use.
        return sum(vote.gain for vote in self.votes)

    @property
    def measured_gain(self) -> float:
        """The same without what is known before any image."""
        # The last vote is no measurement, but on how rare the steps are in training.
        return self.gain - self.votes[-1].gain

    @property
    def vetoed(self) -> bool:
        """Whether a source forbids it."""
        return any(vote.veto for vote in self.votes)


Scores = Sequence[Score]


@dataclass(frozen=True, eq=False)
class Grounds:
    """The evidence that there is for one network and some images.

    Attributes
    ----------
    in_use, photos, labelled, sources
        The preprocessing that is suspected, the user's images, those with their labels, and what judges.
    probes, bundled
        Photos of the kit that judge the pipeline, too, none where the network knows no photos; and labelled
        images of the kit, for a network that has their classes.
    """

    evaluator: Evaluator
    in_use: Preprocessing
    photos: Photos
    labelled: Labelled
    sources: tuple[Source, ...]
    probes: Photos = ()
    bundled: Bundled | None = None

    @classmethod
    def of(
        cls,
        evaluator: Evaluator,
        in_use: Preprocessing,
        photos: Photos,
        labels: Int64 | None = None,
    ) -> "Grounds":
        """Find out what there is."""
        if labels is None:
            # -1: the right class is not known.
            labels = np.full(len(photos), -1)
        # Either is None where the network does not know such images of the kit.
        probe_source = _source_of_probes(evaluator, in_use, photos)
        bundled = _source_of_labelled_kit_images(evaluator, in_use, photos)
        labelled = Labelled(evaluator, photos, labels)
        probes = probe_source.photos if probe_source else ()
        # Beside labelled images of the kit, how sure predictions for a few images are is mere chance.
        certainty = None if bundled else Certainty(evaluator, photos, probes)
        # Labelled photos can be sent through the pipeline without their labels, too.
        if bundled and bundled.are_photos:
            probes = bundled.photos
        sources = (
            *_sources_of_own_images(evaluator, photos),
            probe_source,
            certainty,
            bundled,
            labelled if labelled.count else None,
        )
        return cls(
            evaluator,
            in_use,
            photos,
            labelled,
            sources=tuple(filter(None, sources)),
            probes=probes,
            bundled=bundled,
        )

    def with_in_use(self, in_use: Preprocessing) -> "Grounds":
        """Return the same evidence where another preprocessing is suspected."""
        return replace(self, in_use=in_use)

    @property
    def photos_are_usual_by_profile(self) -> bool:
        """Whether a profile finds the images as usual as nine in ten training images."""
        # Without a profile of training images, there is no such source.
        return any(
            isinstance(source, Ordinary) and source.as_usual_as_nine_in_ten(self.in_use)
            for source in self.sources
        )

    @property
    def judges_every_step(self) -> bool:
        """Whether every step of the preprocessing can be judged without labels of the user's."""
        # Statistics of the training images, or photos of the kit, of those that the network knows.
        return self.evaluator.has_statistics or bool(self.probes)

    @property
    def judges_some_step(self) -> bool:
        """Whether some step can be judged so."""
        # Labelled images of the kit that are no photos cannot judge whether images are inverted.
        return self.judges_every_step or self.bundled is not None

    @property
    def judged_by(self) -> str:
        """A sentence that says what there was to judge by."""
        # `Certainty` has no title: it is only said where there is nothing else.
        names = [source.title for source in self.sources if source.title]
        return f"Judged by {' and '.join(names) or 'how sure the predictions are'}."

    def score(self, candidate: Candidate) -> Score:
        """Weigh one candidate against the preprocessing in use."""
        # One vote of each source, and last one on how rare the steps are in training.
        return Score(candidate, votes(self.sources, self.in_use, candidate))

    def gain_of(self, preprocessing: Preprocessing) -> float:
        """Return by how many nats a preprocessing explains more than the one in use."""
        # It may change several steps, so that it has no one step and no cause.
        return self.score(Candidate(preprocessing, "", "")).gain

    @cached_property
    def scores(self) -> Scores:
        """Every candidate that makes a difference, weighed; the best first."""
        scores = map(self.score, self.differing_candidates())
        return sorted(scores, key=lambda score: -score.gain)

    def differing_candidates(self) -> list[Candidate]:
        """Return the candidates that make a difference."""
        return [
            candidate
            for candidate in self._candidates_changing_images(
                self.in_use, candidates(self.in_use)
            )
            # Without bars, another fit makes too small a difference to be judged.
            if not (candidate.step == "fit" and self._no_bars_are_added(candidate))
        ]

    def _candidates_changing_images(
        self, in_use: Preprocessing, possible_candidates: Sequence[Candidate]
    ) -> list[Candidate]:
        """Return those that change more than a few images: what leaves them as they are is not judged."""
        photos = self.photos[:FEW_IMAGES]
        # Of `FEW_IMAGES` photos the tensors of two must change; of fewer photos, that of one is enough.
        return [
            *self.evaluator.candidates_changing_tensors(
                photos, in_use, possible_candidates, of_more_than=1 / FEW_IMAGES
            )
        ]

    def _no_bars_are_added(self, candidate: Candidate) -> bool:
        """Whether neither fit adds bars to images: then they differ by as little as those that never do."""
        # A fit adds no bars to images for which it makes the same tensors as squashing; others never add any.
        return not any(
            self._candidates_changing_images(
                preprocessing,
                [replace(candidate, preprocessing=preprocessing.replace(fit="squash"))],
            )
            for preprocessing in (self.in_use, candidate.preprocessing)
            if preprocessing.fit in WITH_BARS
        )

    def images_are_usual(self, preprocessing: Preprocessing) -> bool:
        """Whether some source finds its images as usual as in training; True where none can tell."""
        judges = [
            source for source in self.sources if isinstance(source, Averages | Ordinary)
        ]
        # Where none can tell, they are taken for usual.
        return not judges or any(judge.usual(preprocessing) for judge in judges)

    def trial(self, fixed: Preprocessing) -> Trial:
        """Return the predictions to the user's images as it is, and under another preprocessing."""
        # Probabilities of the same photos, `before` and `after`.
        return self.evaluator.trial(self.photos, self.in_use, fixed)

    def changes_predictions(
        self, first: Preprocessing, second: Preprocessing, pseudocount: int
    ) -> bool:
        """Whether the second in place of the first may change more than a few predictions."""
        # Of each photo the share of the probability that moves, not whether its class changes. Labelled
        # images of the kit are predicted for the votes anyway, so that all of them cost little.
        kit_photos = self.bundled.photos if self.bundled else self.probes[:FEW_IMAGES]
        moved_shares = np.concatenate(
            [
                self.evaluator.trial(photos, first, second).moved_share
                for photos in (kit_photos, self.photos)
                if photos
            ]
        )
        # Counted in addition as changed, and as unchanged: with 2 of each, it is the middle of the interval
        # of Agresti and Coull (1998), so that few images do not pass for proof of no change.
        count = len(moved_shares) + 2 * pseudocount
        changed_share = (moved_shares.sum() + pseudocount) / count
        return bool(changed_share > QUIET_SHARE) and not self.evaluator.tensors_agree(
            self.photos, first, second
        )

    def gained_and_lost(self, fixed: Preprocessing) -> tuple[int, int]:
        """Return how many of the user's labels another preprocessing puts right, and how many wrong."""
        # Numbers of images that become right and that become wrong, of those with a label.
        return self.labelled.gained_and_lost(self.in_use, fixed)

    def correct_count(self) -> int:
        """Return how many labelled images are predicted correctly."""
        # An image whose label is not known counts as not correct.
        return int(self.labelled.correct(self.in_use).sum())

    def can_rule_out_faults(self) -> bool:
        """Whether the evidence can say that nothing is wrong: labels alone, if more than half are met."""
        # If half of the labels were met by chance.
        chance_of_as_many = chance_of_at_least(
            self.correct_count(), self.labelled.count, 0.5
        )
        return self.judges_every_step or chance_of_as_many <= CONVINCING_CHANCE


def _sources_of_own_images(evaluator: Evaluator, photos: Photos) -> list[Source]:
    """Return what judges the user's own images: a profile, if there is one, before averages."""
    profile = evaluator.training_profile
    sources: list[Source] = []
    if profile is not None:
        sources.append(Ordinary(evaluator, photos, profile))
    if evaluator.first_layers.means is not None:
        # What one image differs from the averages by chance, many together do less.
        chance_distance = CHANCE_DISTANCE / len(photos)
        # Beside a profile, which tells better what is usual, averages count half, forbid nothing and call
        # nothing usual.
        is_only_source = profile is None
        sources.append(
            Averages(
                evaluator,
                photos,
                title="your images",
                weight=1.0 if is_only_source else 0.5,
                floor=chance_distance + SOURCE_DISTANCE,
                usual_up_to=USUAL_DISTANCE if is_only_source else 0.0,
                may_forbid=is_only_source,
                by_chance_up_to=2 * chance_distance,
            )
        )
    return sources


def _source_of_probes(
    evaluator: Evaluator, in_use: Preprocessing, own_images: Photos
) -> Averages | None:
    """Return photos as a source, where the network is at home with them under some preprocessing."""
    # Without a size images are not resized, and photos of several sizes make no batch.
    size = in_use.size
    if not evaluator.has_layer_statistics or size is None or min(size) < LEAST_SIDE:
        return None
    # Photos of the kit that, weighted, have the colours of ImageNet's.
    photos, weights = typical(without=own_images)
    if not photos:
        return None

    def distance_from_training(preprocessing: Preprocessing) -> float:
        return evaluator.distance_from_training(photos, preprocessing, weights)

    best = min(
        _preprocessings_tried(evaluator, in_use, photos), key=distance_from_training
    )
    # Too far from training under each preprocessing tried: the network does not know photos.
    least_distance = distance_from_training(best)
    if least_distance > FAMILIAR_DISTANCE:
        return None
    profile = evaluator.training_profile
    # Averages of all together can be met by images each of which is unlike any of the training.
    if profile and not Ordinary(evaluator, photos, profile).as_usual_as_nine_in_ten(
        best
    ):
        return None
    return Averages(
        evaluator,
        photos,
        title=f"{len(photos)} photos of the kit",
        weight=1.0 if least_distance <= NATIVE_DISTANCE else 0.5,
        floor=max(least_distance, LEAST_DISTANCE),
        usual_up_to=FAMILIAR_DISTANCE,
        may_forbid=False,
        photo_weights=weights,
    )


def _preprocessings_tried(
    evaluator: Evaluator, in_use: Preprocessing, photos: Photos
) -> list[Preprocessing]:
    differing = evaluator.candidates_changing_tensors(
        photos[:FEW_IMAGES], in_use, candidates(in_use)
    )
    return [in_use, *(candidate.preprocessing for candidate in differing)]


def _source_of_labelled_kit_images(
    evaluator: Evaluator, in_use: Preprocessing, own_images: Photos
) -> Bundled | None:
    class_count = evaluator.probabilities(own_images, in_use).shape[1]
    # With statistics of the layers, photos of the kit judge without labels; see `_source_of_probes`.
    if class_count not in LABELLED or evaluator.has_layer_statistics or not in_use.size:
        return None
    photos, labels = labelled_images(class_count)
    are_photos = LABELLED[class_count][0] == "imagenet"
    bundled = Bundled(
        evaluator, photos, labels, are_photos=are_photos, originals=photos
    )
    # Tried one after the other, since the first one is enough for most networks.
    for preprocessing in _preprocessings_tried(evaluator, in_use, photos):
        if bundled.correct(preprocessing).mean() >= CORRECT_SHARE:
            if not are_photos:
                return bundled
            # Photos so small that a fault costs predictions, where the network still knows some.
            harder = replace(bundled, photos=reduced(photos))
            recognised = harder.correct(preprocessing).mean() >= RECOGNISED_SHARE
            return harder if recognised else bundled
    # A network that knows these images under no preprocessing tried cannot be asked about them.
    return None
