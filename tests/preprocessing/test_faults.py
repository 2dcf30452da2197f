"""The catalogue: every fault is an edit of a preprocessing and makes the difference that it names."""

from kit import Photo, Preprocessing
from kit.preprocessing.comparison import contrasts
from kit.preprocessing.faults import CATALOGUE, STEPS, alternatives
from kit.preprocessing.scaling import SCALINGS, Scaling
from tests.pictures import picture

LITE = Preprocessing(filter="lanczos", fit="crop", crop_fraction=0.9, scaling="lite")
GRAY = Preprocessing(size=(28, 28), channels="gray", scaling="0..1")
NOISE = Photo.from_array(picture((60, 80)), "noise")
TINY = Preprocessing(size=None, scaling="0..1")


FAULTS = """\
exif_ignored, exif_orientation, EXIF tag ignored
    In your code, the EXIF orientation is ignored;
    in training, it was applied.
    EXIF orientation: applied here, ignored there, first at None
alpha_dropped, alpha_matte, dropped, hidden colour shows
    In your code, transparency is dropped;
    it may have to be laid over white.
    Transparency: laid over (255, 255, 255) here, dropped there, first at None
alpha_black, alpha_matte, on black
    In your code, transparency is laid over black;
    it may have to be laid over white.
    Transparency: laid over (255, 255, 255) here, laid over (0, 0, 0) there, first at None
depth_clipped, bit_depth, clipped at 255
    In your code, a 16-bit image is clipped at 255;
    in training, it was divided by 257.
    16-bit image: divided by 257 here, clipped at 255 there, first at None
small_before, target_size, to a quarter first
    In your code, the image is shrunk to at most 56×56 first;
    in training, it was not shrunk first.
    thumbnail: none here, at most 56×56 first there, first at thumbnail
filter_nearest, resize_filter, nearest
    Your code resizes with the filter nearest;
    this model was trained with lanczos.
    filter: lanczos here, nearest there, first at resize
filter_bilinear, resize_filter, bilinear, antialiased
    Your code resizes with the filter bilinear;
    this model was trained with lanczos.
    filter: lanczos here, bilinear there, first at resize
filter_bicubic, resize_filter, bicubic, antialiased
    Your code resizes with the filter bicubic;
    this model was trained with lanczos.
    filter: lanczos here, bicubic there, first at resize
filter_tf_bilinear, resize_filter, bilinear, not antialiased
    Your code resizes with the filter tf_bilinear;
    this model was trained with lanczos.
    filter: lanczos here, tf_bilinear there, first at resize
fit_squash, resize_fit, squashed
    Your code uses the whole image;
    this model was trained on a crop of 90 %.
    fit: crop of 90 % here, squash there, first at resize
fit_crop_all, resize_fit, largest centred crop
    Your code uses a crop of 100 %;
    this model was trained on a crop of 90 %.
    fit: crop of 90 % here, crop of 100 % there, first at resize
fit_crop_margin, resize_fit, centred crop of 87.5 %
    Your code uses a crop of 87.5 %;
    this model was trained on a crop of 90 %.
    fit: crop of 90 % here, crop of 87.5 % there, first at resize
fit_letterbox, resize_fit, letterboxed on black
    Your code uses a letterbox on black;
    this model was trained on a crop of 90 %.
    fit: crop of 90 % here, letterbox on (0, 0, 0) there, first at resize
channels_swapped, channel_order, red and blue swapped
    Your code passes blue, green, red (OpenCV, caffe);
    this model was trained on red, green, blue.
    channels: rgb here, bgr there, first at channels
gray_input, grayscale, grey, repeated
    Your code passes grey in all three channels;
    this model was trained on red, green, blue.
    channels: rgb here, gray_rgb there, first at channels
inverted, inverted_polarity, black and white swapped
    In your code, the image is inverted;
    in training, it was not inverted.
    polarity: as it is here, inverted there, first at polarity
missing_scaling, missing_scaling, left out
    Your code scales pixels to 0..255;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, 0..255 there, first at scaling
double_scaling, double_scaling, done twice
    Your code scales pixels to −1..−0.984;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, (x − 127) / 128, then (x − 127) / 128 there, first at scaling
range_0_1, wrong_range, to 0..1
    Your code scales pixels to 0..1;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, 0..1 there, first at scaling
range_minus1_1, wrong_range, to −1..1
    Your code scales pixels to −1..1;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, −1..1 there, first at scaling
missing_mean_std, wrong_mean_std, without mean and standard deviation
    Your code scales pixels to 0..255;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, 0..255 there, first at scaling
imagenet_mean_std, wrong_mean_std, by ImageNet mean and standard deviation
    Your code scales pixels to about −2.1..2.6;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, imagenet, (x / 255 − (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225) there, first at scaling
caffe_means, wrong_mean_std, minus Caffe's channel means
    Your code scales pixels to about −124..151;
    this model was trained on about −1..1: lite, (x − 127) / 128.
    scaling: lite, (x − 127) / 128 here, caffe, x − (103.939, 116.779, 123.68) there, first at scaling
cast_to_uint8, dtype_cast, to uint8 after scaling
    In your code, the image is cast to uint8 after scaling;
    in training, it was not cast.
    cast: none here, to uint8 after scaling there, first at cast
transposed, channel_layout, height and width swapped
    In your code, the tensor is (1, W, H, C), height and width swapped;
    in training, it was (1, H, W, C).
    layout: channels_last here, transposed there, first at layout
reshaped, channel_layout, reshaped instead of transposed
    In your code, the tensor is (1, H, W, C), scrambled by a reshape where a transpose is right;
    in training, it was (1, H, W, C).
    layout: channels_last here, reshaped there, first at layout
"""  # noqa: E501 (one is long)


