# SPDX-License-Identifier: Apache-2.0
"""Results with round numbers, as no machine would give them."""

import pytest

from omni.myriad.benchmark import results
from omni.myriad.benchmark.timing import summary

MACHINE = {"cpu": "Abacus 9", "cores": 2, "memory_gib": 4, "device": "cpu"}


def measurement(values, num_envs, unit="environment steps/s", **more):
    return {
        **summary(values),
        "unit": unit,
        "phases": {"physics": 0.75, "task": 0.25},
        "memory": {"host_mib": 512},
        "machine": dict(MACHINE),
        "num_envs": num_envs,
        **more,
    }


def seed_run(seed, reached, num_envs=64):
    return {
        "seed": seed,
        "reached": {f"seconds_to_{reward}": seconds for reward, seconds in reached.items()},
        "curve": [[10, 1.0, 0.0], [20, 2.0, 50.0]],
        "machine": dict(MACHINE),
        "num_envs": num_envs,
    }


def start(seconds, num_envs):
    return {
        "seconds": seconds,
        "phases": {"imports": 1.0, "engine": seconds - 1.0},
        "memory": {"host_mib": 512},
        "machine": dict(MACHINE),
        "num_envs": num_envs,
    }


@pytest.fixture
def empty():
    """Make results without measurements."""

    def make(task="Ant", command="./myriad benchmark"):
        about = {"command": command, "date": "2030-01-02 03:04 +0000", "git": "abcdef0123456789"}
        return results.new(task, {"myriad": "0.0"}, about)

    return make


@pytest.fixture
def full(empty):
    """Results in which everything was measured once."""
    found = empty()
    for num_envs in (64, 256):
        results.add(found, "bare_loop", measurement([2000.0 * num_envs] * 3, num_envs))
        results.add(found, "env", measurement([1500.0 * num_envs] * 3, num_envs))
        results.add(found, "train", measurement([900.0, 1000.0, 1100.0], num_envs, "frames/s"))
        results.add_startup(found, [start(5.0, num_envs), start(3.0, num_envs), start(4.0, num_envs)])
        peer = measurement([500.0], num_envs, "frames/s", versions={"rl-games": "1.6.5"})
        results.add_peer(found, "rl_games", peer, by_num_envs=True)
    variants = {"one way": summary([96_000.0]), "another": summary([48_000.0])}
    peer = measurement([96_000.0], 64, versions={"mujoco": "3"}, variant="one way", variants=variants)
    results.add_peer(found, "gymnasium", peer, by_num_envs=False)
    found["absent"] = {"mjlab": "not installed: pip install mjlab"}
    for seed, seconds in ((1, 7.0), (2, 9.0), (3, None)):
        results.add_seed(found, seed_run(seed, {"3000": seconds, "5900": None}))
    return found
