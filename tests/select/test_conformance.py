"""Every built-in selector passes the suite that third parties inherit."""

import pytest

from leadsman.registry import method, methods
from leadsman.testing.selectors import SelectorConformance


@pytest.mark.parametrize("name", methods("selector"), scope="class")
class TestBuiltIns(SelectorConformance):
    @pytest.fixture(autouse=True)
    def _which(self, name):
        self.name = name

    def make(self):
        return method("selector", self.name)()
