"""What came out: tasks, losses, and how far to trust them."""
