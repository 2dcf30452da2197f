"""What the scores of candidates come to: findings, and their words."""

from math import sqrt

from kit.diagnosis.candidates import QUIET
from kit.diagnosis.evidence import FEW, Grounds, Score, Scores
from kit.diagnosis.finding import Evidence, Finding, Fix, at_least, using
from kit.diagnosis.sources import NAMED, Labelled
from kit.preprocessing import Preprocessing

POSSIBLE = 0.25
"""Nats from which on a cause is mentioned."""

MEASURED = 0.05
"""Nats that must have been measured: how rare a step is never names it alone."""

NEAR, EXCLUDED = 0.1, -0.2
"""Nats above which a candidate is never ruled out, and up to which it is, if it changes any answer."""

LEAD, LEAD_WITHIN = 0.2, 0.03
"""Nats by which a cause must lead the next one of another step, and of the same step."""

BY_CHANCE = 0.05
"""Chance, out of all changes tried, of so many labels fixed, up to which labels alone name a cause."""

_SEES = "With this change the model sees what it was trained on: {}."
_MEETS = "With this change the predictions match the labels: {}."
_MAY = "This change brings the images somewhat nearer to training: {}."
_SEES_NOT = "This change brings the images no nearer to training."
_MEETS_NOT = "This change makes no more predictions match the labels."
_MORE = "give more images, or labels"
_OPEN = "Nothing says whether this is as in training; changing it changes predictions."


def judged(grounds: Grounds, ranked: Scores, in_use: Preprocessing) -> Finding | None:
    """Put the first of the scores into words and numbers; None where nothing speaks against `in_use`."""
    if not ranked or ranked[0].gain < POSSIBLE:
        return None
    best = ranked[0]
    right, cause = best.candidate.preprocessing, best.candidate.cause
    conditions = [one for one in (_lead(best, ranked), _beyond_chance(grounds, best, in_use)) if one]
    seen = best.measured >= MEASURED and best.at_home and not best.vetoed
    sure = best.gain >= NAMED and seen and all(one.supports for one in conditions)
    summary = _MEETS if not grounds.evaluator.statistics else _SEES if sure else _MAY
    told = summary.format(difference(in_use, right))
    evidence, cost = (*weighed(best), *conditions), float(grounds.trial(in_use, right).changed.mean())
    fixed, same = fix(in_use, right, cause), best.candidate.equivalent
    unlike = [each for each in best.variants if _unlike(grounds, right, each, 0)]
    unlike += [each for each in _untold(grounds, best, ranked) if _unlike(grounds, right, each, 2)]
    if unlike:
        forms = " or ".join(difference(in_use, each) for each in (right, unlike[0]))
        fixed = Fix(f"Prepare images as in training; these cannot tell {forms}: {_MORE}.")
    return Finding(cause, "named" if sure else "possible", told, evidence, cost, fixed, same)


def _untold(grounds: Grounds, best: Score, ranked: Scores) -> list[Preprocessing]:
    """Return what else of the same step explains about as much; few labels alone tell less."""
    few = 1.0 if grounds.evaluator.statistics else sqrt(Labelled.ENOUGH / grounds.known_labels)
    near = (one for one in ranked if one.candidate.step == best.candidate.step and not one.vetoed)
    others = (one for one in near if one is not best and best.gain - one.gain < LEAD * max(few, 1))
    return [one.candidate.preprocessing for one in others]


def _unlike(grounds: Grounds, right: Preprocessing, other: Preprocessing, errors: int) -> bool:
    """Whether another preprocessing may change more than a few predictions; a few images do not show it."""
    photos, evaluator = (*grounds.probes[:FEW], *grounds.photos), grounds.evaluator
    moved = evaluator.trial(photos, right, other).moved
    # With 2, the upper end of the interval of Agresti and Coull (1998).
    large = bool((moved.sum() + errors) / (len(moved) + 2 * errors) > QUIET)
    return large and not evaluator.alike(photos, right, other)


def weighed(score: Score) -> tuple[Evidence, ...]:
    """Return the sum of the votes, then what each of them measured."""
    whole = Evidence("overall evidence, in nats", score.gain, NAMED, score.gain >= NAMED)
    return whole, *(
        Evidence(
            f"{vote.text} (counts {vote.gain:+.2f})",
            vote.measured,
            supports=vote.gain > 0 if vote.gain or vote.veto else None,
        )
        for vote in score.votes
        if vote.gain or vote.veto or vote.measured
    )


