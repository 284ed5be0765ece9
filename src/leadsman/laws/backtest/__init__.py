"""Forecasts tried on runs other people made: loaders, the suite, baselines, scores."""

from leadsman.laws.backtest.cases import Case
from leadsman.laws.backtest.tables import load_cases

__all__ = ["Case", "load_cases"]
