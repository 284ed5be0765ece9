"""What a selection is worth, and when it is too much: a cheap proxy on each amount of each."""

from leadsman.select.sweep.design import BASELINES, Arm, SweepDesign
from leadsman.select.sweep.report import Cell, SweepReport
from leadsman.select.sweep.run import sweep

__all__ = ["BASELINES", "Arm", "Cell", "SweepDesign", "SweepReport", "sweep"]
