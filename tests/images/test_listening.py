"""What Pillow warns of is heard by the thread that opens a picture, and by nobody else."""

import threading
import warnings

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from kit.images import PhotoError, load_image
from kit.images.opening import as_notes, listening
from tests.pictures import file_of, smooth


def damaged_exif():
    """A JPEG whose EXIF block ends in its first entry."""
    exif = Image.Exif()
    exif[0x010F] = "a maker with a long name"
    data = exif.tobytes()
    return file_of(Image.fromarray(smooth()), "JPEG", exif=data[:-12])


def test_a_warning_is_a_note_of_the_photo_once_and_nobody_else_sees_it(recwarn, capfd):
    photo = load_image(damaged_exif(), name="cat.jpg")
    assert photo.notes == ("Pillow warns: Truncated File Read",)
    assert len(recwarn) == 0
    assert capfd.readouterr() == ("", "")


def test_outside_of_the_kit_pillow_warns_as_ever():
    with pytest.warns(UserWarning, match="of a picture"):
        TiffImagePlugin.warnings.warn("of a picture")
    assert TiffImagePlugin.warnings.catch_warnings is warnings.catch_warnings


def test_each_thread_hears_its_own():
    heard = {}
    meet = threading.Barrier(2)

    def listen(name):
        with listening() as told:
            meet.wait(10)
            TiffImagePlugin.warnings.warn(f"from {name}")
            meet.wait(10)
        heard[name] = told

    threads = [threading.Thread(target=listen, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"one": ["from one"], "two": ["from two"]}


def test_many_warnings_are_three_notes_in_one_line_each_and_a_number():
    notes = as_notes(["a\n b", "a b", "c", "d", "e", "f"])
    assert notes == ("Pillow warns: a b", "Pillow warns: c", "Pillow warns: d", "Pillow warns 2 times more")


def test_errors_of_libtiff_and_of_pillows_log_are_not_printed(capfd):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = bytearray(file_of(Image.fromarray(noise), "TIFF", compression="tiff_lzw"))
    data[8:2000] = bytes(1992)
    with pytest.raises(PhotoError):
        load_image(bytes(data))
    samples = file_of(Image.fromarray(smooth()), "TIFF")
    place = samples.index(b"\x15\x01\x03\x00")  # samples per pixel
    with pytest.raises(PhotoError):
        load_image(samples[: place + 8] + b"\xff\xff" + samples[place + 10 :])
    assert capfd.readouterr() == ("", "")
