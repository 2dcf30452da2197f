"""Whether the pictures themselves are what is wrong: unlike anything that the network was trained on."""

from kit._arrays import Float64
from kit.classifier import Classifier
from kit.diagnosis.finding import Evidence, Finding, Verdict, at_least
from kit.images import Pictures, as_photos
from kit.robustness.reference.fitting import novelty_of, profile_novelty
from kit.robustness.reference.novelty import FALSE_POSITIVES

CAUSE = "out_of_distribution"
SURE = 0.01
"""Chance, with ordinary pictures, at which the cause is named."""


def out_of_distribution(classifier: Classifier, photos: Pictures) -> Finding:
    """Measure whether photos are unlike the training pictures.

    Ask this after the preprocessing was found to be right: a wrong one makes every picture unlike them.

    Parameters
    ----------
    classifier
        Best with a novelty (`kit.fit_novelty`). Without one, the profile of training pictures in its file
        gives a weaker answer, which speaks for the cause at most and never against it: the first layers see
        light and texture, and no shapes.
    photos
        A folder, a glob pattern, an array, one picture or several: see `kit.images.sources`.

    Returns
    -------
    Finding
        Cause ``"out_of_distribution"``. ``"named"`` where so many of the photos lie above the threshold for
        a false-positive rate of 1 % that ordinary photos would do so in 1 % of all cases or less;
        ``"possible"`` likewise with 5 % for both; else ``"ruled_out"``, or ``"cannot_tell"`` where only the
        profile could be asked, or nothing.

    Raises
    ------
    ValueError
        No preprocessing, no photo, or photos that cannot be prepared.
    """
    chosen = as_photos(photos, allow_empty=False)
    fitted = novelty_of(classifier)
    novelty = fitted or profile_novelty(classifier)
    if novelty is None:
        return Finding(
            CAUSE,
            "cannot_tell",
            "The classifier does not know how ordinary pictures look to it: fit a novelty (kit.fit_novelty).",
        )
    name = novelty.method
    chances = novelty.chances(novelty.scores(chosen)[name])
    if fitted is not None:
        verdict, evidence = _judged(chances, f"whose {_WORDS[name]} is unlike that of held-back pictures")
        summary = _SUMMARIES[verdict].format(above=evidence[0].value, count=len(chosen))
        return Finding(CAUSE, verdict, summary, evidence)
    verdict, evidence = _judged(chances, "whose light and texture are unlike those of the profile")
    if verdict == "ruled_out":
        summary = "Light and texture are as in training; for shapes, fit a novelty (kit.fit_novelty)."
        return Finding(CAUSE, "cannot_tell", summary, evidence)
    return Finding(CAUSE, "possible", "Light or texture are unlike those of the training pictures.", evidence)


_WORDS = {
    "combined": "energy or distance in the network's stages",
    "features": "distance in the network's stages",
    "energy": "energy",
    "batchnorm": "light or texture",
    "probability": "largest probability",
}
_SUMMARIES: dict[Verdict, str] = {
    "named": "{above:.0f} of {count} pictures are unlike anything in training: none of the classes fits.",
    "possible": "{above:.0f} of {count} pictures are rather unlike those of training.",
    "ruled_out": "The pictures are like those of training.",
}


def _judged(chances: Float64, told: str) -> tuple[Verdict, tuple[Evidence, ...]]:
    """Compare how many pictures lie above a threshold with what chance would give."""
    count = len(chances)
    evidence = []
    for rate in (SURE, FALSE_POSITIVES):
        # A chance is a share of held-back pictures: it is compared as such, not by its last bit.
        limit = rate + 1e-9
        above = int((chances <= limit).sum())
        needed = next(number for number in range(count + 2) if at_least(number, count, rate) <= limit)
        text = f"pictures out of {count} {told}, {rate:.0%} of which score so high"
        evidence.append(Evidence(text, above, float(needed), supports=above >= needed))
    sure, unusual = evidence
    verdict: Verdict = "named" if sure.supports else "possible" if unusual.supports else "ruled_out"
    return verdict, (unusual, sure)
