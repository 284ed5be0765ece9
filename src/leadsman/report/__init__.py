"""The decision as a page a person can look at."""
