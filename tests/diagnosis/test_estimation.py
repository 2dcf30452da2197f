"""No other scaling is named where light would do the same."""

from dataclasses import replace

import numpy as np
import pytest

import kit
from kit.diagnosis.candidates import Evaluator
from kit.diagnosis.estimation import is_explained_by_light
from kit.diagnosis.evidence import Grounds
from tests import networks

RIGHT = kit.Scaling(255.0, mean=0.2861, std=0.353)

"""Mean and standard deviation of Fashion-MNIST, as tutorials have them; no named scaling comes near."""


@pytest.fixture(scope="module")
def trained(no_batchnorm):
    """A network with a profile of images that were scaled in this way."""
    right = no_batchnorm.using(no_batchnorm.preprocessing.replace(scaling=RIGHT))
    tensors = np.concatenate(
        [right.tensor(photo) for photo in kit.samples.photos("fashion_mnist")[:60]]
    )
    layers = no_batchnorm.first_layers.with_profile(tensors)
    return networks.with_first_layers(right, layers)


LIGHTS = [
    {"brightness": 0.35},
    {"brightness": 0.6},
    {"brightness": 1.4},
    {"contrast": 0.4},
    {"contrast": 0.6},
]


@pytest.mark.parametrize("light", LIGHTS, ids=str)
def test_other_light_is_no_other_scaling(trained, sixteen, light):
    changed = [kit.Perturbation(**light).apply(photo) for photo in sixteen]
    assert kit.diagnose(trained, changed).best is None


LITE = kit.samples.classifier("efficientnet_lite0")


@pytest.mark.parametrize(
    ("lamp", "fault", "explained"),
    [((0.3, 0.6, 1), {"channels": "bgr"}, True), (1, {"scaling": ()}, False)],
)
def test_a_blue_lamp_explains_what_another_order_does_but_no_light_a_missing_scaling(
    lamp, fault, explained
):
    photos = tuple(
        kit.Photo.from_array((photo.pixels * np.array(lamp)).astype(np.uint8))
        for photo in kit.samples.photos("imagenet")[:4]
    )
    other = LITE.preprocessing.replace(**fault)
    # What differs is tried, or is in use.
    in_use, tried = (
        (LITE.preprocessing, other) if explained else (other, LITE.preprocessing)
    )
    grounds = Grounds.of(Evaluator(LITE, LITE.first_layers), in_use, photos)
    # By these images alone: photos of the kit have another light.
    grounds = replace(grounds, sources=grounds.sources[:1])
    (score,) = (score for score in grounds.scores if score.preprocessing == tried)
    assert score.measured_gain > 0
    assert is_explained_by_light(grounds, score) == explained
