# SPDX-License-Identifier: Apache-2.0
"""Play a trained policy: python play.py task=Ant checkpoint=runs/Ant/checkpoints/best.pth."""

from typing import Any

from omni.myriad.app import cli

USAGE = """
Play a trained policy:  ./myriad play task=Ant [checkpoint=FILE] [key=value ...]

  task=Ant                 the task it was trained for
  checkpoint=FILE          a checkpoint, or the name of a run; empty: the task's last run
  episodes=100             episodes to play
  num_envs=64              environments to play them in
  seed=42                  seed of their starts
  sim_device=cpu           cpu, cuda, cuda:<n>; empty: the GPU if there is one
"""


def main(config: dict[str, Any]) -> None:
    """Play and report reward and length of episodes."""
    from omni.myriad.app import runs

    runs.play(config)


if __name__ == "__main__":
    cli.run(main, USAGE)
