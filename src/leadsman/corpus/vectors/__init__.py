"""Documents as vectors, and loops over vectors."""
