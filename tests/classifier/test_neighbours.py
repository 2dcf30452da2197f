"""What is said of the training images that an image is nearest to."""

import numpy as np

from kit.classifier.neighbours import Nearest, Neighbour


def test_what_is_nearest_is_told_in_a_sentence_and_a_table():
    few = tuple(
        Neighbour(f"{place}.png", name, place / 4) for place, name in enumerate("abbab")
    )
    nearest = Nearest("x.png", "a", few, np.zeros((0, 48, 48, 3), np.uint8))
    words = "2 of the 5 nearest training images are predicted as this class"
    assert nearest.text().splitlines() == [
        f"Nearest('x.png', predicted 'a'; {words}: doubt this prediction)",
        "training image  predicted as  distance",
        "0.png           a                  0.0",
        "1.png           b                  0.2",
        "2.png           b                  0.5",
        "3.png           a                  0.8",
        "4.png           b                  1.0",
    ]
    assert "doubt" not in repr(Nearest("x.png", "b", few, nearest.thumbnails))
    foreign = Nearest("x.png", "a", few, nearest.thumbnails, foreign=True)
    assert "with another preprocessing: call with_reference again)" in repr(foreign)
