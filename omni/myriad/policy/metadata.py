# SPDX-License-Identifier: Apache-2.0
"""What a policy file says about itself; docs/policy-file.md documents every field."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from omni.myriad import __version__
from omni.myriad.files import finite_json
from omni.myriad.policy.graph import PolicyGraph
from omni.myriad.policy.runtime import METADATA_KEY, SCHEMA_VERSION, seal


def build_metadata(
    description: Mapping[str, Any], state: Mapping[str, Any], checkpoint: Path, graph: PolicyGraph, model: Any
) -> dict[str, Any]:
    """Return the metadata of a policy but for its proof, as plain values that JSON can hold without loss.

    Args:
        description: What `describe_task` returned.
        state: The checkpoint's contents.
        checkpoint: The checkpoint's file, at `<run>/checkpoints/<name>.pth` where it lies in a run.
        graph: The policy.
        model: Its `onnx.ModelProto`, still without metadata.
    """
    about = state["myriad"]
    in_run = checkpoint.parent.name == "checkpoints"
    images = description.get("image_terms", [])
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "producer": {"myriad": __version__, "onnx": metadata.version("onnx"), **about["versions"]},
        "task": {
            "name": description["task"],
            **{key: description[key] for key in ("version", "source_sha256")},
        },
        "run": {
            "name": checkpoint.parent.parent.name if in_run else None,
            "checkpoint": checkpoint.name,
            "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
            "epoch": state.get("epoch"),
            "frames": state.get("frame"),
            **{key: about.get(key) for key in ("seed", "git", "created")},
        },
        "timing": {
            "physics_dt": description["physics_dt"],
            "decimation": description["decimation"],
            "control_dt": description["physics_dt"] * description["decimation"],
        },
        "conventions": {
            "units": "SI: m, kg, s, rad, N, N m",
            "quaternion_order": "wxyz",
            "up_axis": "z",
            "gravity": description["gravity"],
        },
        **_robot(description["robot"]),
        "observations": {
            "clip": description["clip_observations"],
            "normalized_in_graph": graph.module.normalizes,
            "inputs": graph.parts,
            "terms": description["observation_terms"] or ([] if images else _unnamed_observations(graph)),
            "images": images,
        },
        "actions": {
            "space": description["spaces"]["action"],
            "clip": description["clip_actions"],
            "terms": description["action_terms"],
        },
        "recurrent": [
            {"input": f"{name}_in", "output": f"{name}_out", "layers": layers, "units": units, "initial": 0.0}
            for name, (layers, units) in graph.states.items()
        ],
        "graph": {
            "inputs": graph.input_names,
            "outputs": graph.output_names,
            "opset": model.opset_import[0].version,
            "ir_version": model.ir_version,
            "sha256": hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
        },
        "config": finite_json(about["config"]),
    }


def _robot(robot: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is known of the robot: its joints, where it starts, and its bodies."""
    if robot is None:
        return dict.fromkeys(("joints", "initial_pose", "body_names"))
    pose = {key.removeprefix("root_"): robot[key] for key in robot if key.startswith("root_")}
    joints = {key.removeprefix("joint_"): robot[key] for key in robot if not key.startswith(("root_", "body_", "name"))}
    pose["joint_positions"] = joints["default_position"]
    return {"joints": joints, "initial_pose": pose, "body_names": robot["body_names"]}


def _unnamed_observations(graph: PolicyGraph) -> list[dict[str, Any]]:
    """Return one term per input, for tasks that do not say what they observe."""
    unknown = {
        "unit": "",
        "frame": "",
        "source": "",
        "scale": None,
        "offset": None,
        "joint_names": [],
        "body_names": [],
    }
    return [{"name": name, "slice": [0, math.prod(part["shape"])], **unknown} for name, part in graph.parts.items()]


def embed(model: Any, meta: Mapping[str, Any]) -> bytes:
    """Return an ONNX model, serialised, with its metadata and mjlab's flat keys inside, and its hash at the end.

    Args:
        model: The `onnx.ModelProto`; its properties are replaced.
        meta: What `build_metadata` returned.
    """
    import onnx

    properties = {METADATA_KEY: json.dumps(meta, allow_nan=False), **flat_keys(meta)}
    onnx.helper.set_model_props(model, properties)
    model.producer_name, model.producer_version = "myriad", __version__
    return seal(model.SerializeToString())


def flat_keys(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys that mjlab's deployments read: comma-separated values, here at full precision.

    There a policy commands all joints, by position; here the action's joints, which need not be all. Cumulative actions
    they would take for positions, so that files of these have none, nor those of smoothed ones and switches.
    """
    joints, terms = meta["joints"], meta["actions"]["terms"]
    if joints is None or not terms or any(t["cumulative"] or t["switch"] or t["share"] < 1.0 for t in terms):
        return {}
    columns: dict[str, list[Any]] = {
        "joint_names": joints["names"],
        "joint_stiffness": joints["stiffness"],
        "joint_damping": joints["damping"],
        "default_joint_pos": joints["default_position"],
        "command_names": [t["name"] for t in meta["observations"]["terms"] if t["source"].startswith("command")],
        "observation_names": [term["name"] for term in meta["observations"]["terms"]],
        "action_scale": [scale for term in terms for scale in term["scale"]],
    }
    return {"run_path": str(meta["run"]["name"] or ""), **{key: _csv(values) for key, values in columns.items()}}


def _csv(values: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
