# SPDX-License-Identifier: Apache-2.0
"""Our Cartpole, Ant, FrankaCabinet and hands do what OmniIsaacGymEnvs' own files do, unmodified: recorded numbers."""

import numpy as np
import pytest
import torch

from . import rollout


def ours(env_of, task):
    """Roll our task in their world: on their ground, ants towards one point, joints that follow free at first."""
    env = env_of(*rollout.settings(task), *rollout.ALIKE.get(task, []))
    if task == "Ant":
        env.task.targets[:] = torch.tensor([1000.0, 0.0, 0.0])
    if task.startswith("ShadowHand"):
        env.task.following = lambda joints: joints
    return rollout.roll(env, task)


def differences(one, other):
    return {key: float(np.abs(one[key].astype(float) - other[key].astype(float)).max()) for key in one}


@pytest.mark.parametrize("task", rollout.TASKS)
def test_ours_equals_what_was_recorded_from_theirs(env_of, task):
    theirs = np.load(rollout.RECORDED / f"{task}.npz")
    assert theirs["dones"].any()  # starts of later episodes are compared as well
    most = differences(theirs, ours(env_of, task))
    assert most.get("states", 0.0) <= 1e-5
    assert most["observations"] <= (1e-4 if task == "FrankaCabinet" else 1e-5)
    assert most["dones"] == 0
    # An ant's reward is the difference of two potentials near 60,000, of which a float32's last bit is 0.004. Without
    # friction to speak of, the drawer's speed keeps what is lost to rounding.
    assert most["rewards"] <= {"Ant": 0.008, "FrankaCabinet": 5e-4}.get(task, 1e-5)
    if task.startswith("ShadowHand"):
        assert (theirs["rewards"] > 200.0).any()  # goals were reached, and others followed


@pytest.mark.nightly
@pytest.mark.parametrize("task", rollout.TASKS)
def test_ours_equals_theirs(env_of, real_checkout, task):
    theirs = rollout.roll(env_of(*rollout.settings(task), f"oige={real_checkout}"), task)
    most = differences(theirs, ours(env_of, task))
    assert max(most.values()) <= (5e-4 if task == "FrankaCabinet" else 1e-5)
