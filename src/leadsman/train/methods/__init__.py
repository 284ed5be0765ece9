"""Training methods that change the model: one file each."""
