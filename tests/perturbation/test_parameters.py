"""The common corruptions against the published reference of ImageNet-C, on photos."""

import sys
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from kit import samples
from kit.perturbation import Perturbation
from kit.perturbation.parameters import CORRUPTIONS

PHOTOGRAPHS = ("castle.jpg", "cat.jpg", "city_at_night.jpg")
pytestmark = pytest.mark.filterwarnings(
    "ignore:Please import `map_coordinates`:DeprecationWarning"
)
# Chance decides here for a picture as a whole, so several draws are averaged.
DRAWS = {"motion_blur": 6, "snow": 6, "frost": 15, "fog": 30}
# These take a while. Between, weather is held by its formula and by earlier_perturbations.json.
FEW_SEVERITIES = dict.fromkeys(("motion_blur", "glass_blur", "fog"), (1, 5))
FEW_SEVERITIES |= dict.fromkeys(("snow", "frost"), (1, 3, 5))
# Largest difference of mean, standard deviation and distance to the clean picture in 8-bit levels, and of
# the mean step between neighbours as a share. The reference cuts fractions off where the kit rounds, which is
# half a level of the mean.
BOUNDS = {
    # The same formula, other random numbers: 450 000 values, so chance is far below a level.
    "gaussian_noise": "0.9 0.2 0.2 0.01",
    "shot_noise": "0.7 0.2 0.2 0.01",
    "impulse_noise": "0.3 0.3 0.4 0.02",
    # OpenCV 5 filters with rounding of its own: at severities 4 and 5 it brightens by a level.
    "defocus_blur": "1.2 0.7 0.1 0.03",
    # The reference zooms by whole pixels, which is coarse where it zooms little; rounding is allowed for.
    "zoom_blur": "0.3 0.3 1.1 0.05",
    # Clouds, flakes and crystals are drawn. The standard error of the mean of such draws is 0.5 levels in
    # snow, 3 in fog and, with its few photographs, 4 in frost; the grain of fog hardly depends on the draw.
    "snow": "3 0.5 3 0.16",
    "fog": "6 1.2 1.2 0.02",
    "frost": "4 1.5 4 0.12",
    "brightness": "0.7 0.2 0.7 0.01",
    "contrast": "0.6 0.1 0.1 0.01",
    # What the border pixels show is left to chance.
    "elastic_transform": "1.2 0.3 0.4 0.02",
    # The reference also moves the picture, by up to 11 pixels (motion blur) and 2 (glass), so the distance
    # says little, and repeats its border for as many. Where 2 or 11 of 224 columns are others, the mean may
    # differ by that share of the standard deviation of about 52 levels, and by the half level.
    "glass_blur": "1 0.5 inf 0.18",
    "motion_blur": "3.1 1.3 inf 0.17",
}
SAME = ("jpeg_compression", "pixelate")


@pytest.fixture(scope="module")
def reference():
    """``imagecorruptions.corrupt``, with what newer releases of its dependencies have dropped."""
    with pytest.MonkeyPatch.context() as patch:
        # setuptools no longer brings pkg_resources, of which it wants the paths of its own files.
        path = lambda package, name: str(
            resources.files(package.rpartition(".")[0]) / name
        )
        patch.setitem(
            sys.modules, "pkg_resources", SimpleNamespace(resource_filename=path)
        )
        from imagecorruptions import corrupt, corruptions
        from skimage.filters import gaussian

        # numpy 2 no longer has float_, on which fog is computed.
        patch.setattr(np, "float_", np.float64, raising=False)

        # scikit-image now says channel_axis where glass blur says multichannel.
        def blurred(image, sigma, *, multichannel=False, **options):
            return gaussian(
                image, sigma, channel_axis=-1 if multichannel else None, **options
            )

        patch.setattr(corruptions, "gaussian", blurred)
        # Impulse noise draws from a generator of its own, anew on every call; here from the global state.
        drawn = corruptions.sk.util.random_noise
        noisy = lambda image, **options: drawn(
            image,
            rng=np.random.randint(1 << 31),  # noqa: NPY002
            **options,
        )
        patch.setattr(corruptions.sk.util, "random_noise", noisy)
        yield corrupt


