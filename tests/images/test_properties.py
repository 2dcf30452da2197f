"""What is measured in an image, by hand and by what Pillow says."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

import kit
from kit.images import properties
from kit.images.photo import Photo
from kit.perturbation.conditions import QUANTITIES, measures
from tests.pictures import file_of

PHOTOS = kit.samples.photos("photographs")
RAMP = np.tile(np.arange(101, dtype=np.uint8), (4, 1))


def flat(red, green, blue, size=(64, 96)):
    return np.broadcast_to(np.array([red, green, blue], np.uint8), (*size, 3)).copy()


def rgb(plane):
    return np.repeat(plane.astype(np.uint8)[..., None], 3, axis=2)


def measure(photo):
    values = measures(photo, QUANTITIES.values())
    return SimpleNamespace(**dict(zip(QUANTITIES, values, strict=True)))


def measured(pixels):
    return measure(kit.Photo.from_array(pixels))


@pytest.mark.parametrize("size", [(64, 96), (9, 9), (1, 1)])
def test_a_flat_picture_and_a_single_pixel_have_their_level_and_nothing_else(size):
    found = measured(flat(100, 100, 100, size))
    assert found.brightness == pytest.approx(100, abs=1e-3)
    assert (found.contrast, found.sharpness, found.noise) == pytest.approx(
        (0, 0, 0), abs=1e-4
    )
    assert (found.highlights, found.shadows, found.saturation, found.colour_noise) == (
        0,
        0,
        0,
        0,
    )
    assert (found.warmth, found.tint) == (1, 1)
    assert (found.size, found.aspect) == pytest.approx(
        (np.sqrt(np.prod(size)), size[1] / size[0])
    )


def test_an_image_measures_the_same_however_it_is_turned():
    # Whole blocks of JPEG, more wide than high.
    pixels = PHOTOS[0].pixels[:200, :304]
    functions = [properties.clipping, properties.relative_contrast, properties.grid]
    functions += [properties.light_level, properties.edge_share, properties.blur_radius]
    noises = [properties.noise_level, properties.noise_deviation]
    upright = vars(measured(pixels))
    assert upright["aspect"] == 304 / 200
    transposed = vars(measured(pixels.swapaxes(0, 1)))
    assert transposed.pop("aspect") == pytest.approx(200 / 304)
    around = vars(measured(pixels[::-1, ::-1]))
    # Its blocks begin at the upper left.
    del around["noise"], around["colour_noise"]
    for name, value in (*transposed.items(), *around.items()):
        same = pytest.approx(upright[name], rel=1e-3, nan_ok=True)
        assert value == same, name
    for function in (*functions, *noises):
        value = pytest.approx(function(pixels), rel=1e-3)
        assert function(pixels.swapaxes(0, 1)) == value
        assert function in noises or function(pixels[::-1, ::-1]) == value


def test_contrast_is_the_deviation_over_the_mean():
    halves = np.concatenate([flat(0, 0, 0), flat(255, 255, 255)])
    # Both are 127.5.
    assert measured(halves).contrast == pytest.approx(1, abs=1e-4)


def test_colour_is_read_from_edges_and_not_from_what_the_picture_shows():
    # A red wall (100 everywhere in red) with neutral edges: 80 steps in each channel.
    wall = flat(150, 50, 50)
    wall[:, 48:] += 80
    assert (measured(wall).warmth, measured(wall).tint) == pytest.approx((1, 1))
    warm = wall.copy()
    warm[:, 48:, 0] = 150 + 100  # 100 in red, 80 in blue
    assert measured(warm).warmth == pytest.approx(100 / 80)
    assert measured(warm).tint == pytest.approx(80 / np.sqrt(100 * 80))


def test_noise_of_the_channels_is_read_in_luma_and_in_colour():
    grey = kit.Photo.from_array(flat(128, 128, 128, (256, 256)))
    for deviation in (5, 15):
        found = measure(kit.Perturbation(noise=deviation).apply(grey))
        assert (found.noise, found.colour_noise) == pytest.approx(
            (deviation, deviation), rel=0.05
        )


def test_a_tag_that_turns_a_picture_is_counted():
    turned = {
        photo.name: measure(photo).turned for photo in kit.samples.photos("special")
    }
    assert {name for name, value in turned.items() if value} == {"exif.jpg"}


def test_of_a_large_picture_a_grid_and_the_middle_from_whole_blocks_on_are_taken():
    rows, columns = np.indices((100, 330)).astype(np.uint8)
    pixels = np.stack([rows, columns, rows], axis=-1)
    sample = properties.Sample(Photo(pixels), 64)
    # 18 rows and 133 columns lie before the middle: two and sixteen blocks, and a part of one.
    np.testing.assert_array_equal(sample.middle, pixels[16:80, 128:192])
    # 33,000 pixels are as many as 182 x 182 have.
    np.testing.assert_array_equal(sample.thin, pixels[::2, ::2])


def test_brightness_is_luma_of_bt_601():
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    found = [measured(flat(*colour)).brightness for colour in colours]
    assert found == pytest.approx([0.299 * 255, 0.587 * 255, 0.114 * 255], abs=1e-3)


def test_white_and_black_are_the_two_last_levels_at_either_end():
    levels = np.repeat([0, 1, 2, 128, 253, 254, 255, 255], 8)
    found = measured(rgb(np.tile(levels, (64, 1))))
    assert (found.shadows, found.highlights) == (2 / 8, 3 / 8)


def test_saturation_is_the_spread_of_channels_over_the_largest():
    mixed = np.concatenate([flat(200, 100, 50), flat(100, 100, 100)])
    assert measured(mixed).saturation == pytest.approx(75 / 150)


def test_sharpness_is_that_of_few_edges():
    band = flat(50, 50, 50, (90, 90))
    band[:, :60] = 200
    assert measured(band).sharpness == pytest.approx(1)
    # A ramp of a level a pixel is a blurred edge, too, and one of a quarter is none.
    ramp = flat(1, 1, 1, (20, 100)) * np.arange(100, dtype=np.uint8)[:, None]
    assert [properties.edgeless(each) for each in (ramp, ramp // 4)] == [False, True]
    blurred = kit.Perturbation(blur=2).apply(kit.Photo.from_array(band))
    assert measure(blurred).sharpness == pytest.approx(1 / (2.5 * 2), rel=0.1)


def test_zeros_on_the_grid_are_those_of_scipys_cosine_transform():
    photo = kit.Perturbation(jpeg_quality=70).apply(
        kit.Photo.from_array(PHOTOS[0].pixels[:136, :200])
    )
    plane = photo.pixels @ np.array([0.299, 0.587, 0.114])

    def near_zero(part):
        rows, columns = (side // 8 for side in part.shape)
        blocks = part[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8)
        waves = dctn(blocks, axes=(1, 3), norm="ortho")[:, 1:, :, 1:]
        return (np.abs(waves) < 0.5).mean()

    expected = near_zero(plane) - near_zero(plane[4:, 4:])
    assert properties.grid_zeros(photo.pixels) == pytest.approx(expected, abs=1e-3)


def test_colour_of_light_is_not_read_from_single_pixels():
    wall = flat(150, 50, 50, (96, 96))
    wall[48:] += 80
    wall[48:, :, 0] += 16
    # A row of 24 differs from the next, of a narrow image one of 96.
    edges, narrow = np.array([96, 80, 80]), wall[:, :8]
    assert properties.edge_colour(wall) == pytest.approx(edges / np.sqrt(24))
    for pixels in (narrow, narrow.swapaxes(0, 1)):
        assert properties.edge_colour(pixels) == pytest.approx(edges / np.sqrt(96))
    wall[np.indices((96, 96)).sum(axis=0) % 2 == 0, 0] -= 20
    assert measured(wall).warmth == pytest.approx(96 / 80)


def test_every_quality_is_read_from_a_file():
    small = Image.fromarray(PHOTOS[0].pixels[:16, :16])
    found = [
        properties.file_quality(file_of(small, "JPEG", quality=quality))
        for quality in range(1, 101)
    ]
    assert found == list(range(1, 101))


def test_levels_are_percentiles_of_the_luma():
    ramp = rgb(RAMP)
    assert properties.end_levels(ramp) == pytest.approx((5, 95), abs=0.01)
    assert properties.light_level(ramp) == pytest.approx(95, abs=0.01)
    lamps = rgb(np.repeat([[20, 250]], (90, 10), axis=1))
    assert properties.light_level(lamps) == pytest.approx(3.5 * 20)
    assert (
        properties.light_level(ramp // 4 * (ramp > 90)) == 0
    )  # dark but for few pixels


def test_blocks_are_seen_on_any_grid_and_a_slope_has_none():
    slope = np.add(*np.indices((80, 80)))
    for side in (8, 10):
        stairs = slope // 8 + 8 * np.add(*(np.indices((80, 80)) // side))
        assert properties.grid(rgb(stairs)) > 1
    stripes = slope + 8 * (np.indices((80, 80))[1] // 8)
    for pattern in (slope, stripes, 0 * slope, slope[:1]):
        assert properties.grid(rgb(pattern)) == pytest.approx(0, abs=1e-3)


def test_an_edge_is_as_soft_as_in_its_softest_direction_and_at_any_contrast():
    chequered = flat(50, 50, 50, (96, 96))
    chequered[np.add(*(np.indices((96, 96)) // 24)) % 2 == 1] = 200
    low = chequered // 3
    assert properties.edge_share(chequered) == properties.edge_share(low) == 1
    assert properties.edge_share(chequered[:8]) == 1  # of no step over 8 pixels
    moved = kit.Perturbation(motion_blur=8, motion_angle=0).apply(
        kit.Photo.from_array(chequered)
    )
    assert properties.sharpness(moved.pixels) == pytest.approx(1, abs=0.01)
    assert properties.edge_share(moved.pixels) == pytest.approx(1 / 8, abs=0.02)
    slanted = rgb(100 * (np.add(*np.indices((96, 96))) // 24 % 2) + 50)
    mirrored = properties.edge_share(slanted[:, ::-1])
    assert properties.edge_share(slanted) == pytest.approx(mirrored)


def test_what_is_cut_off_at_white_is_told_from_a_white_ground():
    half = flat(100, 100, 100, (64, 64))
    half[:32] = 255
    # Half is cut off, and so is half of the border, which takes a quarter of all for a ground.
    for turns in range(4):
        turned = np.rot90(half, turns)
        assert properties.clipping(turned) == pytest.approx((0.5 - 0.25) / (1 - 0.25))
    on_white = flat(255, 255, 255, (64, 64))
    assert properties.clipping(on_white) == 0
    on_white[16:48, 16:48] = (255, 120, 80)
    assert properties.clipping(on_white) == 1
    on_white[16:48, 16:48] = (200, 120, 80)
    assert properties.clipping(on_white) == 0
    noisy = kit.Perturbation(noise=60).apply(kit.Photo.from_array(on_white))
    assert properties.clipping(noisy.pixels) < 0.05


def test_fog_lowers_the_contrast_and_a_white_ground_does_not():
    wall = flat(200, 40, 40)
    # The dark channel is 40, and luma 0.299 * 200 + 0.701 * 40 = 87.84.
    assert properties.relative_contrast(wall) == pytest.approx(
        (87.84 - 40) / (87.84 + 40), abs=1e-3
    )
    assert properties.relative_contrast(wall // 2 + 100) < 0.2
    # A hole of a tenth, with the darkest that lies four pixels around it, is no shadow of all.
    wall[:20, :20] = 0
    assert properties.relative_contrast(wall) == pytest.approx(
        (87.84 - 40) / (87.84 + 40), abs=1e-3
    )
    # Less than a fifth is no ground, with what lies four pixels around it.
    wall[:56] = 255
    assert properties.relative_contrast(wall) == pytest.approx(
        (255 - 40) / (255 + 40), abs=1e-3
    )
    wall[:] = 255
    assert properties.relative_contrast(wall) == 1
    black = 0 * wall
    assert properties.relative_contrast(black) == properties.saturation(black) == 0


def test_levels_are_the_median_of_the_percentiles():
    photos = [Photo.from_array(RAMP + np.uint8(added)) for added in (0, 10, 100)]
    assert properties.usual_levels(photos) == pytest.approx((15, 105), abs=0.01)
