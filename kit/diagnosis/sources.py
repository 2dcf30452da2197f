"""What speaks for and against a candidate, each source by itself, in nats."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log, log10, sqrt

import numpy as np

from kit._arrays import Bools, Float64, Int64
from kit.classifier.labels import entropies
from kit.diagnosis.candidates import Candidate, Evaluator
from kit.diagnosis.finding import Photos, chance_of_at_least
from kit.preprocessing import Preprocessing
from kit.preprocessing.resizing import WITH_BARS
from kit.robustness.profile import Profile

NAMED_GAIN = 0.5
"""Nats of all sources together that name a cause."""

POSSIBLE_GAIN = 0.25
"""Nats from which on a cause is mentioned."""

VETO_GAIN = -0.6
"""Nats of the user's own images at which a candidate is out of the question: they would lie half as near
again to training as they do."""

SEVERAL_IMAGES = 4
"""Images from which on another order of channels is judged by small differences: a single one of a rare
colour lies nearer to training with red and blue exchanged."""

FLOOR_DIVISOR = 8.0
"""The order of channels is judged by smaller differences than all else: another order of the same channels is
as probable before as after, so that only what lies nearer counts. Where a candidate brings images as near
as chance lets those of the training, this part of that distance is the floor."""


@dataclass(frozen=True)
class Vote:
    """What one source says of a candidate.

    Attributes
    ----------
    text, measured
        What was measured, in words, and the number in the unit that they name.
    gain
        What it is worth, in nats; below 0 where it speaks against the candidate.
    veto
        Whether it alone keeps the candidate from being named.
    source
        The class of the source; None for what is known before any image.
    """

    text: str
    gain: float
    measured: float
    veto: bool = False
    source: type | None = None


@dataclass(frozen=True, eq=False)
class Averages:
    """Images against the moving averages of BatchNorm layers, or those of a profile.

    Attributes
    ----------
    evaluator, photos, title
        Of a network with such averages; the user's photos or probes, and what they are, in words.
    weight, photo_weights
        Of the gain; and of each photo, float64 (photos,), by default the same.
    floor, usual_up_to
        Distances, in nats: that which images as in training reach by chance, below which nearer is no better;
        and that up to which images count as those of the training.
    may_forbid
        Whether they may forbid a candidate.
    by_chance_up_to
        Distance up to which images lie as near as chance lets images of the training; see `FLOOR_DIVISOR`.
    """

    evaluator: Evaluator
    photos: Photos
    title: str
    weight: float
    floor: float
    usual_up_to: float
    may_forbid: bool
    by_chance_up_to: float = 0.0
    photo_weights: Float64 | None = None

    def distance(self, preprocessing: Preprocessing) -> float:
        """Return the distance from training, in nats."""
        return self.evaluator.distance_from_training(
            self.photos, preprocessing, self.photo_weights
        )

    def usual(self, preprocessing: Preprocessing) -> bool:
        """Whether the images are as usual as in training."""
        return self.distance(preprocessing) <= self.usual_up_to

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        before = self.distance(in_use)
        after = self.distance(candidate.preprocessing)
        # Another order of channels changes little: where it brings images as near as chance, a little counts.
        is_judged_finely = (
            candidate.step == "channels"
            and len(self.photos) >= SEVERAL_IMAGES
            and after <= self.by_chance_up_to
        )
        # Added to both distances, so that it hardly counts which is nearer below it.
        floor = self.by_chance_up_to / FLOOR_DIVISOR if is_judged_finely else self.floor
        gain = self.weight * log((before + floor) / (after + floor))
        text = f"distance of {self.title} from the averages of training, in nats; {before:.3g} as it is"
        forbids = self.may_forbid and gain < VETO_GAIN
        return Vote(text, gain, measured=after, veto=forbids)


@dataclass(frozen=True, eq=False)
class Ordinary:
    """Images, the user's or photos of the kit, against a profile of training images, each by itself."""

    evaluator: Evaluator
    photos: Photos
    profile: Profile
    title: str = "a profile of training images"

    STANDARD_ERRORS = 3.0
    """Standard errors of the mean of so many images that a name needs, and up to which they are usual."""
    LEFT_SHARE = 0.1
    """Share of the log distance beyond that of training images that two changes may leave: right ones leave
    none, and two that came near to channels zeroed or in another order left a fifth or more."""
    MOST_NAMED_GAINS = 1.5
    """The most that another order of channels counts, in names."""

    @property
    def _standard_error(self) -> float:
        """Standard error, in nats, of the mean logarithm of the distance of so many training images."""
        # `scatter` is the standard deviation of the logarithm for one training image.
        return self.profile.scatter / sqrt(len(self.photos))

    def log_distance(self, preprocessing: Preprocessing) -> float:
        """Return the mean logarithm of the distance from the profile."""
        return float(self._log_distances(preprocessing).mean())

    def _log_distances(self, preprocessing: Preprocessing) -> Float64:
        # Of each photo: means and mean squares of the first layers' channels, and features of its tensor, as
        # the profile has them of training images.
        moments = self.evaluator.moments(self.photos, preprocessing)
        features = self.evaluator.features(self.photos, preprocessing)
        # Of a distance of 0 there is no logarithm.
        log_distances: Float64 = np.log(
            self.profile.distances(moments, features) + 1e-12
        )
        return log_distances

    def as_usual_as_nine_in_ten(self, preprocessing: Preprocessing) -> bool:
        """Whether the mean log distance of the images is as small as that of nine in ten training images."""
        # `limit` is a distance, not a logarithm.
        return self.log_distance(preprocessing) <= log(self.profile.limit)

    def usual(self, preprocessing: Preprocessing) -> bool:
        """Whether the images are as usual as in training."""
        # Within either limit: the second, as far as the mean of as many training images may lie by chance, is
        # the wider one for few photos only.
        return (
            self.as_usual_as_nine_in_ten(preprocessing)
            or self.log_distance(preprocessing)
            <= self.profile.typical + self.STANDARD_ERRORS * self._standard_error
        )

    def explains_most(self, in_use: Preprocessing, fixed: Preprocessing) -> bool:
        """Whether a fix leaves at most `LEFT_SHARE` of what images lie farther off than those of training."""
        before, after = (
            self.log_distance(preprocessing) - self.profile.typical
            for preprocessing in (in_use, fixed)
        )
        # Twice the standard error: as far as few images of training may lie by chance.
        return after <= max(self.LEFT_SHARE * before, 2 * self._standard_error)

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        typical = self.profile.typical
        # Nearer than training images are is no better.
        before = max(self.log_distance(in_use), typical)
        after = max(self.log_distance(candidate.preprocessing), typical)
        fall_that_names = self.STANDARD_ERRORS * max(self._standard_error, 1e-6)
        # A fall that chance hardly makes is worth a name, but one by 1 never more than 1 nat.
        nats_per_fall = min(1.0, NAMED_GAIN / fall_that_names)
        # The second is minus infinity for all but another order of channels.
        gain = max(
            nats_per_fall * (before - after),
            self._gain_of_channel_order(in_use, candidate),
        )
        text = f"distance from the profile, mean log; {before:.2f} as it is, {typical:.2f} in training"
        return Vote(text, gain, measured=after, veto=gain < VETO_GAIN)

    def _gain_of_channel_order(
        self, in_use: Preprocessing, candidate: Candidate
    ) -> float:
        """Return what another order of channels is worth, by how many standard errors images lie nearer.

        Only where it makes them wholly usual; minus infinity for all else, and below `SEVERAL_IMAGES`.
        """
        photo_count = len(self.photos)
        fixed = candidate.preprocessing
        # Twice the standard error: here images must look wholly usual, more than `usual` asks.
        wholly_usual_up_to = self.profile.typical + 2 * self._standard_error
        if (
            candidate.step != "channels"
            or photo_count < SEVERAL_IMAGES
            or self.log_distance(fixed) > wholly_usual_up_to
        ):
            # `vote` takes the larger of two gains: with this one, the other.
            return -inf
        # How much nearer to training each image comes: compared with itself, not with the mean of all.
        log_falls = self._log_distances(in_use) - self._log_distances(fixed)
        standard_error = max(float(log_falls.std()) / sqrt(photo_count), 1e-3)
        # Below Student's t, which has count - 1: a little more careful where images are few.
        fall_in_standard_errors = (
            float(log_falls.mean())
            / standard_error
            * sqrt((photo_count - 2) / photo_count)
        )
        return NAMED_GAIN * min(
            fall_in_standard_errors / self.STANDARD_ERRORS, self.MOST_NAMED_GAINS
        )


