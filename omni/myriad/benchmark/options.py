# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own part of its command line; the rest are settings of the runs that it measures."""

from __future__ import annotations

from pathlib import Path

from omni.myriad.app import options
from omni.myriad.app.schema import Benchmark as Options
from omni.myriad.errors import MyriadError


def parse(ours: dict[str, str]) -> Options:
    """Check the benchmark's own arguments.

    Raises:
        MyriadError: On an invalid value.
    """
    values = options.values(Options, ours)
    if "num_envs" in values:
        values["num_envs"] = tuple(sorted(set(values["num_envs"])))
    for file in values.get("merge", ()):
        if not Path(file).is_file():
            raise MyriadError(f"merge={file} does not exist: give the .json files of earlier benchmarks.")
    return Options(**values)
