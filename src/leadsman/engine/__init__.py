"""Where work happens. The functions that do the work do not know which engine runs them."""

from leadsman.engine.base import Engine, Progress
from leadsman.engine.local import LocalEngine
from leadsman.engine.threads import ThreadEngine

__all__ = ["Engine", "LocalEngine", "Progress", "ThreadEngine"]
