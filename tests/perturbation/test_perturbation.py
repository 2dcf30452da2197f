"""A perturbation is a value: checked, comparable, repeatable, and applied in the order of a camera."""

import inspect
import io
import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from kit.images.opening import Decoding
from kit.images.photo import Photo, load_image
from kit.perturbation import PARAMETERS, Perturbation, physics
from kit.preprocessing.trace import StepRecord
from tests.pictures import scene

EARLIER = json.loads(
    (Path(__file__).parents[1] / "data" / "earlier_perturbations.json").read_text()
)
ACTING = {
    name: parameter for name, parameter in PARAMETERS.items() if parameter.function
}


def gentle(parameter):
    """A setting that changes an image and leaves it to be recognised: a fifth of the way to the highest."""
    if parameter.kind == "switch":
        return True
    start = parameter.high if parameter.neutral is None else parameter.neutral
    end = parameter.low if parameter.neutral is None else parameter.high
    value = start + (end - start) / 5
    return round(value) if parameter.kind == "whole" else value


CAMERA = {name: gentle(parameter) for name, parameter in ACTING.items()}
"""Every parameter that acts, in the order in which they happen."""
SEEDED = {
    name
    for name, acting in ACTING.items()
    if "seed" in inspect.signature(acting.function).parameters
}


PILLOWS = [
    ({"brightness": 1.7}, lambda image: ImageEnhance.Brightness(image).enhance(1.7)),
    ({"contrast": 1.7}, lambda image: ImageEnhance.Contrast(image).enhance(1.7)),
    ({"blur": 2.5}, lambda image: image.filter(ImageFilter.GaussianBlur(2.5))),
    ({"rotation": 20}, lambda image: image.rotate(20, Image.Resampling.BILINEAR)),
]


@pytest.mark.parametrize(("settings", "function"), PILLOWS)
def test_what_pillow_does_is_pillows_bit_for_bit(settings, function):
    expected = function(Image.fromarray(scene().pixels))
    np.testing.assert_array_equal(
        Perturbation(**settings).apply(scene()).pixels, np.asarray(expected)
    )


def test_each_of_several_pictures_has_noise_of_its_own():
    grey = Photo.from_array(np.full((8, 8, 3), 128, np.uint8))
    first, second = Perturbation(noise=20, seed=3).apply_to_all([grey, grey])
    np.testing.assert_array_equal(
        first.pixels, Perturbation(noise=20, seed=3).apply(grey).pixels
    )
    np.testing.assert_array_equal(
        second.pixels, Perturbation(noise=20, seed=4).apply(grey).pixels
    )


def test_the_order_is_that_of_a_camera():
    groups = dict.fromkeys(parameter.group for parameter in PARAMETERS.values())
    assert list(groups) == ["Scene", "Weather", "Lens", "Light", "Sensor", "File"]
    assert all(
        (parameter.of in ACTING) != (name in ACTING)
        for name, parameter in PARAMETERS.items()
    )
    step_by_step = scene()
    for name, value in CAMERA.items():
        step_by_step = Perturbation(**{name: value}, seed=3).apply(step_by_step)
    everything = Perturbation(**CAMERA, seed=3).apply(scene())
    np.testing.assert_array_equal(everything.pixels, step_by_step.pixels)


