"""What a person wants to know of a plan beside the choice; all of it ends in ``plan.json``.

cost       hours, money, energy; serving; memory
levels     the front of cost and quality, the page's draws, what would flip the choice
limits     what held the plan back; passes over its text
tried      effects of settings, what was kept untried, what data to buy
ask_next   the small run most worth its cost
"""

from leadsman.plan.account.account import account
from leadsman.plan.account.levels import stored_draws

__all__ = ["account", "stored_draws"]
