# SPDX-License-Identifier: Apache-2.0
"""Train a task: python train.py task=Ant num_envs=4096."""

from typing import Any

from omni.myriad.app import cli

USAGE = """
Train a policy:  ./myriad train task=Ant [key=value ...]

  task=Ant                 what to learn; task.task_path=[folder] adds tasks of your own
  num_envs=4096            environments; empty: the task's number on a GPU, fit for the cores on a CPU
  seed=42                  -1 draws one
  max_iterations=500       epochs
  checkpoint=FILE          resume from a checkpoint
  experiment=NAME          name of the run's folder below runs/
  sim_device=cuda:0        cpu, cuda, cuda:<n>; empty: the GPU if there is one
  wandb_activate=True      log to Weights & Biases
  multi_gpu=True           one process a GPU, started by torchrun

Every setting in cfg/ can be overridden: train.params.config.learning_rate=1e-3 engine.shards=4
"""


def main(config: dict[str, Any]) -> None:
    """Train, or play when `test=True`."""
    from omni.myriad.app import runs

    if config["test"]:
        runs.play(config)
    else:
        runs.train(config)


if __name__ == "__main__":
    cli.run(main, USAGE)
