"""What is known of the training pictures, and how far other pictures are from them."""
