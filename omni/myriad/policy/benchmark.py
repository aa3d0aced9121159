# SPDX-License-Identifier: Apache-2.0
"""Describe a policy's file and measure it on one core: python -m omni.myriad.policy.benchmark policy.onnx."""

from __future__ import annotations

import argparse
import json
import sys
import timeit
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from omni.myriad.policy.runtime import Policy, PolicyError


def measure(policy: Policy, runs: int = 10_000) -> dict[str, float]:
    """Return median and 99th percentile of `infer` and, where the file allows it, of `act`, in microseconds."""
    observation = {name: np.zeros(shape, dtype) for name, (shape, dtype) in policy.inputs.items()}
    policy.reset()
    results = percentiles("infer", lambda: policy.infer(observation), runs)
    if policy.can_act:
        joints = np.zeros(len(policy.joint_names), np.float32)
        terms = {name: np.zeros(term["slice"][1] - term["slice"][0]) for name, term in policy.required.items()}
        images = {name: np.zeros(term["shape"], term["dtype"]) for name, term in policy.images.items()}
        results |= percentiles("act", lambda: policy.act(joints, joints, terms, images=images), runs)
    policy.reset()
    return results


def percentiles(name: str, call: Callable[[], Any], runs: int) -> dict[str, float]:
    """Time a call `runs` times, after some to warm up; Python collects its garbage meanwhile, as on a robot."""
    timeit.repeat(call, number=1, repeat=max(1, runs // 20))
    seconds = timeit.repeat(call, "gc.enable()", number=1, repeat=runs)
    p50, p99 = np.percentile(np.array(seconds) * 1e6, (50, 99))
    return {f"{name}_p50_us": float(p50), f"{name}_p99_us": float(p99)}


def main(argv: Sequence[str] | None = None) -> int:
    """Load and test a file, measure it, and say what it observes and commands."""
    parser = argparse.ArgumentParser(prog="python -m omni.myriad.policy.benchmark", description=__doc__)
    parser.add_argument("file", help="the .onnx file")
    parser.add_argument("--runs", type=int, default=10_000, help="how many inferences to measure")
    parser.add_argument("--json", action="store_true", help="print the figures alone, as JSON")
    arguments = parser.parse_args(argv)
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    try:
        policy = Policy(arguments.file)
        report: dict[str, Any] = {"task": policy.metadata["task"]["name"], "control_rate_hz": 1.0 / policy.control_dt}
        report |= {"self_test_error": policy.self_test()} | measure(policy, arguments.runs)
    except PolicyError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(report))
        return 0
    for name, value in report.items():
        print(f"{name:18} {value:.4g}" if isinstance(value, float) else f"{name:18} {value}")
    for term in policy.metadata["observations"]["terms"]:
        given = "given to act()" if term["name"] in policy.required else "from joints and last action"
        print(f"observes {term['slice'][0]:4}:{term['slice'][1]:<4} {term['name']} [{term['unit'] or '-'}] {given}")
    for term in policy.metadata["actions"]["terms"]:
        print(f"commands {term['kind']} of {', '.join(term['joint_names'])} [{term['unit'] or '-'}]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
