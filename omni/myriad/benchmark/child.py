# SPDX-License-Identifier: Apache-2.0
"""One measurement in a process of its own: `python -m omni.myriad.benchmark.child JOB.json`, called by `suite`.

The job says what to measure with which settings and options; the result goes into the file that it names. Bad input
ends as in every entry point: one line, exit code 2. On several GPUs the process starts one like itself for each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from omni.myriad.app import cli
from omni.myriad.app.launch import run_ranks


def main(job: dict[str, Any], config: dict[str, Any]) -> None:
    """Measure as the job says and write the result."""
    from omni.myriad.benchmark.machine import describe
    from omni.myriad.benchmark.measurements import MEASURE
    from omni.myriad.benchmark.options import Options
    from omni.myriad.benchmark.peers import PEERS
    from omni.myriad.learn import ranks

    if config["multi_gpu"]:
        ranks.join(config["sim_device"])
    speaks = ranks.rank() == 0
    file, peer, options = Path(job["result"]), PEERS.get(job["measure"]), Options(**job["options"])
    config |= {"train_dir": str(file.parent), "started": job["started"]}
    result = (peer.measure if peer else MEASURE[job["measure"]])(config, options)
    if not speaks:
        return
    about = {"machine": describe(config["sim_device"]), "num_envs": config["task"]["env"]["numEnvs"]}
    file.write_text(json.dumps(result | ({"versions": peer.versions()} if peer else {}) | about))


if __name__ == "__main__":
    task = json.loads(Path(sys.argv[1]).read_text())
    if task["gpus"] > 1 and "RANK" not in os.environ:
        sys.exit(run_ranks(task["gpus"], ["-m", "omni.myriad.benchmark.child", sys.argv[1]]))
    settings = [*task["settings"], *(["multi_gpu=True"] if task["gpus"] > 1 else [])]
    cli.run("train", lambda config: main(task, config), settings)
