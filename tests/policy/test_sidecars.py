# SPDX-License-Identifier: Apache-2.0
"""The files for other stacks, read back and checked against the task that a policy was trained on."""

import csv
import json
import math

import onnx
import pytest
import yaml

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from tests.policy.conftest import MAX_EFFORT


@pytest.fixture(scope="module")
def folder(run_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    runs.export(load_config(["task=Cartpole", f"checkpoint={run_dir}", f"output={folder}/cart.onnx"]))
    return folder


def load(folder, name):
    return yaml.safe_load((folder / "cart.sidecars" / name).read_text())


def test_unitree_deploy(folder):
    deploy = load(folder, "deploy.yaml")
    assert deploy["joint_ids_map"] == [0, 1]
    assert deploy["step_dt"] == 2 / 120
    assert deploy["stiffness"] == deploy["damping"] == [0.0, 0.0]
    action = deploy["actions"]["JointEffortAction"]
    assert (action["scale"], action["offset"], action["joint_ids"]) == ([MAX_EFFORT], [0.0], [0])
    assert list(deploy["observations"]) == ["cart_position", "cart_velocity", "pole_angle", "pole_velocity"]
    assert deploy["observations"]["pole_angle"]["params"]["joint_ids"] == [1]
    assert all(term["history_length"] == 1 for term in deploy["observations"].values())


def test_isaac_sim_env(folder):
    env = load(folder, "env.yaml")
    assert (env["sim"]["dt"], env["decimation"]) == (1 / 120, 2)
    robot = env["scene"]["robot"]
    assert robot["init_state"]["pos"] == [0.0, 0.0, 2.0]
    assert robot["init_state"]["joint_pos"] == {"cartJoint": 0.0, "poleJoint": 0.0}
    actuator = robot["actuators"]["all"]
    assert actuator["effort_limit"] == {"cartJoint": 1000.0, "poleJoint": 1000.0}
    assert actuator["velocity_limit"]["poleJoint"] == math.inf


def test_isaac_lab_io_descriptors(folder):
    described = load(folder, "IO_descriptors.yaml")
    (action,) = described["actions"]
    assert (action["joint_names"], action["scale"], action["shape"]) == (["cartJoint"], [MAX_EFFORT], [1])
    assert described["articulations"]["robot"]["default_joint_pos_limits"] == [[-4.0, 4.0], [-math.inf, math.inf]]
    assert [term["shape"] for term in described["observations"]["policy"]] == [[1]] * 4
    assert described["scene"] == {"decimation": 2, "dt": 2 / 120, "physics_dt": 1 / 120}


def test_mjlab_flat_keys(folder):
    properties = {p.key: p.value for p in onnx.load(folder / "cart.onnx").metadata_props}
    (names,) = csv.reader([properties["joint_names"]])
    assert names == ["cartJoint", "poleJoint"]
    assert [float(value) for value in properties["action_scale"].split(",")] == [MAX_EFFORT]
    assert properties["observation_names"] == "cart_position,cart_velocity,pole_angle,pole_velocity"
    assert properties["run_path"] == "short"


def test_all_say_the_same_as_the_metadata(folder):
    meta = json.loads((folder / "cart.json").read_text())
    assert load(folder, "deploy.yaml")["default_joint_pos"] == meta["joints"]["default_position"]
    assert load(folder, "deploy.yaml")["step_dt"] == meta["timing"]["control_dt"]
    assert load(folder, "env.yaml")["sim"]["gravity"] == meta["conventions"]["gravity"]
