"""What a diagnosis is made of: findings with their evidence, and the fix."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from kit._reporting import Code, Report, Result, Table
from kit.images.photo import Photo
from kit.preprocessing import Preprocessing
from kit.preprocessing.pipeline import PIPELINE

Photos = Sequence[Photo]
Verdict = Literal["named", "possible", "cannot_tell", "ruled_out"]
_WORD_FOR_SUPPORT = {True: "for", False: "against", None: "info"}


@dataclass(frozen=True)
class Evidence:
    """One number that speaks for or against a cause.

    Attributes
    ----------
    text, value
        What was measured, in words, and the number in the unit that they name. Up to the first comma, words
        say what it is, for a report without numbers.
    threshold
        The number from which on it counts; None where it is only reported.
    supports
        True where it speaks for the cause, False where it speaks against, None where it decides nothing.
    """

    text: str
    value: float
    threshold: float | None = None
    supports: bool | None = None


@dataclass(frozen=True)
class Fix:
    """What to change.

    Attributes
    ----------
    text
        One sentence.
    code
        Lines that run as printed where ``kit``, ``classifier``, ``photos`` and ``labels`` are what
        `kit.diagnose` was given, the last two as lists; what they fixed has the same names. May be empty.
    preprocessing
        The fixed preprocessing; None where the fix is not one of preprocessing.
    """

    text: str
    code: str = ""
    preprocessing: Preprocessing | None = None


@dataclass(frozen=True)
class Finding(Result):
    """One cause with its verdict.

    Attributes
    ----------
    cause
        A name of the closed set of causes, such as ``"missing_scaling"``.
    verdict
        ``"named"``, ``"possible"``, ``"ruled_out"`` or ``"cannot_tell"``.
    summary, evidence
        One sentence for people, and numbers for and against.
    cost
        Share of the images, 0 to 1, whose answer changes when a searched cause is fixed; else None.
    fix
        What to change; its text is empty where nothing can be said.
    equivalent
        Other causes that no evidence can distinguish from this one on this network.
    """

    cause: str
    verdict: Verdict
    summary: str
    evidence: tuple[Evidence, ...] = ()
    cost: float | None = None
    fix: Fix = Fix("")
    equivalent: tuple[str, ...] = ()

    def _report(self) -> Report:
        yield self.summary
        if self.evidence:
            rows = [
                (
                    _WORD_FOR_SUPPORT[evidence.supports],
                    f"{evidence.value:.3g}",
                    "" if evidence.threshold is None else f"{evidence.threshold:.3g}",
                    evidence.text,
                )
                for evidence in self.evidence
            ]
            yield Table(("speaks", "value", "threshold", "measure"), rows, "<>><")
        if self.cost is not None:
            yield f"Effect: fixing it changes {self.cost:.0%} of these predictions."
        if self.equivalent:
            yield f"Equivalent here: {', '.join(self.equivalent)}."
        if self.fix.text:
            yield f"Fix: {self.fix.text}"
        if self.fix.code:
            yield Code(self.fix.code)


def conclude(
    cause: str,
    summary: str,
    *evidence: Evidence,
    advice: str,
    sure: bool = True,
    code: str = "",
    fixed: Preprocessing | None = None,
) -> Finding:
    """Return a finding, named if it is sure, whose fix is advice, and code or the fixed preprocessing."""
    # `using` writes the code: `code` counts only where nothing is fixed.
    fix = using(advice, fixed) if fixed else Fix(advice, code)
    verdict: Verdict = "named" if sure else "possible"
    return Finding(cause, verdict, summary, evidence, fix=fix)


def using(text: str, fixed: Preprocessing) -> Fix:
    """Return the fix that puts the fixed preprocessing in use, in words and as code."""
    return Fix(text, f"classifier = classifier.using({fixed.to_code()})", fixed)


def chance_of_at_least(successes: int, trials: int, rate: float) -> float:
    """Return the chance, 0 to 1, of so many successes or more in a binomial distribution."""
    from scipy.special import (
        bdtrc,
    )  # scipy.stats has it too, and takes longer to import than to ask

    # The chance of more than its first number.
    return float(bdtrc(successes - 1, trials, rate))


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return named findings first, then possible ones, those that nothing decides, and what is ruled out."""
    return tuple(
        sorted(findings, key=lambda finding: get_args(Verdict).index(finding.verdict))
    )


def any_named(findings: Iterable[Finding]) -> bool:
    """Whether a cause is named."""
    return any(finding.verdict == "named" for finding in findings)


def words_of_changes(in_use: Preprocessing, fixed: Preprocessing) -> str:
    """Return what `fixed` does otherwise, step by step, and which steps it leaves out."""
    # A step that is left out has no line.
    changed = [line for line in fixed.describe() if line not in in_use.describe()]
    left_out = [
        f"leave out {operation.name} ({operation.described(in_use)})"
        for operation in PIPELINE
        if operation.skipped(fixed) and not operation.skipped(in_use)
    ]
    return "; ".join([*changed, *left_out])


def fix_from(in_use: Preprocessing, fixed: Preprocessing) -> Fix:
    """Return what to change, in words and as code."""
    changes_in_words = words_of_changes(in_use, fixed)
    alternative = ""
    if "scaling: imagenet" in changes_in_words:
        # The search tries ImageNet's mean and standard deviation alone, not those of other images.
        alternative = ", or your training's mean and standard deviation, if near these"
    # With the code that puts it in use.
    return using(
        f"Prepare images as in training: {changes_in_words}{alternative}.", fixed
    )
