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
    files = {"IO_descriptors.yaml": io_descriptors, "env.yaml": env_config, "deploy.yaml": deploy_config}
    # Copied through JSON, so that lists used twice are not written as YAML references, which few readers follow.
    plain = {name: json.loads(json.dumps(describe(meta))) for name, describe in files.items()}
    style: dict[str, Any] = {"sort_keys": False, "default_flow_style": None, "width": 120}
    return {name: yaml.safe_dump(value, **style) for name, value in plain.items()}


def _action_type(term: Mapping[str, Any]) -> str:
    """Return the class of an action there; what is cumulative, smoothed or a switch has none, and none that fits."""
    special = "Cumulative" if term["cumulative"] else "Switch" if term["switch"] else ""
    special = "Smoothed" if term["share"] < 1.0 else special
    return special + _ACTION_TYPES[term["kind"]]


def io_descriptors(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Isaac Lab exports with a policy: each term's names and shapes, the robot's joints, the time steps."""
    joints, timing = meta["joints"], meta["timing"]

    def described(term: Mapping[str, Any], kind: str, *extras: str) -> dict[str, Any]:
        path = f"myriad.{meta['task']['name']}.{term['name']}"
        more = {key: term[key] for key in ("unit", *extras)}
        return {"dtype": "torch.float32", "extras": more, "full_path": path, "mdp_type": kind, "name": term["name"]}

    actions = [
        {
            **described(term, "Action"),
            "action_type": _action_type(term),
            **{key: term[key] for key in ("clip", "joint_names", "offset", "scale")},
            "shape": [term["slice"][1] - term["slice"][0]],
        }
        for term in meta["actions"]["terms"]
    ]
    observations = [
        {
            **described(term, "Observation", "frame", "offset"),
            "observation_type": term["source"] or "unknown",
            "overloads": {"clip": None, "scale": term["scale"], "history_length": 0, "flatten_history_dim": True},
            "shape": [term["slice"][1] - term["slice"][0]],
            **{key: term[key] for key in ("joint_names", "body_names") if term[key]},
        }
        for term in meta["observations"]["terms"]
    ]
    robot = {
        "joint_names": joints["names"],
        "default_joint_pos": joints["default_position"],
        "default_joint_vel": joints["default_velocity"],
        "default_joint_pos_limits": [[_or(-math.inf, low), _or(math.inf, up)] for low, up in joints["position_limits"]],
        **{f"default_joint_{key}": joints[key] for key in ("stiffness", "damping", "armature")},
    }
    scene = {"decimation": timing["decimation"], "dt": timing["control_dt"], "physics_dt": timing["physics_dt"]}
    robots, policy = {"robot": robot}, {"policy": observations}
    return {"actions": actions, "articulations": robots, "observations": policy, "scene": scene}


def _or(infinity: float, value: float | None) -> float:
    return infinity if value is None else value


def env_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Isaac Sim's policy examples read: steps, start of the robot, and its drives by joint name."""
    joints, timing, pose = meta["joints"], meta["timing"], meta["initial_pose"]

    def by_name(key: str) -> dict[str, float]:
        return {name: _or(math.inf, value) for name, value in zip(joints["names"], joints[key], strict=True)}

    limits_and_gains = ("effort_limit", "velocity_limit", "stiffness", "damping", "armature")
    actuators = {"class_type": "ImplicitActuator", "joint_names_expr": joints["names"]}
    start = {
        "pos": pose["position"],
        "rot": pose["orientation"],
        "lin_vel": pose["velocity"][:3],
        "ang_vel": pose["velocity"][3:],
        "joint_pos": by_name("default_position"),
        "joint_vel": by_name("default_velocity"),
    }
    robot = {"init_state": start, "actuators": {"all": actuators | {key: by_name(key) for key in limits_and_gains}}}
    gravity, decimation = meta["conventions"]["gravity"], timing["decimation"]
    sim = {"dt": timing["physics_dt"], "render_interval": decimation, "gravity": gravity}
    return {"sim": sim, "decimation": decimation, "scene": {"robot": robot}}


def deploy_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Unitree's controllers read; `joint_ids_map` is the identity, to be changed to the robot's order.

    Their observations are quantity * scale; an offset other than a joint's default position is given in `params`.
    """
    joints = meta["joints"]

    def ids(term: Mapping[str, Any]) -> list[int]:
        return [joints["names"].index(name) for name in term["joint_names"] if name in joints["names"]]

    actions = {
        _action_type(term): {
            "clip": None if term["clip"] is None else [term["clip"]] * len(term["joint_names"]),
            **{key: term[key] for key in ("joint_names", "scale", "offset")},
            "joint_ids": ids(term),
        }
        for term in meta["actions"]["terms"]
    }
    observations = {}
    for term in meta["observations"]["terms"]:
        params = {"source": term["source"]} | ({"joint_ids": ids(term)} if term["joint_names"] else {})
        params |= {"offset": term["offset"]} if any(term["offset"] or ()) else {}
        observations[term["name"]] = {"params": params, "clip": None, "scale": term["scale"], "history_length": 1}
    return {
        "joint_ids_map": list(range(len(joints["names"]))),
        "step_dt": meta["timing"]["control_dt"],
        **{key: joints[key] for key in ("stiffness", "damping")},
        "default_joint_pos": joints["default_position"],
        "commands": {},
        "actions": actions,
        "observations": observations,
    }
