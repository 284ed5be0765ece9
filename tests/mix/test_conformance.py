"""Every built-in mixer passes the suite that third parties inherit."""

import pytest

from leadsman.registry import method, methods
from leadsman.testing.mixers import MixerConformance


@pytest.mark.parametrize("name", methods("mixer"), scope="class")
class TestBuiltIns(MixerConformance):
    @pytest.fixture(autouse=True)
    def _which(self, name):
        self.name = name
        self.looks_at_target = name != "temperature"

    def make(self):
        return method("mixer", self.name)()
