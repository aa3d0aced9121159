# SPDX-License-Identifier: Apache-2.0
"""Measure how fast this machine steps, trains and starts: python benchmark.py task=Ant num_envs=4096,16384."""

import sys
from typing import Any

from omni.myriad.app import cli
from omni.myriad.benchmark.options import split

USAGE = """
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


def main() -> None:
    """Measure, or put results together."""
    ours, settings = split(sys.argv[1:])

    def run(config: dict[str, Any]) -> None:
        from omni.myriad.benchmark import suite

        suite.run(config, ours, settings)

    cli.run(run, USAGE, settings)


if __name__ == "__main__":
    main()
