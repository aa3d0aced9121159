# SPDX-License-Identifier: Apache-2.0
"""CartpoleCamera: what is seen is where cart and pole are, repeats to the bit, and leaves as a file that acts on it."""

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.learn.rl_games.learner import make_learner
from omni.myriad.policy.description import describe_task
from omni.myriad.policy.export import export_policy
from omni.myriad.policy.recording import record
from omni.myriad.policy.runtime import Policy, PolicyError

SMALL = ("task=CartpoleCamera", "num_envs=3", "task.env.cameraWidth=48", "task.env.cameraHeight=32")


def pictures(env, steps=12):
    torch.manual_seed(5)
    seen = [env.reset()["obs"]["camera"].clone()]
    seen += [env.step(2.0 * torch.rand(3, 1) - 1.0)[0]["obs"]["camera"].clone() for _ in range(steps)]
    return torch.stack(seen)


def test_pictures_repeat_to_the_bit_and_show_motion(env_of):
    first = pictures(env_of(*SMALL, "seed=3"))
    assert first.shape == (13, 3, 32, 48, 6) and first.dtype == torch.uint8
    assert torch.equal(first, pictures(env_of(*SMALL, "seed=3")))
    assert not torch.equal(first[-1, ..., :3], first[-1, ..., 3:])
    assert torch.equal(first[-1, ..., :3], first[-2, ..., 3:])
    assert torch.equal(first[0, ..., :3], first[0, ..., 3:])  # an episode has begun


def test_depth_is_seen_as_a_part_of_the_farthest(env_of):
    seen = env_of(*SMALL, "task.env.cameraType=depth").reset()["obs"]["camera"]
    assert seen.shape == (3, 32, 48, 2) and seen.dtype == torch.float32
    assert seen.max() == 1.0 and 3.5 / 20.0 < seen.min() < 4.5 / 20.0  # sky, and the pole 4.2 m ahead


def test_a_policy_trained_on_pictures_is_exported_and_acts_on_one_picture_at_a_time(env_of, tmp_path):
    overrides = ("train.params.config.horizon_length=8", "train.params.config.mini_epochs=1", "max_iterations=1")
    config = load_config(["sim_device=cpu", *SMALL, *overrides])
    env = env_of(*SMALL, *overrides)
    description = describe_task(env)
    learner = make_learner(config, env, tmp_path / "run")
    assert type(learner.agent.model.a2c_network).__name__ == "DictNetwork"
    learner.train(lambda epoch: None)
    state, actor = learner.checkpoints.learner_state(), learner.actor()
    path = next((tmp_path / "run" / "checkpoints").glob("*.pth"))
    output = tmp_path / "policy.onnx"
    meta = export_policy(actor, state | {"myriad": {**state["myriad"]}}, path, description, record(env, actor), output)
    assert meta["parity"]["max_error"] <= meta["parity"]["tolerance"]
    (image,) = meta["observations"]["images"]
    assert image["channels"] == ["red", "green", "blue"] and image["stack"] == 2
    policy = Policy(output)
    assert policy.can_act and policy.inputs["camera"] == ((32, 48, 6), "uint8")
    frames = pictures(env, 2)[:, 0, ..., 3:].numpy()
    together = policy.infer({"camera": torch.cat([torch.from_numpy(frames[k]) for k in (1, 2)], dim=-1).numpy()})
    for frame in frames[1:]:
        command = policy.act({}, {}, images={"camera": frame})
    limit = env.task.task_config["env"]["maxEffort"]
    assert command.effort["cartJoint"] == pytest.approx(float(together[0]) * limit, abs=1e-3)
    with pytest.raises(PolicyError, match="image 'camera' is missing"):
        policy.act({}, {})
    with pytest.raises(PolicyError, match="image 'camera' is float64 of shape"):
        policy.act({}, {}, images={"camera": frames[0] / 255.0})
