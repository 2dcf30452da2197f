"""Photos: RGB pixels together with what was done to get them, and the ways to name images."""
