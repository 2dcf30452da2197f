"""Extra members of a ``.keras`` archive: what travels with the weights and is tied to them by digest.

A ``.keras`` file is a zip that Keras reads by name, so members under ``kit/`` do not disturb it. Here they
are read and written without TensorFlow. ``kit/contract.json`` is plain JSON. Every other member is kept as
its four *byte planes*, ``kit/model.tflite.plane0`` to ``.plane3``: plane *k* holds byte *k* of every 4-byte
word. Of float32 weights only the plane with sign and exponent can be compressed; three planes are stored as
they are, which makes the member smaller than deflating the whole (84 against 92 %) and quicker to read.
"""

from kit.classifier.archive.layout import COMPILED, CONTRACT, FIRST_LAYERS, GOLDEN, NOVELTY, PROPERTIES
from kit.classifier.archive.reading import Archive, read, read_members
from kit.classifier.archive.writing import Members, write, write_members

__all__ = ["COMPILED", "CONTRACT", "FIRST_LAYERS", "GOLDEN", "NOVELTY", "PROPERTIES", "Archive", "Members"]
__all__ += ["read", "read_members", "write", "write_members"]
