"""All certain checks at once, with the bundled network and every fault of the catalogue."""

import numpy as np
import pytest

from kit import Decoding, samples
from kit.images.photo import encoded, load_image
from kit.preprocessing.faults import CATALOGUE
from tests.diagnosis import certain, indices, named

LITE = samples.classifier("efficientnet_lite0")

RIGHT = LITE.preprocessing

PHOTOS = samples.photos("imagenet")[:2] + samples.photos("special")

LABELS = samples.labels("imagenet")[:2]

CERTAIN = {
    "exif_ignored": "exif_orientation",
    "depth_clipped": "bit_depth",
    "small_before": "target_size",
    "double_scaling": "double_scaling",
    "cast_to_uint8": "dtype_cast",
    "reshaped": "channel_layout",
}


@pytest.mark.parametrize("name", [None, *CATALOGUE])
def test_each_fault_is_named_by_its_cause_or_left_to_the_search(name):
    used = RIGHT if name is None else CATALOGUE[name].apply(RIGHT)
    found = certain(LITE.using(used), PHOTOS, indices(LABELS, len(PHOTOS)))
    wanted = [CERTAIN[name]] if name in CERTAIN else []
    assert [finding.cause for finding in named(found)] == wanted, "a row of CERTAIN"
    assert {finding.fix.preprocessing for finding in named(found)} <= {RIGHT}


def test_labels_alone_tell_how_training_read_transparency():
    fashion = samples.classifier("fashion_mnist")
    # White, as opaque as the picture is light: over black it is the picture, else all is white.
    cut = [
        load_image(encoded(np.dstack([photo.pixels | 255, photo.pixels[..., :1]])))
        for photo in samples.photos("fashion_mnist")[:20]
    ]
    dropped = fashion.preprocessing.replace(decoding=Decoding(matte=None))
    # Four are put right by chance in one of 16 cases.
    for count, verdicts in ((0, []), (4, ["possible"]), (20, ["named"])):
        labels = indices(samples.labels("fashion_mnist")[:count], 20)
        found = certain(fashion.using(dropped), cut, labels)
        assert [one.verdict for one in found if one.cause == "alpha_matte"] == verdicts
    assert found[0].fix.preprocessing.decoding == Decoding(matte=(0, 0, 0))
    # The picture itself, as opaque: dropped or over black it is seen, and labels do not tell which.
    seen = [
        load_image(encoded(np.dstack([photo.pixels, photo.pixels[..., :1]])))
        for photo in samples.photos("fashion_mnist")[:20]
    ]
    (finding,) = named(certain(fashion, seen, labels))
    assert finding.cause == "alpha_matte"