def _lead(best: Score, ranked: Scores) -> Evidence | None:
    """Return the lead over that other cause whose lead is the most doubtful."""
    rivals = [score for score in ranked if not best.candidate.causes & score.candidate.causes]
    if not rivals:
        return None

    def needed(rival: Score) -> float:
        return LEAD_WITHIN if rival.candidate.step == best.candidate.step else LEAD

    other = min(rivals, key=lambda rival: -rival.gain - needed(rival))
    lead, text = best.gain - other.gain, f"lead over the next cause, {other.candidate.cause}, in nats"
    return Evidence(text, lead, needed(other), supports=lead >= needed(other))


def _beyond_chance(grounds: Grounds, best: Score, in_use: Preprocessing) -> Evidence | None:
    """Return the chance of so many more labels; None where other evidence names the cause without them."""
    labelled = (v for s, v in zip(grounds.sources, best.votes, strict=False) if isinstance(s, Labelled))
    if grounds.evaluator.statistics and best.gain - sum(vote.gain for vote in labelled) >= NAMED:
        return None
    gained, lost = grounds.trial(in_use, best.candidate.preprocessing).turned
    chance = _by_chance(grounds, best, in_use)
    text = f"chance that one of all changes tried puts {gained} labels right and {lost} wrong"
    return Evidence(text, chance, BY_CHANCE, supports=chance <= BY_CHANCE)


def _by_chance(grounds: Grounds, score: Score, in_use: Preprocessing) -> float:
    """Return the chance that one of all changes tried puts as many labels right as this one.

    Each puts a wrong label right as often as those do that are called otherwise.
    """
    tried = grounds.scores(in_use)
    apart = [one for one in tried if not one.candidate.causes & score.candidate.causes]
    gained, lost = grounds.trial(in_use, score.candidate.preprocessing).turned
    wrong = grounds.known_labels - grounds.correct(in_use)
    met = sum(grounds.trial(in_use, one.candidate.preprocessing).turned[0] for one in apart)
    rate = (met + 1) / (wrong * len(apart) + 2)
    return min(1.0, at_least(gained - lost, wrong, rate) * len(tried))


def settled(grounds: Grounds, ranked: Scores, in_use: Preprocessing, told: set[str]) -> list[Finding]:
    """Return each cause not yet told: ruled out where no candidate of it is left that would change anything.

    A candidate is left that comes near to being named, that changes a prediction and is not excluded, or on
    which the sources disagree.
    """
    found: dict[str, Finding] = {}
    excluded = _SEES_NOT if grounds.evaluator.statistics else _MEETS_NOT
    for score in ranked:
        cause = score.candidate.cause
        if cause in told or (cause in found and found[cause].verdict == "cannot_tell"):
            continue
        trial = grounds.trial(in_use, score.candidate.preprocessing)
        labelled = bool(grounds.known_labels) and _by_chance(grounds, score, in_use) <= BY_CHANCE
        disputed = labelled or (score.vetoed and max(vote.gain for vote in score.votes[:-1]) >= NAMED)
        if disputed or score.gain > NEAR or (score.gain > EXCLUDED and trial.changed.any()):
            found[cause] = Finding(cause, "cannot_tell", _OPEN, weighed(score))
        else:
            found.setdefault(cause, Finding(cause, "ruled_out", excluded, weighed(score)))
    return list(found.values())


def difference(in_use: Preprocessing, right: Preprocessing) -> str:
    """Return what `right` does otherwise, step by step, and which steps it leaves out."""
    before, after = (dict(line.split(": ", 1) for line in each.describe()) for each in (in_use, right))
    changed = [f"{step}: {words}" for step, words in after.items() if before.get(step) != words]
    left_out = [f"leave out {step} ({words})" for step, words in before.items() if step not in after]
    return "; ".join([*changed, *left_out])


def fix(in_use: Preprocessing, right: Preprocessing, cause: str) -> Fix:
    """Return what to change, in words and as code."""
    text = f"Prepare images as in training: {difference(in_use, right)} (fixes {cause})."
    return using(text, right)
