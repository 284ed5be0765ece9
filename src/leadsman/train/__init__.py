"""Small and big runs: model, data feed, loop, schedules, optimizers."""
