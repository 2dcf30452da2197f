"""Which edits of the preprocessing in use are tried: every fault of the catalogue, undone.

A candidate is a preprocessing that may have been the one in training. It differs from the one in use by one
step, and its cause is the fault that leads from it to the one in use.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

from kit.preprocessing import Preprocessing
from kit.preprocessing.faults import CATALOGUE
from kit.preprocessing.scaling import SCALINGS, Scalings, affine, same_scaling

PIPELINE_STEPS = ("thumbnail", "channels", "polarity", "scaling", "cast")
"""Steps whose faults show in the first statistics of a network, on any photographs."""

PICTURE_STEPS = ("exif", "alpha", "depth")
"""Steps that matter for pictures with such a file only."""

GEOMETRY_STEPS = ("filter", "fit", "layout")
"""Steps that move pixels about, to which the statistics of the first layers are nearly blind."""

_FITS = (("squash", 1.0), ("crop", 1.0), ("crop", 0.875), ("letterbox", 1.0))
_FILTERS = ("nearest", "bilinear", "bicubic", "tf_bilinear")
_MATTES = ((255, 255, 255), (0, 0, 0), None)
# Where no fault of the catalogue leads from the candidate to the preprocessing in use.
_CAUSES = MappingProxyType(
    {
        "exif": "exif_orientation",
        "alpha": "alpha_matte",
        "depth": "bit_depth",
        "thumbnail": "target_size",
        "filter": "resize_filter",
        "fit": "resize_fit",
        "channels": "grayscale",
        "polarity": "inverted_polarity",
        "cast": "dtype_cast",
        "layout": "channel_layout",
    }
)


@dataclass(frozen=True)
class Candidate:
    """One preprocessing that may have been the one in training.

    Attributes
    ----------
    preprocessing
        The one in use with one step changed.
    step
        The step that differs, a key of `kit.faults.STEPS`.
    cause
        What was done wrong if this one is right.
    faults
        Names in the catalogue that lead from this one to the one in use; may be empty.
    equivalent
        Other causes that come to the very same.
    quiet
        Whether the difference is too small to be told from evidence.
    """

    preprocessing: Preprocessing
    step: str
    cause: str
    faults: tuple[str, ...] = ()
    equivalent: tuple[str, ...] = ()
    quiet: bool = False


def candidates(in_use: Preprocessing) -> tuple[Candidate, ...]:
    """Return what may have been the preprocessing in training, without doubles, in the order of the steps.

    Parameters
    ----------
    in_use
        The preprocessing that is suspected.
    """
    found: list[Candidate] = []
    for step, preprocessing in _edits(in_use):
        if not _same(preprocessing, in_use) and not any(_same(preprocessing, c.preprocessing) for c in found):
            found.append(_explained(step, preprocessing, in_use))
    return tuple(found)


def _edits(p: Preprocessing) -> Iterator[tuple[str, Preprocessing]]:
    yield "exif", p.replace(decoding=replace(p.decoding, exif=True))
    for matte in _MATTES:
        yield "alpha", p.replace(decoding=replace(p.decoding, matte=matte))
    yield "depth", p.replace(decoding=replace(p.decoding, depth="scale"))
    yield "thumbnail", p.replace(thumbnail=None)
    if p.size is not None:
        for name in _FILTERS:
            yield "filter", p.replace(filter=name)
        for fit, fraction in _FITS:
            yield "fit", p.replace(fit=fit, crop_fraction=fraction)
    if p.channels != "gray":
        for channels in ("rgb", "bgr", "gray_rgb"):
            yield "channels", p.replace(channels=channels)
    yield "polarity", p.replace(invert=not p.invert)
    for scaling in _scalings(p):
        yield "scaling", p.replace(scaling=scaling)
    yield "cast", p.replace(cast=None)
    # A network that takes scrambled pictures does not exist; exchanged axes come with some data sets.
    yield "layout", p.replace(layout="channels_last")
    if p.layout == "channels_last" and p.size is not None and p.size[0] == p.size[1]:
        yield "layout", p.replace(layout="transposed")


def _scalings(p: Preprocessing) -> Iterator[Scalings]:
    half = len(p.scaling) // 2
    if half and p.scaling[:half] == p.scaling[half:]:
        yield p.scaling[:half]
    for scaling in SCALINGS.values():
        if p.channels != "gray" or all(part.channels is None for part in scaling):
            yield scaling


def _explained(step: str, candidate: Preprocessing, in_use: Preprocessing) -> Candidate:
    faults = [
        fault
        for fault in CATALOGUE.values()
        if fault.changes(candidate) and _same(fault.apply(candidate), in_use)
    ]
    causes = list(dict.fromkeys(fault.cause for fault in faults)) or [_cause(step, candidate, in_use)]
    return Candidate(
        candidate,
        step,
        causes[0],
        tuple(fault.name for fault in faults),
        tuple(causes[1:]),
        _quiet(step, candidate, in_use),
    )


def _quiet(step: str, candidate: Preprocessing, in_use: Preprocessing) -> bool:
    # Squashing costs EfficientNet-Lite1 no certainty on photographs with a known class: 0.06 nats.
    return step == "filter" or (step == "fit" and "letterbox" not in {candidate.fit, in_use.fit})


def _cause(step: str, candidate: Preprocessing, in_use: Preprocessing) -> str:
    if step != "scaling":
        return _CAUSES[step]
    if not in_use.scaling:
        return "missing_scaling"
    (_, offset), (_, wanted) = affine(in_use.scaling), affine(candidate.scaling)
    return "wrong_range" if offset.ndim == wanted.ndim == 0 else "wrong_mean_std"


def _same(one: Preprocessing, other: Preprocessing) -> bool:
    return one == other or (
        same_scaling(one.scaling, other.scaling) and one.replace(scaling=other.scaling) == other
    )
