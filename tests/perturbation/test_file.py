"""Resolution against Pillow."""

import numpy as np
from PIL import Image

from kit import samples
from kit.perturbation import physics

CAT = samples.photos("photographs")[0].pixels


def test_resolution_is_lost_as_pillow_resizes():
    image = Image.fromarray(CAT)
    width, height = image.size
    small = image.resize((width // 4, height // 4), Image.Resampling.BICUBIC)
    expected = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(physics.downscale(CAT, 4.0), expected)
    blocks = physics.pixelate(CAT[:200, :300], 10.0)
    means = CAT[:200, :300].reshape(20, 10, 30, 10, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks[::10, ::10], means, atol=1)  # rounded once across and once down
    np.testing.assert_array_equal(blocks, blocks[::10, ::10].repeat(10, 0).repeat(10, 1))


def test_a_picture_smaller_than_a_block_becomes_one():
    pixels = CAT[:5, :7]
    assert (physics.pixelate(pixels, 32.0) == physics.pixelate(pixels, 32.0)[0, 0]).all()
    assert physics.downscale(pixels, 16.0).shape == pixels.shape
