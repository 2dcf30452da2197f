"""Working out from its result what a person's own preprocessing function does to a picture.

A function cannot be looked into, so its result is explained backwards: decoding, layout, size, window and
filter, channel order, and the straight line that leads from the pixels to its values.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kit._arrays import Array, Float64, Pixels
from kit.images import Photo
from kit.preprocessing.comparison import ROUNDING, Difference, Effect, differences, short
from kit.preprocessing.operations import run
from kit.preprocessing.pipeline import PIPELINE, TO_SIZE, Pipeline, other_decodings
from kit.preprocessing.reconstruction import (
    ENOUGH_PIXELS,
    SAME_LEVELS,
    View,
    best_views,
    line_of,
    own_view,
    rebuilt,
)
from kit.preprocessing.resizing import fit_words, sides
from kit.preprocessing.scaling import MINUS, SCALINGS, Scaling, Scalings, same_line, scaling_words

# So many times less must be left over to tell that the picture was changed before it was resized.
MUCH_BETTER = 4
# Root mean square in 8-bit levels, above which two pictures do not show the same.
STRANGE_LEVELS = 25.0


@dataclass(frozen=True)
class Explanation:
    """What a function does otherwise than a preprocessing, from what it made of one photo.

    Attributes
    ----------
    here
        The preprocessing.
    photo
        Decoded as the preprocessing does.
    theirs
        float64 of two or three axes, what the function returned.
    effect
        Of a difference by itself.
    """

    here: Pipeline
    photo: Photo
    theirs: Float64
    effect: Effect

    def differences(self, notes: list[str], *, decoding: bool) -> list[Difference]:
        """Return every difference, in the order of the pipeline; what is left over is added to the notes.

        Parameters
        ----------
        notes
            Texts, added to.
        decoding
            Whether the function reads the file, so that another decoding may explain its result.
        """
        if np.ptp(self.theirs) == 0:
            text = f"values: a picture here, {short(self.theirs.flat[0])} everywhere there"
            return [self._difference("tensor", text, self.theirs)]
        cast = self._cast()
        if cast is not None:
            return cast
        pixels, found = self.photo.pixels, []
        ours, best = best_views(self.here, pixels, self.theirs)
        if best.levels > SAME_LEVELS:
            for step, words, other in self._beforehand(decoding):
                views = best_views(self.here, other, self.theirs)
                if views[1].levels < best.levels / MUCH_BETTER:
                    (ours, best), pixels = views, other
                    found = [self._difference(step, words, self._own, pixels)]
        found += [self._difference(*each) for each in self._explained(ours, best, pixels)]
        left = f"{best.levels:.2f} levels (root mean square)"
        if best.levels > STRANGE_LEVELS:
            text = (
                f"content: nothing tried explains it; nearest are {best.layout}, {best.fit} and {best.filter}"
            )
            return [*found, self._difference("tensor", f"{text}, off by {left}", self.theirs)]
        if best.levels > SAME_LEVELS:
            text = f"values: {left} are left over, so something else happens there too"
            apart = self.effect(rebuilt(best, pixels, self.here.fill), self.theirs)
            return [*found, Difference("tensor", text, apart)]
        notes.append(
            f"{'what is said above' if found else 'this preprocessing'} rebuilds their result to {left}"
        )
        return found

    @property
    def _own(self) -> View:
        return own_view(self.here, self.photo.pixels)

    def _difference(
        self, step: str, words: str, alone: View | Array, pixels: Pixels | None = None
    ) -> Difference:
        """Return a difference with its effect, from what the own preprocessing becomes by it alone."""
        own = rebuilt(self._own, self.photo.pixels, self.here.fill)
        if isinstance(alone, View):
            alone = rebuilt(alone, self.photo.pixels if pixels is None else pixels, self.here.fill)
        return Difference(step, words, self.effect(own, alone))

    def _beforehand(self, decoding: bool) -> Iterator[tuple[str, str, Pixels]]:
        """Yield step, words and what becomes of the pixels, for what may be done before resizing."""
        here = self.here
        others = [here.replace(decoding=each) for each in other_decodings(here.decoding)] if decoding else []
        if here.size is not None and here.thumbnail is None:
            small = [tuple(max(side // part, 1) for side in here.size) for part in (2, 4, 8)]
            others += [here.replace(thumbnail=size) for size in small]
        for there in others:
            pixels = run(TO_SIZE, there.replace(size=None), self.photo)
            if not np.array_equal(pixels, self.photo.pixels):
                yield (*next(differences(here, there)), pixels)

    def _explained(self, ours: View, best: View, pixels: Pixels) -> Iterator[tuple[str, str, View]]:
        """Yield step, words and what the own preprocessing becomes by this difference alone."""
        here, own = self.here, self._own
        size = here.size or (pixels.shape[0], pixels.shape[1])
        if best.size != size:
            yield (
                "resize",
                f"size: {sides(size)} here, {sides(best.size)} there",
                replace(own, size=best.size),
            )
        if best.levels > STRANGE_LEVELS:
            return
        for words, changes in _resize_words(here, ours, best):
            yield "resize", words, replace(own, **changes)
        if best.order != here.channels:
            text = f"channels: {here.channels} here, {best.order} there"
            yield "channels", text, replace(own, order=best.order)
        for step, text in _scaling_findings(here, best):
            yield step, text, replace(own, slope=best.slope, offset=best.offset)
        if best.layout != here.layout:
            text = f"layout: {here.layout} here, {best.layout} there"
            yield "layout", text, replace(own, layout=best.layout)

    def _cast(self) -> list[Difference] | None:
        """Find a cast to whole numbers after scaling: no straight line, so it is tried out."""
        here, theirs = self.here, self.theirs
        few = np.unique(theirs.ravel()[:: max(1, theirs.size // ENOUGH_PIXELS)]).size <= 16
        if here.cast is not None or not few:
            return None
        for there in self._otherwise():
            signed = np.trunc(run(PIPELINE, there, self.photo)[0])
            for tried in (run(PIPELINE, there.replace(cast="uint8"), self.photo)[0], signed):
                if tried.shape == theirs.shape and np.mean(tried != theirs) < 0.02:
                    return self._with_cast(there)
        return None

    def _otherwise(self) -> Iterator[Pipeline]:
        """Yield the preprocessing with every usual scaling and window, its own first."""
        here = self.here
        windows = dict.fromkeys([(here.fit, here.crop_fraction), ("squash", 1.0), ("crop", 1.0)])
        for fit, fraction in windows if here.size is not None else [(here.fit, here.crop_fraction)]:
            for scaling in (here.scaling, *SCALINGS.values()):
                if all(part.channels in {None, here.channel_count} for part in scaling):
                    yield here.replace(fit=fit, crop_fraction=fraction, scaling=scaling)

    def _with_cast(self, there: Pipeline) -> list[Difference]:
        own, theirs = self._own, own_view(there, self.photo.pixels)
        alone = {
            "resize": replace(own, fit=theirs.fit, crop_fraction=theirs.crop_fraction),
            "scale": replace(own, slope=theirs.slope, offset=theirs.offset),
        }
        left = ", ".join(short(value) for value in np.unique(self.theirs)[:6])
        text = f"cast: none here, to whole numbers after scaling there; only {left} are left"
        found = [self._difference(*told, alone[told[0]]) for told in differences(self.here, there)]
        cast = np.trunc(rebuilt(own, self.photo.pixels, self.here.fill))
        return [*found, self._difference("cast", text, cast)]


def _resize_words(here: Pipeline, ours: View, best: View) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield in words what another resizing does, and the fields that it changes."""
    if here.size is None or ours is best or ours.levels <= SAME_LEVELS:
        return
    exactly = "" if best.levels <= SAME_LEVELS else "something nearest to "
    apart = f"(the own one is off by {ours.levels:.2f} levels, this one by {best.levels:.2f})"
    mine, there = (fit_words(one.fit, one.crop_fraction) for one in (here, best))
    fit = {"fit": best.fit, "crop_fraction": best.crop_fraction}
    for name, own, other, changes in (
        ("filter", here.filter, best.filter, {"filter": best.filter}),
        ("fit", mine, there, fit),
    ):
        if own != other:
            yield f"{name}: {own} here, {exactly}{other} there {apart}", changes


