# SPDX-License-Identifier: Apache-2.0
"""Our Cartpole, Ant and FrankaCabinet do what OmniIsaacGymEnvs' own files do, run unmodified: recorded numbers."""

import numpy as np
import pytest
import torch

from . import rollout


def ours(env_of, task):
    """Roll our task in their world: on their ground, and towards one point for all ants."""
    env = env_of(*rollout.settings(task), *(rollout.GROUND if task == "Ant" else []))
    if task == "Ant":
        env.task.targets[:] = torch.tensor([1000.0, 0.0, 0.0])
    return rollout.roll(env)


def differences(one, other):
    return {key: float(np.abs(one[key].astype(float) - other[key].astype(float)).max()) for key in one}


@pytest.mark.parametrize("task", rollout.TASKS)
def test_ours_equals_what_was_recorded_from_theirs(env_of, task):
    theirs = np.load(rollout.RECORDED / f"{task}.npz")
    assert theirs["dones"].any()  # starts of later episodes are compared as well
    most = differences(theirs, ours(env_of, task))
    assert most["observations"] <= (1e-4 if task == "FrankaCabinet" else 1e-5)
    assert most["dones"] == 0
    # An ant's reward is the difference of two potentials near 60,000, of which a float32's last bit is 0.004. Without
    # friction to speak of, the drawer's speed keeps what is lost to rounding.
    assert most["rewards"] <= {"Cartpole": 1e-5, "Ant": 0.008, "FrankaCabinet": 5e-4}[task]


@pytest.mark.nightly
@pytest.mark.parametrize("task", rollout.TASKS)
def test_ours_equals_theirs(env_of, real_checkout, task):
    theirs = rollout.roll(env_of(*rollout.settings(task), f"oige={real_checkout}"))
    most = differences(theirs, ours(env_of, task))
    assert max(most.values()) <= (5e-4 if task == "FrankaCabinet" else 1e-5)
