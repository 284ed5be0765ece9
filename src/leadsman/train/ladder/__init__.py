r"""Many runs from few trunks: recipes that differ in ``tokens`` only share their beginning.

    trunk   o------------o------o------------o          constant lr
                          \      \            \
    branches               o run  o run        o run    decay, evaluate, write to the ledger

Each run ends as if it had been trained alone, because no step before its decay depends on its
length and the branch starts from the trunk's exact state. One trunk, or a stack of trunks of one
shape, is one job of an engine. A job writes its progress and a checkpoint beside each other under
``work``; killed at any moment and started again, it continues from there, and runs finished in
the ledger are not redone.
"""

from leadsman.train.ladder.job import TrunkJob, plan_trunks
from leadsman.train.ladder.progress import TrunkProgress, progress
from leadsman.train.ladder.trunk import run_trunk, train_ladder

__all__ = ["TrunkJob", "TrunkProgress", "plan_trunks", "progress", "run_trunk", "train_ladder"]
