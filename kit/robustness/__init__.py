"""Unexpected input: sweeps over perturbations, pictures unlike those of the training, what faults cost."""

from kit.robustness.sweeps.flips import flip
from kit.robustness.sweeps.result import Flip, Sweep
from kit.robustness.sweeps.running import IN_FLIGHT, sweep

__all__ = ["IN_FLIGHT", "Flip", "Sweep", "flip", "sweep"]
