# SPDX-License-Identifier: Apache-2.0
"""A policy trained for a few epochs on real physics, and a file for the runtime made without any training."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.policy.runtime import seal

MAX_EFFORT = 250.0  # not the task's own


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """The folder of a short run of Cartpole with an action scale of its own."""
    folder = tmp_path_factory.mktemp("runs")
    overrides = ["task=Cartpole", "max_iterations=3", "num_envs=16", f"task.env.maxEffort={MAX_EFFORT}"]
    runs.train(load_config([*overrides, "sim_device=cpu", f"train_dir={folder}", "experiment=short"]))
    return folder / "short"


def term(name, start, stop, source="", joints=(), scale=1.0, offset=0.0):
    size = stop - start
    described = {"name": name, "slice": [start, stop], "unit": "m", "frame": "", "source": source}
    return described | {
        "scale": [scale] * size,
        "offset": [offset] * size,
        "joint_names": list(joints),
        "body_names": [],
    }


def hand_made_metadata():
    """Joints a, b, c; observed: positions of b and a (less 1, times 2), velocity of b, a height, the last action."""
    return {
        "schema_version": 3,
        "task": {"name": "HandMade"},
        "timing": {"control_dt": 0.02, "physics_dt": 0.01, "decimation": 2},
        "joints": {
            "names": ["a", "b", "c"],
            "default_position": [0.0, 0.0, 0.0],
            "effort_limit": [80.0, None, 5.0],
            "velocity_limit": [1.0, 2.0, None],
            "position_limits": [[-1.0, 1.0], [None, 2.0], [-3.0, 3.0]],
        },
        "observations": {
            "clip": None,
            "inputs": {"obs": {"kind": "box", "shape": [6], "dtype": "float32"}},
            "terms": [
                term("positions", 0, 2, "joint_position", ["b", "a"], scale=2.0, offset=1.0),
                term("velocity", 2, 3, "joint_velocity", ["b"]),
                term("height", 3, 4, "root_height", scale=10.0),
                term("last", 4, 6, "last_action"),
            ],
        },
        "actions": {
            "clip": 1.0,
            "space": {"kind": "box", "shape": [2]},
            "terms": [
                {
                    "name": "joint_effort",
                    "kind": "effort",
                    "slice": [0, 1],
                    "joint_names": ["a"],
                    "scale": [100.0],
                    "unit": "N",
                }
                | {"offset": [0.0], "clip": [-60.0, 60.0]},
                {
                    "name": "joint_position",
                    "kind": "position",
                    "slice": [1, 2],
                    "joint_names": ["c"],
                    "scale": [0.5],
                    "unit": "rad",
                }
                | {"offset": [0.25], "clip": None},
            ],
        },
        "recurrent": [],
        "graph": {"inputs": ["obs"], "outputs": ["actions"]},
        "golden": {
            "tolerance": 1e-4,
            "sequential": False,
            "observations": {"obs": [[0.1, 0.2, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.3, 0.0, 0.9]]},
            "actions": [[0.1, 0.2], [0.3, 0.9]],
            "measurements": [[1.05, 1.1, 0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.03, 0.0, 0.9]],
            "commands": [
                {"effort": {"a": 10.0}, "position": {"c": 0.35}, "velocity": {}},
                {"effort": {"a": 30.0}, "position": {"c": 0.7}, "velocity": {}},
            ],
        },
    }


WEIGHTS = np.array([[1, 0], [0, 1], [0, 0], [1, 0], [0, 0], [0, 1]], np.float32)
"""Actions are clip(obs @ WEIGHTS): obs[0] + obs[3], and obs[1] + obs[5]."""


@pytest.fixture
def hand_made(tmp_path):
    """Write the hand-made policy, with its metadata changed by a function, and return its path."""

    def write(change=None, metadata=None, sealed=True):
        meta = metadata if metadata is not None else hand_made_metadata()
        if change:
            change(meta)
        nodes = [
            helper.make_node("MatMul", ["obs", "w"], ["raw"]),
            helper.make_node("Clip", ["raw", "low", "high"], ["actions"]),
        ]
        constants = {"w": WEIGHTS, "low": np.array(-1.0, np.float32), "high": np.array(1.0, np.float32)}
        weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        inputs = [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", 6])]
        outputs = [helper.make_tensor_value_info("actions", TensorProto.FLOAT, ["batch", 2])]
        graph = helper.make_graph(nodes, "policy", inputs, outputs, weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        if meta != {}:
            helper.set_model_props(model, {"myriad": json.dumps(meta)})
        data = model.SerializeToString()
        (tmp_path / "policy.onnx").write_bytes(seal(data) if sealed else data)
        return tmp_path / "policy.onnx"

    return write
