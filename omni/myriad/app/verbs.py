# SPDX-License-Identifier: Apache-2.0
"""What the verbs of the command line do with their arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omni.myriad.app import cli
from omni.myriad.errors import MyriadError
from omni.myriad.places import ROOT


def run_task(verb: str, arguments: Sequence[str]) -> None:
    """Train a task, or play or export what was trained; `train test=True` plays."""

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.app import runs

        does = {"train": runs.train, "play": runs.play, "export": runs.export}
        does["play" if config["test"] else verb](config)

    cli.run(verb, run, arguments)


def deploy(arguments: Sequence[str]) -> None:
    """Run an exported policy outside its trainer; its settings are its file's."""
    engines = [text.partition("=")[2] for text in arguments if text.startswith("engine=")]
    others = [text for text in arguments if not text.startswith("engine=")]
    files = [text for text in others if "=" not in text and not text.startswith("-")]
    settings = [text for text in others if text not in files]

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.deploy.deployment import deploy

        if len(files) != 1:
            raise MyriadError("Give one policy: ./myriad deploy policy.onnx. ./myriad export writes such a file.")
        deploy(config, Path(files[0]).expanduser(), engines[-1] if engines else "physx")

    cli.run("deploy", run, ["engine=physx", *settings])


def benchmark(arguments: Sequence[str]) -> None:
    """Measure how fast this machine steps, trains and starts, or put results together."""
    from omni.myriad.benchmark.options import split

    ours, settings = split(arguments)

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.benchmark import suite

        suite.run(config, ours, settings)

    cli.run("benchmark", run, settings)


def port(arguments: Sequence[str]) -> int:
    """Say what would change for task files of OmniIsaacGymEnvs that are to become some of ours."""
    from omni.myriad.oige.port import report

    if not arguments:
        print("Give a file: ./myriad port omniisaacgymenvs/tasks/cartpole.py", file=sys.stderr)
        return cli.EXIT_BAD_INPUT
    try:
        print("\n".join(report(Path(argument)) for argument in arguments))
    except MyriadError as error:
        print(f"Error: {error}", file=sys.stderr)
        return cli.EXIT_BAD_INPUT
    return 0


def test(arguments: Sequence[str]) -> None:
    """Become pytest, in the checkout, where its configuration is."""
    os.chdir(ROOT)
    for name in ("MYRIAD_EXIT_CODE", "PYTHONSAFEPATH"):  # what the launcher told us, and not those that tests start
        os.environ.pop(name, None)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
