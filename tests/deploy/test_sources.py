# SPDX-License-Identifier: Apache-2.0
"""What a file's terms say is what the task observes, and every source is what its name says."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from omni.myriad.deploy.sources import MEASURES, Sensors
from omni.myriad.errors import MyriadError

META = {
    "conventions": {"gravity": [0.0, 0.0, -9.81]},
    "config": {"task": {"env": {"targetPosition": [3.0, 4.0, 0.0]}}},
}
HALF = math.sqrt(0.5)


def test_terms_are_what_the_task_observes(env_of, metadata_of):
    env = env_of("task=Ant", "num_envs=1")
    view = env.task.robots
    meta = metadata_of(env, view)
    terms = {term["name"]: term for term in meta["observations"]["terms"] if term["source"] in MEASURES}
    assert len(terms) == 9, "all but joints and the last action"
    sensors = Sensors(terms, view, meta)
    env.reset()
    torch.manual_seed(3)
    for _ in range(30):
        obs = env.step(torch.rand(1, 8) * 2 - 1)[0]["obs"]
        measured = sensors.measure(env.task._env_pos[0])
        for name, term in terms.items():
            scaled = (measured[name] - np.array(term["offset"])) * np.array(term["scale"])
            np.testing.assert_allclose(scaled, obs[0, slice(*term["slice"])].numpy(), atol=2e-5, err_msg=name)


def robot(orientation, velocity=(0.0,) * 6, position=(0.0, 0.0, 2.0)):
    """A robot that stands still for its measurements."""
    return SimpleNamespace(
        get_world_poses=lambda: (torch.tensor([position]), torch.tensor([orientation])),
        get_velocities=lambda: torch.tensor([velocity]),
    )


@pytest.mark.parametrize(
    ("source", "frame", "orientation", "expected"),
    [
        ("root_height", "world", (1.0, 0.0, 0.0, 0.0), [2.0]),
        ("root_orientation", "world", (HALF, 0.0, HALF, 0.0), [HALF, 0.0, HALF, 0.0]),
        ("root_linear_velocity", "world", (HALF, 0.0, 0.0, HALF), [1.0, 0.0, 0.0]),
        ("root_linear_velocity", "root", (HALF, 0.0, 0.0, HALF), [0.0, -1.0, 0.0]),  # turned left: forward is -y
        ("root_angular_velocity", "root", (HALF, 0.0, 0.0, HALF), [2.0, 0.0, 0.0]),
        ("root_yaw", "world", (HALF, 0.0, 0.0, -HALF), [-math.pi / 2]),
        ("root_roll", "world", (HALF, HALF, 0.0, 0.0), [math.pi / 2]),
        ("root_pitch", "world", (math.cos(0.2), 0.0, math.sin(0.2), 0.0), [0.4]),
        ("root_up_projection", "world", (HALF, HALF, 0.0, 0.0), [0.0]),
        ("root_down", "world", (HALF, HALF, 0.0, 0.0), [0.0, 1.0, 0.0]),  # on its left side
        ("projected_gravity", "root", (HALF, HALF, 0.0, 0.0), [0.0, -1.0, 0.0]),  # on its side: gravity along -y
        ("target_heading_cosine", "world", (1.0, 0.0, 0.0, 0.0), [0.6]),
        ("target_angle_xz", "world", (1.0, 0.0, 0.0, 0.0), [math.atan2(-2.0, 3.0)]),
    ],
)
def test_a_source_is_what_its_name_says(source, frame, orientation, expected):
    term = {"source": source, "frame": frame, "body_names": []}
    view = robot(orientation, (1.0, 0.0, 0.0, 0.0, 2.0, 0.0))
    measured = Sensors({"it": term}, view, META).measure(torch.zeros(3))["it"]
    np.testing.assert_allclose(measured, expected, atol=1e-6)


def test_unknown_sources_and_missing_targets_are_named():
    with pytest.raises(MyriadError, match=r"smell comes from 'nose'.*root_height"):
        Sensors({"smell": {"source": "nose", "frame": ""}}, None, META)
    meta = META | {"config": {"task": {"env": {}}}}
    with pytest.raises(MyriadError, match="no targetPosition"):
        Sensors({"ahead": {"source": "target_heading_cosine", "frame": ""}}, None, meta)