def _scaling_findings(here: Pipeline, best: View) -> list[tuple[str, str]]:
    slope, offset = line_of(here.scaling, inverted=here.invert)
    if _agree((slope, offset), best):
        return []
    for inverted in (here.invert, not here.invert):
        for scaling in (here.scaling, *_scalings(here.scaling)):
            expressible = all(part.channels in {None, here.channel_count} for part in scaling)
            if not expressible or not _agree(line_of(scaling, inverted=inverted), best):
                continue
            there = here.replace(invert=inverted, scaling=scaling)
            return list(differences(here, there))
    relation = _relation(slope, offset, best)
    return [("scale", f"scaling: {scaling_words(here.scaling)} here, there {relation}")]


def _scalings(own: Scalings) -> Iterator[Scalings]:
    yield from SCALINGS.values()
    for again in (own, *SCALINGS.values()):
        yield own + again
        yield again + own
    for part in own:
        yield (Scaling(1.0, part.mean, part.std),)
        yield (Scaling(part.divisor, None, part.std),)
        yield (Scaling(part.divisor, part.mean, None),)


def _agree(line: tuple[Float64, Float64], best: View) -> bool:
    """Tell whether two lines stay within half a level of each other from 0 to 255."""
    if np.size(line[0]) not in {1, np.size(best.slope)}:
        return False
    return same_line(line, (best.slope, best.offset), 0.5 * np.abs(best.slope) + ROUNDING)


def _relation(slope: Float64, offset: Float64, best: View) -> str:
    """Return ``255 × the value here`` or, where the channels differ, one such line for each."""
    if np.size(slope) not in {1, np.size(best.slope)}:
        slope, offset = np.array(1.0), np.array(0.0)
    factors = np.atleast_1d(best.slope / slope)
    shifts = np.atleast_1d(best.offset - best.slope / slope * offset)
    spread = np.abs(best.slope).max() * 0.5
    if np.ptp(factors) <= 2e-3 * np.abs(factors).max() and np.ptp(shifts) <= spread:
        factors, shifts = factors[:1], shifts[:1]
    lines = [_equation(factor, shift, spread) for factor, shift in zip(factors, shifts, strict=True)]
    return lines[0] if len(lines) == 1 else f"by channel ({', '.join(lines)})"


def _equation(factor: float, shift: float, negligible: float) -> str:
    whole, inverse = round(factor), round(1 / factor)
    if abs(factor - 1) < 2e-3:
        text = "the value here"
    elif factor > 1 and abs(factor - whole) < 2e-3 * factor:
        text = f"{whole} × the value here"
    elif 0 < factor < 0.99 and abs(1 / factor - inverse) < 2e-3 / factor:
        text = f"the value here / {inverse}"
    else:
        text = f"{short(factor)} × the value here"
    if abs(shift) <= negligible:
        return text
    return f"{text} {'+' if shift > 0 else MINUS} {short(abs(shift))}"
