"""Whether tensors fit a network, and if not, which setting helps."""

from kit.preprocessing import Preprocessing

Shape = tuple[int | None, int | None, int | None]
"""(H, W, C) of one tensor; None for a side that is open."""


def picture_size(shape: Shape) -> tuple[int | None, int | None]:
    """Return height and width of one tensor, channels last or first."""
    return shape[1:] if shape[2] not in {1, 3} and shape[0] in {1, 3} else shape[:2]


def sides(shape: Shape) -> str:
    """Write the shape of one tensor, with a question mark for a side that is open."""
    return "x".join("?" if side is None else str(side) for side in shape)


def check_preprocessing(preprocessing: Preprocessing | None, expected: Shape) -> None:
    """Refuse a preprocessing whose tensors the network does not take, and what is no preprocessing."""
    if not isinstance(preprocessing, Preprocessing | None):
        raise TypeError(
            f"Expected a Preprocessing, received {preprocessing!r}; make one with kit.Preprocessing(…) or"
            " kit.Preprocessing.for_application('…')"
        )
    shape = None if preprocessing is None else tensor_shape(preprocessing)
    if shape is not None:
        check_shape((1, *shape), expected)


def tensor_shape(preprocessing: Preprocessing) -> tuple[int, int, int] | None:
    """Shape of one tensor without the batch, after the layout step; None where the photo decides it."""
    if preprocessing.input_shape is None:
        return None
    height, width, channels = preprocessing.input_shape
    turned = {"channels_first": (channels, height, width), "transposed": (width, height, channels)}
    return turned.get(preprocessing.layout, (height, width, channels))


def sized(expected: Shape, preprocessing: Preprocessing | None) -> Shape:
    """Shape of the tensors that a network gets: one that it leaves open is set by the preprocessing."""
    if None not in expected or preprocessing is None:
        return expected
    return tensor_shape(preprocessing) or expected


def check_shape(received: tuple[int, ...], expected: Shape) -> None:
    """Refuse tensors that the network does not take, with the setting that helps."""
    shape = received[1:]
    if len(shape) == 3 and all(side in (None, given) for side, given in zip(expected, shape, strict=True)):
        return
    channels_first = expected[2] not in {1, 3} and expected[0] in {1, 3}
    if len(shape) != 3:
        advice = "give pictures with a batch in front, as Classifier.tensor makes them"
    elif channels_first and shape[0] == expected[0] and None not in expected:
        advice = f"set size=({expected[1]}, {expected[2]}) in the preprocessing"
    elif channels_first:
        advice = "set layout='channels_first' in the preprocessing"
    elif shape[2] == expected[2] and None not in expected:
        advice = f"set size=({expected[0]}, {expected[1]}) in the preprocessing"
    elif shape[0] == expected[2]:
        advice = "set layout='channels_last' in the preprocessing"
    elif expected[2] in {1, 3}:
        advice = f"set channels={'gray' if expected[2] == 1 else 'rgb'!r} in the preprocessing"
    else:
        advice = "set layout='channels_first' in the preprocessing"
    count = received[0] if len(shape) == 3 else "N"
    sides = ", ".join("any" if side is None else str(side) for side in expected)
    raise ValueError(f"Expected a tensor ({count}, {sides}), received {received}; {advice}")
