"""Claims of the methods' papers, measured at the size that a small machine allows."""