@dataclass(frozen=True, eq=False)
class Certainty:
    """How sure the network is of its predictions; never much, since a wrong scale often makes it more sure.

    Averages over an image do not see that its axes are exchanged, and hardly its channels: for these the
    predictions count more, and those for probe photos, where the network knows photos, count as well.
    """

    evaluator: Evaluator
    photos: Photos
    probes: Photos
    title: str = ""

    WEIGHT = 0.2
    """Of a nat of entropy."""
    WEIGHT_OF_ORDER = 0.5
    """Likewise, where values come in another order."""

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        # The other sources hardly see that the values of an image come in another order.
        reorders_values = candidate.step in {"layout", "channels"}
        photos = (*self.probes, *self.photos) if reorders_values else self.photos
        trial = self.evaluator.trial(photos, in_use, candidate.preprocessing)
        entropy_fall = float(np.mean(entropies(trial.before) - entropies(trial.after)))
        # A single image of a rare colour may be predicted more surely with the wrong channels.
        too_few_photos = candidate.step == "channels" and len(photos) < SEVERAL_IMAGES
        counts_more = reorders_values and not too_few_photos
        weight = self.WEIGHT_OF_ORDER if counts_more else self.WEIGHT
        return Vote(
            text="certainty of the predictions, fall of their mean entropy in nats",
            gain=weight * entropy_fall,
            measured=entropy_fall,
        )


