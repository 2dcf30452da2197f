"""Tensors that do not fit a network are refused with the setting that helps."""

import pytest

from kit.classifier.engines import check_preprocessing
from kit.preprocessing import Preprocessing

FIRST = "channels_first"


@pytest.mark.parametrize(
    ("preprocessing", "expected", "advice"),
    [
        (Preprocessing(size=(32, 48)), (3, 32, 48), "set layout='channels_first' in"),
        (Preprocessing(size=(32, 32)), (3, 32, 32), "set layout='channels_first' in"),
        (Preprocessing(size=(20, 20), layout=FIRST), (3, 32, 48), r"set size=\(32, 48\) in"),
        (Preprocessing(size=(32, 32), layout=FIRST), (32, 32, 3), "set layout='channels_last' in"),
        (Preprocessing(size=(20, 20)), (32, 48, 3), r"set size=\(32, 48\) in"),
    ],
)
def test_the_advice_names_the_setting_that_helps(preprocessing, expected, advice):
    with pytest.raises(ValueError, match=advice):
        check_preprocessing(preprocessing, expected)


def test_what_helps_is_accepted():
    check_preprocessing(Preprocessing(size=(32, 48), layout=FIRST), (3, 32, 48))
    check_preprocessing(Preprocessing(size=(32, 48)), (None, None, 3))
    check_preprocessing(None, (32, 48, 3))
