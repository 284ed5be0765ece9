"""A design of many small runs: in which way this machine does them fastest, laid out as jobs."""

from leadsman.train.sweep.choose import Choice, choose_way
from leadsman.train.sweep.ways import Way, lay_out

__all__ = ["Choice", "Way", "choose_way", "lay_out"]
