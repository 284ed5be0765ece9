"""Marked tests skip, with the reason, where what they need is not there."""

import os
from pathlib import Path

import pytest

NEEDS = {
    "LEADSMAN_DATASETS": "tables of real training runs",
    "LEADSMAN_CORPORA": "corpora of real text",
}


def pytest_collection_modifyitems(config, items):
    missing = [name for name in NEEDS if not Path(os.environ.get(name, "/nowhere")).is_dir()]
    for item in items:
        if item.get_closest_marker("datasets") and missing:
            reason = f"set {', '.join(missing)} to the directory of {NEEDS[missing[0]]}"
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device on this machine"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
