"""How answers change while pictures are perturbed, and where they flip."""
