# SPDX-License-Identifier: Apache-2.0
"""Files from elsewhere that name code to run: a folder whose task leaves a mark when it is loaded."""

import json

import onnx
import pytest

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.deploy.deployment import deploy
from omni.myriad.learn import checkpoint
from omni.myriad.policy.runtime import METADATA_KEY, seal


@pytest.fixture
def trap(tmp_path):
    """A folder with a Cartpole of its own, which would be loaded before ours."""
    folder = tmp_path / "trap"
    folder.mkdir()
    (folder / "cartpole.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    return folder


def ran(trap):
    return (trap.parent / "ran").exists()


def test_the_trap_works_where_a_person_names_it(trap):
    with pytest.raises(Exception, match="must define a subclass of RLTask"):
        runs.make_env(load_config(["task=Cartpole", "num_envs=2", "sim_device=cpu", f"task.task_path=[{trap}]"]))
    assert ran(trap)


def test_a_policys_file_names_no_code(exported, trap, tmp_path):
    model = onnx.load(exported)
    meta = next(json.loads(entry.value) for entry in model.metadata_props if entry.key == METADATA_KEY)
    meta["config"]["task"]["task_path"], meta["config"]["oige"] = [str(trap)], str(trap)
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(meta)})
    (tmp_path / "policy.onnx").write_bytes(seal(model.SerializeToString()))
    config = load_config(["engine=physx", "episodes=1", "video=False"], "deploy")
    assert [row.where for row in deploy(config, tmp_path / "policy.onnx").rows] == ["file, batched", "PhysX"]
    assert not ran(trap)


def test_a_lone_checkpoint_names_no_code(exported, trap, tmp_path):
    state = checkpoint.load(exported.parent.parent / "checkpoints" / "best.pth")
    state["myriad"]["config"]["task"]["task_path"] = [str(trap)]
    checkpoint.save(tmp_path / "lone.pth", state)
    runs.export(load_config(["task=Cartpole", f"checkpoint={tmp_path / 'lone.pth'}", "sim_device=cpu"]))
    assert (tmp_path / "exported" / "policy.onnx").exists() and not ran(trap)
