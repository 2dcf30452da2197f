"""What the first layers receive, and what the stages inside a network put out."""
