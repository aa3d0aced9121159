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

_TRAIN = """
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
_PLAY = """
Play a trained policy:  ./myriad play task=Ant [checkpoint=FILE] [key=value ...]

  task=Ant                 the task it was trained for
  checkpoint=FILE          a checkpoint, or the name of a run; empty: the task's last run
  episodes=100             episodes to play
  num_envs=64              environments to play them in
  seed=42                  seed of their starts
  sim_device=cpu           cpu, cuda, cuda:<n>; empty: the GPU if there is one
"""
_EXPORT = """
Export a trained policy as one ONNX file:  ./myriad export task=Ant [checkpoint=FILE] [key=value ...]

  task=Ant                 the task it was trained for; task.task_path=[folder] for tasks of your own
  checkpoint=FILE          a checkpoint, or the name of a run; empty: the task's last run
  output=policy.onnx       the file to write; empty: exported/policy.onnx in the run's folder
  opset=17                 ONNX operator set, 9 to 23
  sim_device=cpu           where the task is run, if the run's folder lacks what the proof needs

All other settings are the run's own. The file is written only if it acts as the policy in the checkpoint does.
"""
_EXPORT_KEYS = ("task", "checkpoint", "output", "opset", "sim_device", "engine", "train_dir", "task.task_path")

_DEPLOY = """
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
_DEPLOY_KEYS = ("episodes", "seed", "video", "checkpoint", "train_dir", "task.task_path")

_BENCHMARK = """
Measure:  ./myriad benchmark task=Ant num_envs=4096,16384 [key=value ...]

  num_envs=4096,16384      numbers of environments, each measured for itself
  measure=floor,env,...    any of floor (a bare PhysX loop), env (Myriad's environments, random actions),
                           train (everything included), startup, peers, reward; all; by default all but reward
  peers=rl_games,...       any of rl_games, rl_games_compiled, mujoco_warp, gymnasium, mjlab; those not installed are
                           listed as such
  reward=3000,5900         measure=reward trains until these mean rewards, once for each of
  seeds=1,2,3,4,5          these seeds, with the first num_envs
  repeats=5 seconds=1      windows that are measured, and their length
  epochs=50                epochs of training that are measured, a fifth of them to warm up
  minutes=8                what does not fit is left out, and listed
  output=FOLDER name=NAME  where NAME.json, its plots and logs go; results that are there already are added to

  merge=a.json,b.json      put results of several commands together instead of measuring
  render=docs/benchmarks.md  write the tables of a page anew from the results in docs/benchmarks/

Every setting of a run can be given as well: engine=physx engine.shards=4 sim_device=cpu
"""


def train(arguments: Sequence[str]) -> None:
    """Train, or play when `test=True`."""

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.app import runs

        if config["test"]:
            runs.play(config)
        else:
            runs.train(config)

    cli.run(run, _TRAIN, arguments)


def play(arguments: Sequence[str]) -> None:
    """Play a trained policy and report reward and length of its episodes."""

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.app import runs

        runs.play(config)

    cli.run(run, _PLAY, arguments)


def export(arguments: Sequence[str]) -> None:
    """Export a trained policy, refusing settings that its run has decided already."""

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.app import runs

        _refuse_others(arguments, _EXPORT_KEYS, "export takes a policy's settings from its run; it understands ")
        runs.export(config)

    cli.run(run, _EXPORT, arguments)


def deploy(arguments: Sequence[str]) -> None:
    """Run an exported policy outside its trainer, refusing settings that its file has decided already."""
    engines = [text.partition("=")[2] for text in arguments if text.startswith("engine=")]
    others = [text for text in arguments if not text.startswith("engine=")]
    files = [text for text in others if "=" not in text and not text.startswith("-")]
    settings = [text for text in others if text not in files]

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.deploy.deployment import deploy

        if len(files) != 1:
            raise MyriadError("Give one policy: ./myriad deploy policy.onnx. ./myriad export writes such a file.")
        takes = "deploy takes a policy's settings from its file; it understands engine, "
        _refuse_others(settings, _DEPLOY_KEYS, takes)
        deploy(config, Path(files[0]).expanduser(), engines[-1] if engines else "physx")

    cli.run(run, _DEPLOY, ["engine=physx", *settings])


def _refuse_others(settings: Sequence[str], keys: Sequence[str], why: str) -> None:
    for text in settings:
        if text.partition("=")[0] not in keys:
            raise MyriadError(f"{text}: {why}{', '.join(keys)}.")


def benchmark(arguments: Sequence[str]) -> None:
    """Measure how fast this machine steps, trains and starts, or put results together."""
    from omni.myriad.benchmark.options import split

    ours, settings = split(arguments)

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.benchmark import suite

        suite.run(config, ours, settings)

    cli.run(run, _BENCHMARK, settings)


def test(arguments: Sequence[str]) -> None:
    """Become pytest, in the checkout, where its configuration is."""
    os.chdir(ROOT)
    for name in ("MYRIAD_EXIT_CODE", "PYTHONSAFEPATH"):  # what the launcher told us, and not those that tests start
        os.environ.pop(name, None)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])