def test_every_fault_is_one_difference_with_its_cause_its_title_and_a_sentence():
    lines = []
    for fault in CATALOGUE.values():
        wrong = fault.apply(LITE)
        ((step, sentence),) = contrasts(wrong, LITE).items()
        comparison = LITE.compare(wrong, NOISE)
        (words,) = comparison.differences
        assert step == fault.step
        assert comparison.main_step == comparison.first_step
        lines.append(f"{fault.name}, {fault.cause}, {fault.title}")
        lines += f"    {sentence}".replace("; ", ";\n    ").splitlines()
        lines.append(f"    {words}, first at {comparison.first_step}")
    assert lines == FAULTS.splitlines()
    assert contrasts(LITE, LITE) == {}
    # However it is written, x / 127.5 - 1 is the range.
    halves = Preprocessing(scaling=Scaling(255, 0.5, 0.5))
    assert contrasts(halves, LITE)["scaling"].startswith(
        "Your code scales pixels to −1..1; "
    )


def test_faults_of_colour_leave_a_grey_network_alone():
    unchanged = {
        fault.name for fault in CATALOGUE.values() if fault.apply(GRAY) == GRAY
    }
    assert {
        "channels_swapped",
        "gray_input",
        "caffe_means",
        "imagenet_mean_std",
        "reshaped",
    } <= unchanged
    assert not {"missing_scaling", "inverted", "transposed"} & unchanged
    # Repeated over three channels, it can be taken for colour.
    repeated = GRAY.replace(channels="gray_rgb")
    for name in ("caffe_means", "imagenet_mean_std", "reshaped"):
        assert CATALOGUE[name].changes(repeated)


def test_a_fault_is_undone_where_it_is_how_training_was():
    # A network that scales inside is scaled once outside.
    raw = Preprocessing(size=None, scaling="0..255")
    assert CATALOGUE["double_scaling"].apply(raw).scaling == SCALINGS["0..1"]
    grey_bars = LITE.replace(fit="letterbox_floor", fill=(114, 114, 114))
    assert CATALOGUE["fit_letterbox"].apply(grey_bars).fill == (0, 0, 0)
    for name in ("channels_swapped", "inverted"):
        fault = CATALOGUE[name]
        assert fault.apply(fault.apply(LITE)) == LITE


def test_without_mean_and_deviation_only_divisions_are_left():
    without = CATALOGUE["missing_mean_std"]
    assert without.apply(Preprocessing(scaling="imagenet")).scaling == SCALINGS["0..1"]
    assert without.apply(Preprocessing(scaling="caffe")).scaling == ()


def test_alternatives_are_distinct_and_differ_from_training():
    for step in ("", *STEPS):
        results = [fault.apply(LITE) for fault in alternatives(LITE, step)]
        assert LITE not in results
        assert len(set(results)) == len(results)
    # It comes to the same without mean and deviation, which comes later.
    assert CATALOGUE["missing_scaling"] in alternatives(LITE, "scaling")
    assert alternatives(GRAY, "channels") == ()
    # The catalogue is in their order.
    assert [*STEPS] == [*{fault.step: None for fault in CATALOGUE.values()}]


def test_a_thumbnail_resizing_and_exchanged_axes_depend_on_the_networks_size():
    small, transposed = CATALOGUE["small_before"], CATALOGUE["transposed"]
    assert small.apply(Preprocessing((224, 160))).thumbnail == (56, 40)
    assert small.apply(Preprocessing((7, 3))).thumbnail == (1, 1)
    assert transposed.apply(LITE).layout == "transposed"
    assert not transposed.changes(Preprocessing((20, 30)))
    assert not any(fault.changes(TINY) for fault in (small, transposed))
    assert not any(alternatives(TINY, step) for step in ("filter", "fit"))
    for layout in ("channels_first", "transposed"):
        other = LITE.replace(layout=layout)
        assert not alternatives(other, "layout"), "the network refuses it"
