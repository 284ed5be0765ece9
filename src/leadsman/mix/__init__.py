"""In which proportions: one file per mixer."""
