# SPDX-License-Identifier: Apache-2.0
"""How environments look is drawn as their episodes begin, in each by itself, and stays until the next one."""

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.looks import make_looks

AMOUNTS = (
    "colours", "textures", "sun", "sun_angle", "light", "tint", "camera_position", "camera_angle", "focal_length",
)  # fmt: skip
SMALL = ("task=CartpoleCamera", "num_envs=4", "task.env.cameraWidth=48", "task.env.cameraHeight=32")
ON = "task.visual_randomization.randomize=True"


def only(**amounts):
    return [f"task.visual_randomization.{name}={amounts.get(name, 0.0)}" for name in AMOUNTS]


def still(env):
    """Put every cart in the middle with its pole upright, and look."""
    task = env.task
    task.cartpoles.set_joint_positions(torch.zeros(4, 2))
    env.engine.update_kinematics()
    return task.camera.get_rgb().clone().float()


def differences(pictures):
    """Return how far the pictures of the other environments are from the first one's, at most."""
    return (pictures - pictures[:1]).abs().amax((1, 2, 3))[1:]


@pytest.mark.parametrize("what", AMOUNTS)
def test_each_alone_makes_environments_look_different(env_of, what):
    env = env_of(*SMALL, ON, *only(**{what: {"camera_angle": 5.0, "sun_angle": 90.0, "sun": 0.9}.get(what, 0.3)}))
    env.reset()
    found = differences(still(env))
    assert found.min() > 0.0 and found.max() > 8.0


def test_looks_change_where_an_episode_begins_alone(env_of):
    env = env_of(*SMALL, ON, *only(colours=0.3, textures=0.5, sun_angle=40.0, light=0.3, camera_angle=2.0))
    env.reset()
    before = still(env)
    env.task.reset_buf[:] = torch.tensor([0, 1, 0, 0])
    env.step(torch.zeros(4, 1))
    changed = (still(env) - before).abs().amax((1, 2, 3))
    assert changed[1] > 8.0 and changed[[0, 2, 3]].max() == 0.0


def test_the_same_seed_gives_the_same_pictures_to_the_bit(env_of):
    seen = []
    for seed in (1, 1, 2):
        env = env_of(*SMALL, f"seed={seed}", ON, *only(colours=0.3, textures=0.5, sun=0.5, sun_angle=40.0))
        env.reset()
        seen.append(still(env))
        env.close()
    assert torch.equal(seen[0], seen[1]) and not torch.equal(seen[0], seen[2])


def test_nothing_changes_unless_it_is_switched_on(env_of):
    env = env_of(*SMALL)
    env.reset()
    assert env.task.looks is None and differences(still(env)).max() <= 2.0  # rounding, far from the origin


def test_mistakes_are_said_in_one_line(env_of):
    env = env_of(*SMALL)
    settings = env.task.task_config["visual_randomization"]
    for wrong, complaint in (
        ({"smell": 1}, r"visual_randomization\.smell is unknown; there are: randomize, colours"),
        ({"light": -1}, r"light=-1 is invalid: it must be a number, at least 0"),
        ({"focal_length": 1.0}, r"focal_length must be below 1"),
    ):
        env.task.task_config["visual_randomization"] = {**settings, "randomize": True, **wrong}
        with pytest.raises(MyriadError, match=complaint):
            make_looks(env.task)
