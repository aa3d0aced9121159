# SPDX-License-Identifier: Apache-2.0
"""From a run of real training to a file, and back into the simulation that trained it."""

import shutil

import numpy as np
import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.learn.run import make_actor
from omni.myriad.policy.runtime import Policy
from tests.policy.conftest import MAX_EFFORT


def export(*overrides):
    return runs.export(load_config(["task=Cartpole", *overrides]))


def no_physics(*_):
    raise AssertionError("the export started the simulator")


def test_a_run_suffices_without_simulator(run_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "make_env", no_physics)
    meta = export(f"checkpoint={run_dir}", f"output={tmp_path}/policy.onnx")
    assert meta["parity"]["max_error"] <= 1e-5
    assert meta["parity"]["steps"] > 4000
    assert f"maximum error {meta['parity']['max_error']:.3g}" in capsys.readouterr().out
    assert meta["actions"]["terms"][0]["scale"] == [MAX_EFFORT]
    assert meta["config"]["task"]["env"]["maxEffort"] == MAX_EFFORT
    assert meta["run"]["name"] == "short"


def test_the_file_goes_into_the_run_by_default(run_dir, monkeypatch):
    monkeypatch.setattr(runs, "make_env", no_physics)
    export(f"train_dir={run_dir.parent}")
    assert Policy(run_dir / "exported" / "policy.onnx").metadata["task"]["name"] == "Cartpole"


def test_a_checkpoint_alone_is_exported_by_running_its_task(run_dir, tmp_path):
    shutil.copy(run_dir / "checkpoints" / "last.pth", tmp_path / "copied.pth")
    meta = export(f"checkpoint={tmp_path}/copied.pth", "sim_device=cpu")
    assert meta["actions"]["terms"][0]["scale"] == [MAX_EFFORT]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied.pth", "exported"]


def test_a_run_without_recording_gets_one(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "observations.npz").unlink()
    export(f"checkpoint={tmp_path}/run", "sim_device=cpu")
    assert (tmp_path / "run" / "observations.npz").exists()


def test_the_file_acts_in_the_simulation_as_the_player_does(run_dir, tmp_path):
    """Two equal simulations, one driven by the learner's actor, one through joint names by the runtime."""
    path = run_dir / "checkpoints" / "best.pth"
    export(f"checkpoint={path}", f"output={tmp_path}/policy.onnx")
    config = load_config(["task=Cartpole", "num_envs=1", "sim_device=cpu", f"task.env.maxEffort={MAX_EFFORT}"])
    efforts = []
    for driver in ("actor", "file"):
        env = runs.make_env({**config, "seed": 5})
        try:
            obs = {"obs": env.reset()["obs"].clone()}
            efforts.append(drive(env, obs, driver, config, path, tmp_path / "policy.onnx"))
        finally:
            env.close()
    assert np.ptp(efforts[0]) > 1.0
    np.testing.assert_allclose(efforts[1], efforts[0], rtol=1e-3, atol=1e-2)


def drive(env, obs, driver, config, checkpoint_path, file):
    actor = make_actor(config, env, checkpoint.load(checkpoint_path), checkpoint_path)
    actor.reset(1)
    policy = Policy(file, joint_names=["poleJoint", "cartJoint"])
    view, efforts = env.task.cartpoles, []
    for _ in range(40):
        if driver == "actor":
            action = actor.act(obs)
        else:
            order = [view.dof_names.index(name) for name in policy.joint_names]
            positions, velocities = view.get_joint_positions()[0, order], view.get_joint_velocities()[0, order]
            command = policy.act(positions.numpy(), velocities.numpy())
            action = torch.tensor([[command.effort["cartJoint"] / MAX_EFFORT]])
        obs, _, dones, _ = env.step(action)
        assert not dones.any(), "starts of later episodes differ, because rl-games' player draws random numbers"
        efforts.append(float(env.task.efforts[0, env.task.cart]))
    return np.array(efforts)


def test_another_tasks_checkpoint(run_dir):
    with pytest.raises(MyriadError, match="was trained for task Cartpole, not Ant: give task=Cartpole"):
        runs.export(load_config(["task=Ant", f"checkpoint={run_dir}"]))


def test_damaged_recording(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "run", ignore=shutil.ignore_patterns("exported"))
    (tmp_path / "run" / "observations.npz").write_bytes(b"damaged")
    with pytest.raises(MyriadError, match="is damaged; delete it"):
        export(f"checkpoint={tmp_path}/run")
    assert not (tmp_path / "run" / "exported").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["checkpoint=nothing.pth"], "checkpoint=nothing.pth does not exist"),
        (["checkpoint={run}", "opset=5"], "opset=5 is invalid"),
        (["checkpoint={run}", "opset=new"], "opset=new is invalid"),
        (
            ["checkpoint={run}", "task.env.maxEffort=1"],
            "task.env.maxEffort=1: export takes a policy's settings from its run",
        ),
        (["checkpoint={broken}"], "damaged"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run_dir, tmp_path, myriad, arguments, message):
    broken = tmp_path / "broken.pth"
    broken.write_bytes((run_dir / "checkpoints" / "best.pth").read_bytes()[:2000])
    places = {"run": run_dir, "broken": broken}
    given = [argument.format(**places) for argument in arguments]
    done = myriad("export", "task=Cartpole", f"output={tmp_path}/out/policy.onnx", *given)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
