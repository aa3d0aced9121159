# SPDX-License-Identifier: Apache-2.0
"""Export a trained policy: python export.py task=Ant checkpoint=runs/Ant/checkpoints/best.pth."""

import sys
from typing import Any

from omni.myriad.app import cli
from omni.myriad.errors import MyriadError

USAGE = """
Export a trained policy as one ONNX file:  ./myriad export task=Ant [checkpoint=FILE] [key=value ...]

  task=Ant                 the task it was trained for; task.task_path=[folder] for tasks of your own
  checkpoint=FILE          a checkpoint, or the name of a run; empty: the task's last run
  output=policy.onnx       the file to write; empty: exported/policy.onnx in the run's folder
  opset=17                 ONNX operator set, 9 to 23
  sim_device=cpu           where the task is run, if the run's folder lacks what the proof needs

All other settings are the run's own. The file is written only if it acts as rl-games' player does.
"""

KEYS = ("task", "checkpoint", "output", "opset", "sim_device", "engine", "train_dir", "task.task_path")


def main(config: dict[str, Any]) -> None:
    """Export, refusing settings that the run has decided already."""
    from omni.myriad.app import runs

    others = [text for text in sys.argv[1:] if text.partition("=")[0] not in KEYS]
    if others:
        raise MyriadError(
            f"{others[0]}: export takes a policy's settings from its run; it understands {', '.join(KEYS)}."
        )
    runs.export(config)


if __name__ == "__main__":
    cli.run(main, USAGE)