@pytest.fixture(scope="module")
def pictures():
    """Photos of 224 x 224 pixels, for which the constants are meant."""
    opened = {photo.name: photo for photo in samples.photos("photographs")}
    images = [
        Image.fromarray(opened[name].pixels).resize((224, 224)) for name in PHOTOGRAPHS
    ]
    return [np.array(image) for image in images]


def ours(picture, name, severity, seed=0):
    return Perturbation.corruption(name, severity, seed=seed).apply(picture).pixels


def measures(clean, corrupted):
    """Mean, standard deviation, mean distance to the clean image, mean step between neighbours."""
    grey = corrupted.mean(axis=-1)
    steps = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    distance = np.abs(corrupted.astype(float) - clean).mean()
    return np.array([corrupted.mean(), corrupted.std(), distance, steps / 2])


def both(reference, pictures, name, severity):
    """The measures of the reference and of the kit, averaged over photos and draws."""
    np.random.seed(severity)  # noqa: NPY002 (the reference draws from the global state)
    draws = DRAWS.get(name, 1)
    pairs = [(each, seed) for seed in range(draws) for each in pictures]
    theirs = [measures(each, reference(each, severity, name)) for each, _ in pairs]
    kits = [measures(each, ours(each, name, severity, seed)) for each, seed in pairs]
    return np.mean(theirs, axis=0), np.mean(kits, axis=0)


@pytest.mark.parametrize("name", SAME)
def test_what_pillow_does_is_the_reference_bit_for_bit(reference, pictures, name):
    for severity in range(1, 6):
        theirs = reference(pictures[1], severity, name)
        np.testing.assert_array_equal(ours(pictures[1], name, severity), theirs)


@pytest.mark.parametrize("name", BOUNDS)
def test_statistics_are_those_of_the_reference(reference, pictures, name):
    bounds = np.array(BOUNDS[name].split(), float)
    if name == "zoom_blur":
        reference = zoomed_once(reference)
    few = pictures[:2] if name.endswith("_blur") else pictures
    for severity in FEW_SEVERITIES.get(name, range(1, 6)):
        theirs, kits = both(reference, few, name, severity)
        differences = np.abs([*(kits - theirs)[:3], kits[3] / theirs[3] - 1])
        fits = (differences <= bounds).all()
        assert fits, f"severity {severity}: {theirs} and {kits}"


def zoomed_once(reference):
    """The reference, which counts the untouched image twice among its zooms, with that taken back."""
    zooms = (11, 16, 11, 13, 11)

    def corrupt(picture, severity, name):
        count = zooms[severity - 1]
        blurred = reference(picture, severity, name) + 0.5  # it cuts fractions off
        return ((count + 1) * blurred - picture) / count

    return corrupt


def test_a_corruption_is_a_perturbation_with_the_constant_of_the_paper():
    assert set(CORRUPTIONS) == {*BOUNDS, *SAME}
    assert Perturbation.corruption("defocus_blur", 5) == Perturbation(defocus_blur=10)


def test_the_seed_is_kept_and_chooses_the_angle_of_motion_blur():
    angles = [
        Perturbation.corruption("motion_blur", 3, seed=seed).motion_angle
        for seed in range(200)
    ]
    assert -45 <= min(angles) < -43 < 43 < max(angles) <= 45
    assert all(map(float.is_integer, angles))
    assert Perturbation.corruption("fog", 3, seed=7) == Perturbation(fog=3, seed=7)


UNKNOWN = [
    (
        ("fogg", 3),
        ValueError,
        r"the corruption out of gaussian_noise, .*; did you mean 'fog'\?$",
    ),
    (("fog", 6), ValueError, r"severity as a whole number 1\.\.5, received 6"),
    (("fog", 2.5), TypeError, r"severity as a whole number 1\.\.5, received 2\.5"),
]


@pytest.mark.parametrize(("arguments", "error", "expected"), UNKNOWN)
def test_an_unknown_corruption_or_severity_is_refused(arguments, error, expected):
    with pytest.raises(error, match=f"^Expected {expected}"):
        Perturbation.corruption(*arguments)
