"""Running a network: compiled with LiteRT, or with Keras where that cannot be."""
