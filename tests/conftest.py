"""What every test relies on."""

import os

from kit._launch import VARIABLES

# Timed runs, started by hand.
collect_ignore = ["benchmarks"]

# Before anything imports TensorFlow, and inherited by the kernels of the notebooks.
os.environ.update({name: os.environ.get(name, value) for name, value in VARIABLES.items()})