@pytest.mark.parametrize("name", CAMERA)
def test_every_parameter_is_seeded_repeatable_and_the_same_on_any_thread(name):
    parameter = PARAMETERS[name]
    values = [parameter.low, (parameter.low + parameter.high) // 2, parameter.high]
    # Seeds of which nobody has asked before, so that the threads make the fields of noise themselves.
    settings = [
        Perturbation(**{name: value}, seed=seed)
        for value in values
        for seed in (77_000, 77_001)
    ]
    with ThreadPoolExecutor(4) as pool:
        received = list(
            pool.map(
                lambda setting: setting.apply(scene(28, 40)).pixels.tobytes(),
                settings * 3,
            )
        )
    expected = [setting.apply(scene(28, 40)).pixels.tobytes() for setting in settings]
    assert received == expected * 3
    photo = scene(28, 40)
    drawn = {
        Perturbation(**{name: CAMERA[name]}, seed=seed).apply(photo).pixels.tobytes()
        for seed in (0, 1)
    }
    assert (len(drawn) == 2) == (name in SEEDED)
    assert Perturbation(**{name: parameter.neutral}, seed=9).apply(photo) is photo
    assert any(pixels != photo.pixels.tobytes() for pixels in expected)
    assert Perturbation(**{name: parameter.high}).apply(scene(1, 1)).size == (1, 1)


def test_what_only_steers_another_parameter_changes_nothing_alone():
    photo, steering = (
        scene(),
        Perturbation(motion_angle=30, occlusion_x=0.1, occlusion_y=0.9),
    )
    assert steering.apply(photo) is photo
    tilted = Perturbation(motion_blur=9, motion_angle=30).apply(scene())
    assert not np.array_equal(
        tilted.pixels, Perturbation(motion_blur=9).apply(scene()).pixels
    )


def test_the_photo_is_not_changed_and_the_result_says_what_was_done():
    photo = scene()
    before = photo.pixels.copy()
    result = Perturbation(brightness=1.4, noise=20).apply(photo)
    np.testing.assert_array_equal(photo.pixels, before)
    assert not result.pixels.flags.writeable
    assert (result.name, result.size) == ("scene", photo.size)
    assert result.notes == ("perturbed: brightness=1.4, noise=20.0",)


def test_a_perturbed_photo_is_perturbed_again_when_it_is_decoded_anew():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(scene().pixels).save(buffer, "PNG", exif=exif)
    photo, stored, settings = (
        load_image(buffer),
        Decoding(exif=False),
        Perturbation(noise=20, rotation=10),
    )
    expected = settings.apply(photo.decoded(stored)).pixels
    perturbed = pickle.loads(pickle.dumps(settings.apply(photo)))  # noqa: S301  # our own
    again = perturbed.decoded(stored)
    np.testing.assert_array_equal(again.pixels, expected)
    assert (again.decoding, again.notes[0]) == (stored, "EXIF orientation 6 ignored")
    twice = Perturbation(brightness=0.5).apply(perturbed).decoded(stored)
    np.testing.assert_array_equal(twice.pixels, physics.brightness(expected, 0.5))


def test_the_repr_tells_what_is_not_neutral():
    assert repr(Perturbation()) == "Perturbation()"
    assert (
        repr(Perturbation(1.4, 20, seed=3))
        == "Perturbation(brightness=1.4, noise=20.0, seed=3)"
    )
    assert (
        repr(Perturbation(brightness=np.float32(-0.0)))
        == "Perturbation(brightness=0.0)"
    )
    assert repr(Perturbation(flip_vertical=1)) == "Perturbation(flip_vertical=True)"
    settings = Perturbation(blur=2, jpeg_quality=40)
    assert eval(repr(settings)) == settings  # noqa: S307


def test_numbers_of_numpy_and_of_sliders_become_pythons():
    odd = Perturbation(
        np.float32(1.5),
        np.int64(20),
        3.0,
        jpeg_quality=np.int16(40),
        flip_vertical=np.True_,
        rotation=np.float32(-90),
    )
    others = {"jpeg_quality": 40, "flip_vertical": True, "rotation": -90}
    assert odd == Perturbation(1.5, 20.0, 3, **others)
    types = {"number": float, "whole": int, "switch": bool}
    for name, value in vars(odd).items():
        kind = PARAMETERS[name].kind if name in PARAMETERS else "whole"
        assert type(value) is types[kind]


OUTSIDE = [
    ({"brightness": -0.1}, ValueError, r"brightness within 0\.\.3, received -0\.1"),
    ({"noise": True}, TypeError, "noise as a number, received True"),
    ({"seed": -1}, ValueError, "seed as a whole number not below 0, received -1"),
    (
        {"jpeg_quality": 101},
        ValueError,
        r"jpeg_quality as a whole number 1\.\.100, received 101",
    ),
    (
        {"flip_vertical": "yes"},
        ValueError,
        "flip_vertical as True or False, received 'yes'",
    ),
]


@pytest.mark.parametrize(("settings", "error", "expected"), OUTSIDE)
def test_a_value_outside_its_bounds_is_refused(settings, error, expected):
    with pytest.raises(error, match=f"^Expected {expected}"):
        Perturbation(**settings)


def test_the_table_of_parameters_describes_the_perturbation():
    defaults = {
        field.name: field.default
        for field in fields(Perturbation)
        if field.name != "seed"
    }
    assert {
        name: parameter.neutral for name, parameter in PARAMETERS.items()
    } == defaults
    assert all(
        (parameter.function is None) == bool(parameter.of)
        for parameter in PARAMETERS.values()
    )
    entries = re.findall(
        r"^((?:\w+, )*\w+)\n((?: {4}.*\n)+)", inspect.getdoc(Perturbation), re.MULTILINE
    )
    told = {name: text for names, text in entries for name in names.split(", ")}
    for name, parameter in PARAMETERS.items():
        for bound in (parameter.low, parameter.high):
            assert getattr(Perturbation(**{name: bound}), name) == bound
        assert (
            parameter.kind == "switch"
            or f"{parameter.low:g}..{parameter.high:g}" in told[name]
        ), name


def test_every_parameter_is_kept_as_it_was():
    kept = {name for earlier in EARLIER for name in earlier["settings"]}
    assert kept == {*PARAMETERS} - {"seed"}, "a row of earlier_perturbations.json"


@pytest.mark.parametrize("kept", EARLIER, ids=lambda kept: str(kept["settings"]))
def test_a_seed_draws_what_it_drew_in_an_earlier_version(kept):
    """Cases that were pinned under a perturbation hold only as long as its images stay."""
    left = StepRecord.of(
        "perturb", Perturbation(**kept["settings"], seed=3).apply(scene(60, 80)).pixels
    )
    # Means of sixteen blocks to a tenth of a level, since machines round single pixels otherwise.
    np.testing.assert_allclose(
        left.numbers(), [float(mean) for mean in kept["means"].split()], atol=0.15
    )
