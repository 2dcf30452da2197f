"""Comparing a preprocessing with a person's own function, which can only be called.

How well what is found rebuilds the function's result is measured and said.
"""

import numpy as np

from kit.images import Photo, Source, load_image
from kit.preprocessing.calling import Called, Function, call
from kit.preprocessing.comparison import Comparison, Difference, Effect, compared, moved, step_difference
from kit.preprocessing.explanation import Explanation
from kit.preprocessing.operations import run
from kit.preprocessing.pipeline import PIPELINE, Pipeline


def compare_function(here: Pipeline, function: Function, photo: Source | None = None) -> Comparison:
    """Compare a preprocessing with a function on one photo.

    Parameters
    ----------
    here
        The preprocessing.
    function
        Takes a copy of the decoded picture, RGB uint8 (H, W, 3), or else the path of a file, and returns what
        ``np.asarray`` takes: (H, W, C), (C, H, W) or (H, W), with or without a leading axis of 1, of any data
        type.
    photo
        None takes a made-up picture, in which every step shows.

    Returns
    -------
    comparison
        A function that raises, or returns no picture, is a difference as well. Its notes say whether decoding
        is compared: only a function that opens the file itself shows how it does so.
    """
    opened = (_made_up() if photo is None else load_image(photo)).decoded(here.decoding)
    return compare_called(here, call(function, opened), opened)


def compare_called(here: Pipeline, called: Called, photo: Photo, effect: Effect = moved) -> Comparison:
    """Compare a preprocessing with what a function made of a photo.

    Parameters
    ----------
    here, called
        The preprocessing, and what came of the function.
    photo
        Decoded as the preprocessing does.
    effect
        By which the differences are ordered; each is tried by itself on the tensor of the preprocessing.
    """
    notes = [_decoding_note(called, photo)]
    theirs = called.tensor
    if theirs is None:
        problem = Difference("function", f"function: {called.problem}", 1.0)
        return compared([problem], "function", (), photo.name, notes)
    ours = run(PIPELINE, here, photo)
    if theirs.ndim == ours.ndim - 1:
        notes.append(f"the function returns no leading axis of 1, {theirs.shape}")
    elif theirs.ndim == ours.ndim:
        theirs = theirs[0]
    steps = (step_difference("tensor", ours[0], theirs),)
    if theirs.dtype != ours.dtype:
        notes.append(f"the function returns {theirs.dtype}, which Keras casts to float32")
    if not steps[0].parts:
        return compared([], None, steps, photo.name, notes)
    explanation = Explanation(here, photo, theirs.astype(np.float64), effect)
    found = explanation.differences(notes, decoding=called.reads_file)
    return compared(found, found[0].step if found else None, steps, photo.name, notes)


def _decoding_note(called: Called, photo: Photo) -> str:
    if called.tensor is None:
        return "decoding is not compared"
    if not called.reads_file:
        return (
            "the function starts from decoded pixels, so decoding is not compared; give one that takes a path"
            " and reads the file itself"
        )
    if photo.file is None:
        return "the function reads a PNG of the pixels, since there is no file, so decoding is not compared"
    return "the function reads the file itself, so decoding is compared"


def _made_up() -> Photo:
    """Return a picture in which channels, corners and directions differ and there is fine detail."""
    rows, columns = np.mgrid[0:300, 0:400].astype(np.float64)
    red = rows / 300 + 0.3 * np.sin(columns / 9)
    green = columns / 400 + 0.3 * np.sin(rows / 7 + columns / 31)
    blue = np.hypot(rows - 60, columns - 310) / 400 + 0.2 * np.sin(columns * rows / 900)
    waves = np.stack([red, green, blue], axis=-1)
    grain = np.random.default_rng(0).normal(0, 0.05, waves.shape)
    return Photo.from_array((255 * (waves + grain).clip(0, 1)).astype(np.uint8), "a made-up picture")
