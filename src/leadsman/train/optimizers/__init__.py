"""Optimizers: one file each, built for a model by ``apply(model, recipe)``."""
