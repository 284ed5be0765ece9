"""How a design of many small runs is laid out over a machine, and which layout is fastest there."""

from leadsman.train.layout.choose import Choice, choose_layout
from leadsman.train.layout.layouts import Layout, lay_out

__all__ = ["Choice", "Layout", "choose_layout", "lay_out"]