@dataclass(frozen=True, eq=False)
class Labelled:
    """The right classes, where they are known; whatever makes them worse is out of the question.

    `labels` are int64 (photos,), -1 where one is not known. A probability below `LEAST_PROBABILITY` counts as
    this: a network that is very sure of a wrong class says no more than one that is just wrong.
    """

    evaluator: Evaluator
    photos: Photos
    labels: Int64
    title: str = "your labels"

    LEAST_PROBABILITY = 0.05
    WEIGHT = 0.7
    LOSS_BY_CHANCE = 0.3
    """Chance of as many more losses than gains up to which they forbid; any where nothing is gained."""
    ENOUGH_LABELS = 16
    """Labels out of ten classes that count in full; fewer are met by chance too easily."""

    @property
    def count(self) -> int:
        """How many labels are known."""
        return int((self.labels >= 0).sum())

    def enough_labels(self, in_use: Preprocessing) -> float:
        """Return how many labels count in full: of more classes fewer, since chance meets them less."""
        # All of `ENOUGH_LABELS` up to ten classes, a third for a thousand.
        return self.ENOUGH_LABELS / max(1.0, log10(self.probabilities(in_use).shape[1]))

    def probabilities(self, preprocessing: Preprocessing) -> Float64:
        """Return the probabilities, float64 (photos, classes)."""
        return self.evaluator.probabilities(self.photos, preprocessing)

    def likelihood_rise(self, in_use: Preprocessing, candidate: Candidate) -> Float64:
        """Return by how much a candidate raises the log-likelihood of each label that is known, in nats."""
        # Unknown labels are -1.
        labelled_images = np.flatnonzero(self.labels >= 0)
        at_labels = (labelled_images, self.labels[labelled_images])
        # A very sure wrong class counts no more than one that is just wrong.
        before, after = (
            self.probabilities(preprocessing)[at_labels].clip(self.LEAST_PROBABILITY)
            for preprocessing in (in_use, candidate.preprocessing)
        )
        return np.asarray(np.log(after) - np.log(before))

    def correct(self, preprocessing: Preprocessing) -> Bools:
        """Return whether each image is known to be predicted correctly; bool (photos,)."""
        return np.asarray(
            # An unknown label, -1, equals no class.
            self.probabilities(preprocessing).argmax(axis=1) == self.labels
        )

    def gained_and_lost(
        self, in_use: Preprocessing, fixed: Preprocessing
    ) -> tuple[int, int]:
        """Return how many images another preprocessing puts right, and how many it puts wrong."""
        right_before = self.correct(in_use)
        right_after = self.correct(fixed)
        gained = int((right_after & ~right_before).sum())
        return gained, int((right_before & ~right_after).sum())

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use."""
        likelihood_rise = self.likelihood_rise(in_use, candidate)
        # A few labels are met by chance, so that they count less.
        weight = self.WEIGHT * min(1.0, sqrt(self.count / self.enough_labels(in_use)))
        gained, lost = self.gained_and_lost(in_use, candidate.preprocessing)
        makes_worse = gained < lost and (
            not gained
            or chance_of_at_least(lost, gained + lost, 0.5) <= self.LOSS_BY_CHANCE
        )
        text = f"labels predicted correctly, how many more of {self.count}"
        gain = weight * float(likelihood_rise.mean())
        return Vote(text, gain, measured=gained - lost, veto=makes_worse)


_SIZE_STEPS = {"thumbnail", "fit"}


@dataclass(frozen=True, eq=False)
class Bundled(Labelled):
    """Labelled images of the kit, for a network that has their classes.

    `photos` may be reduced, and `originals` judge what changes sizes. Where they are not `are_photos`, a
    person's own may be inverted beside them: then no polarity is named, and nothing is clean.
    """

    title: str = "labelled images of the kit"
    are_photos: bool = True
    originals: Photos = ()

    STANDARD_ERRORS = 2.5
    """Standard errors of the mean log-likelihood that are worth a name."""
    LEAST_STANDARD_ERROR = 0.03
    """The smallest standard error, in nats."""
    NAMED_RISE_NATS = 0.2
    """Nats of the mean that are worth a name: wrong scalings that hardly matter rise by up to 0.13."""

    def probabilities(self, preprocessing: Preprocessing) -> Float64:
        """Return the probabilities, float64 (photos, classes)."""
        # Images of the kit that are no photos are never inverted; those of the user may be.
        return super().probabilities(
            preprocessing if self.are_photos else preprocessing.replace(invert=False)
        )

    def _with_images_for(self, step: str) -> "Bundled":
        # Reduced images are predicted better where a step enlarges what they show, though it be wrong.
        return replace(self, photos=self.originals) if step in _SIZE_STEPS else self

    def vote(self, in_use: Preprocessing, candidate: Candidate) -> Vote:
        """Compare a candidate with the preprocessing in use, image by image."""
        images_for_step = self._with_images_for(candidate.step)
        likelihood_rise = images_for_step.likelihood_rise(in_use, candidate)
        standard_error = float(likelihood_rise.std(ddof=1)) / sqrt(len(likelihood_rise))
        mean_rise = float(likelihood_rise.mean())
        rise_in_standard_errors = mean_rise / max(
            standard_error, self.LEAST_STANDARD_ERROR
        )
        # A rise must be both beyond chance and large enough to matter.
        gain = NAMED_GAIN * min(
            rise_in_standard_errors / self.STANDARD_ERRORS,
            mean_rise / self.NAMED_RISE_NATS,
        )
        text = f"likelihood of {self.title}, rise of its logarithm in standard errors"
        # `probabilities` never inverts images of the kit that are no photos: they tell nothing of polarity.
        cannot_judge = candidate.step == "polarity" and not self.are_photos
        return Vote(text, gain, measured=rise_in_standard_errors, veto=cannot_judge)


Source = Averages | Ordinary | Certainty | Labelled
"""What judges candidates."""

RARE_STEP_NATS = 0.6
"""Nats for each step that hardly any training has."""

UNCATALOGUED_NATS = 0.35
"""Nats against a change that no fault of the catalogue makes."""


def votes(
    sources: Sequence[Source], in_use: Preprocessing, candidate: Candidate
) -> tuple[Vote, ...]:
    """Return the votes of all sources on a candidate, and last that of what is known before any image."""
    fewer_rare_steps = _weighted_rare_steps(in_use) - _weighted_rare_steps(
        candidate.preprocessing
    )
    gain_before_any_image = RARE_STEP_NATS * fewer_rare_steps
    text = "steps that are rare in training, how many fewer"
    # Mistakes that people are known to make, those of the catalogue, are more probable than others.
    if not candidate.catalogued:
        gain_before_any_image -= UNCATALOGUED_NATS
        text = f"a change that no common mistake makes, and {text}"
    vote_before_any_image = Vote(
        text=text,
        gain=gain_before_any_image,
        measured=fewer_rare_steps,
    )
    # `Score.measured_gain` leaves the last one out.
    return *(
        replace(source.vote(in_use, candidate), source=type(source))
        for source in sources
    ), vote_before_any_image


def _weighted_rare_steps(preprocessing: Preprocessing) -> float:
    """Return how many steps of a preprocessing hardly any training has, weighted by how rare they are."""
    # Steps that count as 1 each; those that some trainings have count less.
    rare_steps = [
        preprocessing.invert,
        preprocessing.layout in {"transposed", "reshaped"},
        preprocessing.thumbnail is not None,
        preprocessing.cast is not None,
    ]
    weights = {"gray_rgb": 0.6} | dict.fromkeys(WITH_BARS, 0.5)
    channels_and_fit = weights.get(preprocessing.channels, 0.0) + weights.get(
        preprocessing.fit, 0.0
    )
    further_scalings = max(len(preprocessing.scaling) - 1, 0)
    return sum(rare_steps) + channels_and_fit + 0.5 * further_scalings
