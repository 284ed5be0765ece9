"""How much memory a training step will need, before it is run."""

from leadsman.train.memory.estimate import MemoryEstimate, estimate_memory
from leadsman.train.memory.setting import TrainingSetting

__all__ = ["MemoryEstimate", "TrainingSetting", "estimate_memory"]
