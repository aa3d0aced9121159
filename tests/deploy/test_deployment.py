# SPDX-License-Identifier: Apache-2.0
"""A file deployed whole: the same episodes in the trainer, alone in PhysX and in MuJoCo, and every way to go wrong."""

import json
import shutil
import sys

import imageio_ffmpeg
import numpy as np
import onnx
import pytest

from omni.myriad.app.config import load_config
from omni.myriad.deploy import deployment
from omni.myriad.deploy.deployment import deploy
from omni.myriad.errors import MyriadError
from omni.myriad.policy.runtime import Policy, PolicyError, seal


def config(*overrides):
    return load_config(["engine=physx", "episodes=4", "video=False", *overrides])


def test_a_file_earns_what_the_player_does_in_three_places(exported, monkeypatch, capsys):
    monkeypatch.setattr(deployment, "FILM_SECONDS", 0.2)
    report = deploy(config("seed=7", "video=True"), exported, "mujoco")
    assert [row.where for row in report.rows] == [
        "trainer",
        "file, batched",
        "PhysX",
        "MuJoCo",
    ]
    trainer, batch, physx, mujoco = (np.array(row.rewards) for row in report.rows)
    assert len(set(trainer.tolist())) == 4, "four starts"
    np.testing.assert_allclose(batch, trainer, rtol=1e-3)
    np.testing.assert_allclose(physx, trainer, rtol=1e-3)
    np.testing.assert_allclose(mujoco, trainer, rtol=0.02)
    written = json.loads((exported.parent / "policy.deploy" / "deploy.json").read_text())
    assert written["seed"] == 7 and written["rows"][3]["engine"].startswith("mujoco")
    assert written["rows"][3]["reward_difference"] == pytest.approx(
        (mujoco.mean() - trainer.mean()) / trainer.mean(), abs=1e-7
    )
    printed = capsys.readouterr().out
    assert "MuJoCo" in printed and "m/s ahead" not in printed, "a cart on a rail does not go ahead"
    assert written["videos"] == {"physx": "physx.mp4", "mujoco": "mujoco.mp4"}
    assert all(len(list(imageio_ffmpeg.read_frames(str(path)))) == 1 + 4 for path in report.videos.values())


def test_a_policy_with_a_memory_begins_each_episode_with_an_empty_one(exported_with_memory):
    report = deploy(config("seed=7", "episodes=3"), exported_with_memory, "mujoco")
    trainer, batch, physx, mujoco = (np.array(row.rewards) for row in report.rows)
    np.testing.assert_allclose(batch, trainer, rtol=1e-3)
    np.testing.assert_allclose(physx, trainer, rtol=1e-3)
    np.testing.assert_allclose(mujoco, trainer, rtol=0.02)
    # The memory is not idle, and a reset empties it.
    policy = Policy(exported_with_memory)
    assert [(state["input"], state["units"]) for state in policy.metadata["recurrent"]] == [("h_in", 32), ("c_in", 32)]
    fresh = policy.infer(np.full(4, 0.1, np.float32))
    assert np.abs(policy.infer(np.full(4, 0.1, np.float32)) - fresh).max() > 1e-4
    policy.reset()
    np.testing.assert_array_equal(policy.infer(np.full(4, 0.1, np.float32)), fresh)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (lambda states: states.pop(), r"the graph takes \['c_in', 'h_in', 'obs'\], not \['h_in', 'obs'\]"),
        (lambda states: states[0].update(units=31), r"h_in has shape \[None, 31\]"),
        (lambda states: states[1].update(layers=2), "c_in has 2 layers, in the graph 1"),
        (lambda states: states[0].update(initial=None), "h_in at the start is None"),
        (lambda states: states[0].update(output="c_out"), "the graph returns .*'h_out', 'c_out'.*, not"),
        (lambda states: states.reverse(), "the graph returns"),
    ],
)
def test_a_memory_that_does_not_fit_the_graph_ends_in_one_line(exported_with_memory, tmp_path, change, wrong):
    model = onnx.load(exported_with_memory)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    meta = json.loads(properties["myriad"])
    change(meta["recurrent"])
    onnx.helper.set_model_props(model, {"myriad": json.dumps(meta)})
    (tmp_path / "policy.onnx").write_bytes(seal(model.SerializeToString()))
    with pytest.raises(PolicyError, match=wrong):
        Policy(tmp_path / "policy.onnx")


@pytest.mark.parametrize("engine", ["physx", "mujoco"])
def test_the_robot_gets_the_drives_of_the_file(env_of, engine):
    robot = env_of("task=Cartpole", "num_envs=1", f"engine={engine}").engine.robots()["cartpole_view"]
    names, stiffness, damping, armature = ["poleJoint", "cartJoint"], [1.0, 2.0], [0.3, 0.4], [0.05, 0.06]
    deployment._set_drives(robot, {"names": names, "stiffness": stiffness, "damping": damping, "armature": armature})
    for said, heard in zip((stiffness, damping, armature), (*robot.get_gains(), robot.get_armatures()), strict=True):
        assert heard[0].tolist() == pytest.approx(said[::-1])


def test_another_seed_has_other_starts_and_a_lost_checkpoint_is_said(exported, tmp_path, capsys):
    shutil.copy(exported, tmp_path / "alone.onnx")
    report = deploy(config("seed=8", "episodes=2"), tmp_path / "alone.onnx")
    assert [row.where for row in report.rows] == ["file, batched", "PhysX"]
    assert "the trainer's player is left out" in capsys.readouterr().out
    again = deploy(config("seed=9", "episodes=2"), tmp_path / "alone.onnx")
    assert again.rows[0].rewards != report.rows[0].rewards


def test_another_checkpoint_is_refused(exported, tmp_path):
    other = tmp_path / "other.pth"
    other.write_bytes(b"not it")
    with pytest.raises(MyriadError, match=r"other\.pth is not the one that .* was exported from"):
        deploy(config(f"checkpoint={other}"), exported)


def test_bad_files_end_in_one_line(exported, tmp_path):
    with pytest.raises(MyriadError, match=r"gone\.onnx does not exist"):
        deploy(config(), tmp_path / "gone.onnx")
    (tmp_path / "torn.onnx").write_bytes(exported.read_bytes()[:2000])
    with pytest.raises(MyriadError, match="damaged"):
        deploy(config(), tmp_path / "torn.onnx")
    model = onnx.load(exported)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "bare.onnx")
    with pytest.raises(MyriadError, match="no Myriad metadata"):
        deploy(config(), tmp_path / "bare.onnx")


def test_engines_that_are_unknown_or_missing_are_named(exported, monkeypatch):
    with pytest.raises(MyriadError, match="engine=bullet is unknown here; choose one of: physx, mujoco"):
        deploy(config(), exported, "bullet")
    monkeypatch.setitem(sys.modules, "mujoco", None)
    for module in [name for name in sys.modules if name.startswith("omni.myriad.engine.mujoco")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MyriadError, match="MuJoCo, which is not installed"):
        deploy(config(), exported, "mujoco")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give one policy"),
        (["nothing.onnx"], "nothing.onnx does not exist"),
        (["nothing.onnx", "num_envs=4"], "num_envs=4: deploy takes a policy's settings from its file"),
        (["nothing.onnx", "engine=bullet"], "engine=bullet is unknown"),
    ],
)
def test_the_command_exits_with_2_and_one_line(myriad, arguments, message):
    done = myriad("deploy", *arguments)
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
