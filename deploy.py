# SPDX-License-Identifier: Apache-2.0
"""Run an exported policy outside its trainer: python deploy.py policy.onnx engine=mujoco."""

import sys
from pathlib import Path
from typing import Any

from omni.myriad.app import cli
from omni.myriad.errors import MyriadError

USAGE = """
Run an exported policy outside its trainer:  ./myriad deploy policy.onnx [key=value ...]

  policy.onnx              the file that ./myriad export wrote
  engine=physx             one robot in standalone PhysX; mujoco: the same robot in MuJoCo as well
  episodes=100             episodes in each place, all from the same starts
  seed=42                  seed of the starts
  video=True               a short video of each engine's first episode
  checkpoint=FILE          what the file was exported from; empty: sought in its run
  task.task_path=[folder]  for tasks of your own

Table and videos go to <policy>.deploy/ beside the file. All other settings are the file's own.
"""

KEYS = ("episodes", "seed", "video", "checkpoint", "train_dir", "task.task_path")


def split(argv: list[str]) -> tuple[str, str, list[str]]:
    """Return the file, the engine and the settings among arguments."""
    engines = [text.partition("=")[2] for text in argv if text.startswith("engine=")]
    others = [text for text in argv if not text.startswith("engine=")]
    files = [text for text in others if "=" not in text and not text.startswith("-")]
    settings = [text for text in others if text not in files]
    return (files[0] if len(files) == 1 else ""), (engines[-1] if engines else "physx"), settings


def main(config: dict[str, Any], file: str, engine: str, settings: list[str]) -> None:
    """Deploy, refusing settings that the file has decided already."""
    from omni.myriad.deploy.deployment import deploy

    if not file:
        raise MyriadError("Give one policy: ./myriad deploy policy.onnx. ./myriad export writes such a file.")
    wrong = [text for text in settings if text.partition("=")[0] not in KEYS]
    if wrong:
        raise MyriadError(
            f"{wrong[0]}: deploy takes a policy's settings from its file; it understands engine, {', '.join(KEYS)}."
        )
    deploy(config, Path(file).expanduser(), engine)


if __name__ == "__main__":
    policy_file, engine_name, key_values = split(sys.argv[1:])
    cli.run(lambda config: main(config, policy_file, engine_name, key_values), USAGE, ["engine=physx", *key_values])
