# SPDX-License-Identifier: Apache-2.0
"""One measurement in a process of its own: `python -m omni.myriad.benchmark.child JOB.json`, called by `suite`.

The job says what to measure with which settings and options; the result goes into the file that it names. Bad input
ends as in every entry point: one line, exit code 2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from omni.myriad.app import cli


def main(job: dict[str, Any], config: dict[str, Any]) -> None:
    """Measure as the job says and write the result."""
    import torch

    from omni.myriad.benchmark import machine, measurements
    from omni.myriad.benchmark.options import Options
    from omni.myriad.benchmark.peers import PEERS

    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in job["options"].items()}
    options = Options(**given)
    file = Path(job["result"])
    config |= {"train_dir": str(file.parent), "started": job["started"]}
    peer = PEERS.get(job["measure"])
    measure = peer.measure if peer else measurements.MEASURE[job["measure"]]
    result = measure(config, options) | ({"versions": peer.versions()} if peer else {})
    result["machine"] = machine.describe(torch.device(config["sim_device"]))
    result["num_envs"] = config["task"]["env"]["numEnvs"]
    file.write_text(json.dumps(result))


if __name__ == "__main__":
    task = json.loads(Path(sys.argv[1]).read_text())
    cli.run("benchmark", lambda config: main(task, config), task["settings"])
