"""Every built-in selector passes the suite that third parties inherit."""

import pytest

from leadsman.registry import method, methods
from leadsman.testing.selectors import SelectorConformance

# These look for variety or quality, not for likeness to the target.
OWN_MIND = {"facility-location", "heuristic-filters", "k-center", "vote-k"}


@pytest.mark.parametrize("name", methods("selector"), scope="class")
class TestBuiltIns(SelectorConformance):
    @pytest.fixture(autouse=True)
    def _which(self, name):
        self.name = name
        self.prefers_target = name not in OWN_MIND

    def make(self):
        return method("selector", self.name)()
