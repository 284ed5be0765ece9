"""``python -m leadsman``."""

from leadsman.cli.main import run

run()
