from __future__ import annotations

import torch

from leadsman.train import machine_speed


def test_a_machine_at_half_the_rate_takes_twice_as_long(monkeypatch):
    rate = machine_speed.PROBE_TOKENS_PER_SECOND / 2
    monkeypatch.setattr(machine_speed, "probe_tokens_per_second", lambda seconds: rate)
    assert machine_speed.machine_ratio() == 2


def test_the_probe_leaves_the_threads_as_they_were():
    torch.set_num_threads(2)
    try:
        assert machine_speed.probe_tokens_per_second(seconds=0.01) > 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
