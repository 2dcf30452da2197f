"""Unexpected input: sweeps over perturbations, pictures unlike those of the training, what faults cost."""

from kit.robustness.sweeps.bisection import Flip, flip
from kit.robustness.sweeps.result import Sweep
from kit.robustness.sweeps.running import IN_FLIGHT, sweep

__all__ = ["IN_FLIGHT", "Flip", "Sweep", "flip", "sweep"]
