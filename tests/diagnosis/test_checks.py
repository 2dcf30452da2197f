"""All certain checks at once, with the bundled network and every fault of the catalogue."""

import pytest

from kit import samples
from kit.diagnosis import certain_checks
from kit.preprocessing.faults import CATALOGUE
from tests.diagnosis import indices, named

LITE = samples.classifier("efficientnet_lite0")

RIGHT = LITE.preprocessing

PHOTOS = samples.photos("imagenet")[:6] + samples.photos("special")

LABELS = samples.labels("imagenet")[:6] + (None,) * len(samples.photos("special"))

CERTAIN = {
    "exif_ignored": "exif_orientation",
    "alpha_dropped": "alpha_matte",
    "alpha_black": "alpha_matte",
    "depth_clipped": "bit_depth",
    "small_before": "target_size",
    "double_scaling": "double_scaling",
    "cast_to_uint8": "dtype_cast",
    "reshaped": "channel_layout",
}


@pytest.mark.parametrize("name", [None, *CATALOGUE])
def test_each_fault_is_named_by_its_cause_or_left_to_the_search(name):
    used = RIGHT if name is None else CATALOGUE[name].apply(RIGHT)
    found = certain_checks(LITE.using(used), PHOTOS, indices(LABELS, len(PHOTOS)))
    wanted = [CERTAIN[name]] if name in CERTAIN else []
    assert [finding.cause for finding in named(found)] == wanted, "a row of CERTAIN"
    assert {finding.fix.preprocessing for finding in named(found)} <= {RIGHT}
