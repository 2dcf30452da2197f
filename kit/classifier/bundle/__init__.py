"""What travels in a ``.keras`` file beside the network, and how a file becomes a running classifier."""
