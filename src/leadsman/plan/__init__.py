"""From forecasts to a decision."""
