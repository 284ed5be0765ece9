"""Small and big runs: model, data feed, loop, schedules, optimizers.

Nothing here imports torch until a model is built, so planning works on the core install.
"""
