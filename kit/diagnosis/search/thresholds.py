"""From which number on a score names a cause.

They were chosen on EfficientNet-Lite1 with the probes, and on networks for digits and clothes that were
trained for this, with other seeds and widths than those that `tests/benchmarks/diagnosis.py` reports on.
"""

from math import log, sqrt

from kit.robustness.reference.profile import Profile

NAMED = 0.2
"""Nats by which a candidate must fall nearer to training on the probes. On Lite1 the smallest of a real fault
is 0.35 (red and blue exchanged), the largest of a healthy pipeline 0.02."""

POSSIBLE = 0.1
"""Nats from which on it is mentioned."""

FAMILIAR = 0.25
"""Largest distance from training, in nats, at which the probes count as what the network knows. On Lite1 it
is 0.04."""

LAYOUT_GAIN, LAYOUT_ERRORS = 0.3, 1.5
"""Fall of the entropy, in nats and in standard errors, from which on exchanged axes are named; the statistics
do not see them. On Lite1 the fall is 0.5 on the probes alone, and -0.5 in a healthy pipeline."""

MARGIN = 0.1
"""Nats by which a cause must lead the next one."""

PROFILED, PROFILED_LEAST = 1.2, 0.15
"""Weighted gain from which on the user's pictures name a cause where the file has a profile: in standard
errors of the mean logarithmic distance of ordinary pictures, and in nats. On eight networks for digits and
clothes, grey and coloured, that were trained to choose it, a healthy pipeline is accused in 0.6, 0 and 0 % of
800 draws of 1, 4 and 16 pictures; of the faults, 79, 95 and 99 % are named, and 0.1, 0 and 0 % wrongly."""

PICTURES_NAMED, EACH_FOURFOLD, PICTURES_LEAST = 1.1, 0.35, 0.35
"""The same by moving averages alone: for one picture, what four times as many take from it, and where that
ends. On such networks, a healthy pipeline is accused in 1, 2 and 0 % of draws of 1, 4 and 16 pictures, and
0.3 % of what is named is wrong."""

LABELLED = 0.35
"""Taken from that where labels are known."""

LABELS_ALONE = 3.0
"""The same over the square root of the number of labels, where there are no statistics."""

REGAINED = 6
"""Labelled pictures that a change must put right, less those that it puts wrong, where labels are all there
is. Taken that a change puts a picture right by chance in a quarter of cases, since most changes leave much of
it as it was, one of a dozen changes does so with six in 0.3 % of cases."""

BY_CHANCE = 0.05
"""Chance of as many right answers by guessing up to which labels alone say that nothing is wrong."""

MENTIONED = 0.6
"""Share of these from which on a cause is mentioned."""

UNUSUAL = 3.0
"""Standard errors above the profile's mean logarithmic distance from which on nothing is called clean."""

ALIKE = 0.05
"""Nats between two candidates' distances from training up to which the statistics do not tell them apart."""


SAME = 0.02
"""Largest difference in a probability up to which two preprocessings come to the same."""

ENOUGH = 4
"""Pictures on which they must."""


def needed(photos: int, labels: int, ordinary: Profile | None, *, statistics: bool) -> float:
    """Return the weighted gain, in nats, that names a cause on the user's pictures.

    Parameters
    ----------
    photos, labels
        How many pictures there are, and how many labels are known.
    ordinary
        What is ordinary by the profile, if the network is judged by one.
    statistics
        Whether anything is known of the training pictures; without, there must be a label.
    """
    if not statistics:
        return LABELS_ALONE / sqrt(labels)
    if ordinary is not None:
        return max(PROFILED * ordinary.scatter / sqrt(photos), PROFILED_LEAST)
    gain = PICTURES_NAMED - EACH_FOURFOLD * log(photos, 4)
    return max(gain - (LABELLED if labels else 0.0), PICTURES_LEAST)
