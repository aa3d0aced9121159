# SPDX-License-Identifier: Apache-2.0
"""The same metadata in the files that other stacks read, so that a policy can be run by them without Myriad."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import yaml

_ACTION_TYPES = {"effort": "JointEffortAction", "position": "JointPositionAction", "velocity": "JointVelocityAction"}


def sidecar_texts(meta: Mapping[str, Any]) -> dict[str, str]:
    """Return the files to write by name, those for which the metadata suffices.

    Args:
        meta: What `build_metadata` returned.

    Returns:
        `IO_descriptors.yaml` and `env.yaml` for Isaac Sim's policy examples, `deploy.yaml` for Unitree's controllers;
        nothing for a policy whose task does not say what it observes and commands.
    """
    if meta["joints"] is None or not meta["actions"]["terms"]:
        return {}
    return {
        "IO_descriptors.yaml": _yaml(io_descriptors(meta)),
        "env.yaml": _yaml(env_config(meta)),
        "deploy.yaml": _yaml(deploy_config(meta)),
    }


def readable(meta: Mapping[str, Any], file_sha256: str) -> str:
    """Return the metadata for people, with the hash of the finished file, which cannot be inside it."""
    return json.dumps({"file_sha256": file_sha256, **meta}, indent=2, allow_nan=False) + "\n"


def io_descriptors(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Isaac Lab exports with a policy: each term's names and shapes, the robot's joints, the time steps."""
    joints, timing = meta["joints"], meta["timing"]
    actions = [
        {
            "action_type": _ACTION_TYPES[term["kind"]],
            "clip": term["clip"],
            "dtype": "torch.float32",
            "extras": {"unit": term["unit"]},
            "full_path": f"myriad.{meta['task']['name']}.{term['name']}",
            "joint_names": term["joint_names"],
            "mdp_type": "Action",
            "name": term["name"],
            "offset": term["offset"],
            "scale": term["scale"],
            "shape": [len(term["joint_names"])],
        }
        for term in meta["actions"]["terms"]
    ]
    observations = []
    for term in meta["observations"]["terms"]:
        described = {
            "dtype": "torch.float32",
            "extras": {"unit": term["unit"], "frame": term["frame"], "offset": term["offset"]},
            "full_path": f"myriad.{meta['task']['name']}.{term['name']}",
            "mdp_type": "Observation",
            "name": term["name"],
            "observation_type": term["source"] or "unknown",
            "overloads": {"clip": None, "scale": term["scale"], "history_length": 0, "flatten_history_dim": True},
            "shape": [term["slice"][1] - term["slice"][0]],
        }
        if term["joint_names"]:
            described["joint_names"] = term["joint_names"]
        if term["body_names"]:
            described["body_names"] = term["body_names"]
        observations.append(described)
    robot = {
        "joint_names": joints["names"],
        "default_joint_pos": joints["default_position"],
        "default_joint_vel": joints["default_velocity"],
        "default_joint_pos_limits": [
            [-math.inf if low is None else low, math.inf if high is None else high]
            for low, high in joints["position_limits"]
        ],
        "default_joint_stiffness": joints["stiffness"],
        "default_joint_damping": joints["damping"],
        "default_joint_armature": joints["armature"],
    }
    scene = {"decimation": timing["decimation"], "dt": timing["control_dt"], "physics_dt": timing["physics_dt"]}
    return {
        "actions": actions,
        "articulations": {"robot": robot},
        "observations": {"policy": observations},
        "scene": scene,
    }


def env_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Isaac Sim's policy examples read: steps, start of the robot, and its drives by joint name."""
    joints, timing, pose = meta["joints"], meta["timing"], meta["initial_pose"]

    def by_name(key: str) -> dict[str, Any]:
        values = [math.inf if value is None else value for value in joints[key]]
        return dict(zip(joints["names"], values, strict=True))

    actuators = {
        "all": {
            "class_type": "ImplicitActuator",
            "joint_names_expr": joints["names"],
            "effort_limit": by_name("effort_limit"),
            "velocity_limit": by_name("velocity_limit"),
            "stiffness": by_name("stiffness"),
            "damping": by_name("damping"),
            "armature": by_name("armature"),
        }
    }
    robot = {
        "init_state": {
            "pos": pose["position"],
            "rot": pose["orientation"],
            "lin_vel": pose["velocity"][:3],
            "ang_vel": pose["velocity"][3:],
            "joint_pos": by_name("default_position"),
            "joint_vel": by_name("default_velocity"),
        },
        "actuators": actuators,
    }
    sim = {
        "dt": timing["physics_dt"],
        "render_interval": timing["decimation"],
        "gravity": meta["conventions"]["gravity"],
    }
    return {"sim": sim, "decimation": timing["decimation"], "scene": {"robot": robot}}


def deploy_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Unitree's controllers read; `joint_ids_map` is the identity, to be changed to the robot's order.

    Their observations are quantity * scale; an offset other than a joint's default position is given in `params`.
    """
    joints = meta["joints"]
    actions = {
        _ACTION_TYPES[term["kind"]]: {
            "clip": None if term["clip"] is None else [term["clip"]] * len(term["joint_names"]),
            "joint_names": term["joint_names"],
            "scale": term["scale"],
            "offset": term["offset"],
            "joint_ids": [joints["names"].index(name) for name in term["joint_names"]],
        }
        for term in meta["actions"]["terms"]
    }
    observations = {}
    for term in meta["observations"]["terms"]:
        params: dict[str, Any] = {"source": term["source"]}
        if term["joint_names"]:
            params["joint_ids"] = [joints["names"].index(name) for name in term["joint_names"]]
        if any(term["offset"] or ()):
            params["offset"] = term["offset"]
        observations[term["name"]] = {"params": params, "clip": None, "scale": term["scale"], "history_length": 1}
    return {
        "joint_ids_map": list(range(len(joints["names"]))),
        "step_dt": meta["timing"]["control_dt"],
        "stiffness": joints["stiffness"],
        "damping": joints["damping"],
        "default_joint_pos": joints["default_position"],
        "commands": {},
        "actions": actions,
        "observations": observations,
    }


def _yaml(value: dict[str, Any]) -> str:
    # Copied through JSON, so that lists used twice are not written as YAML references, which few readers follow.
    return yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False, default_flow_style=None, width=120)
