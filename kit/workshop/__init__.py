"""For workshops: self-checks of the exercises in the notebooks."""
