# SPDX-License-Identifier: Apache-2.0
"""What a sweep does, as its folder's `sweep.json` keeps it for trials elsewhere, for reports and for resuming."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json
from omni.myriad.sweep.space import Range, Space

FILE_NAME = "sweep.json"


@dataclass(frozen=True)
class Plan:
    """What `./myriad sweep` was asked for, checked.

    Attributes:
        task: The task's name.
        settings: The settings of all trainings, as on the command line.
        space: What is tried, by the keys of settings.
        options: The sweep's own settings, by name.
        epochs: Epochs after which a training ends, 0 where only frames end it.
        frames: Environment steps after which it ends, 0 where only epochs do.
        epoch_frames: Environment steps of an epoch with the common settings, on this machine.
        directory: The folder that the command was given in.
        command: That command.
    """

    task: str
    settings: list[str]
    space: Space
    options: dict[str, Any]
    epochs: int
    frames: int
    epoch_frames: int
    directory: str
    command: str

    @property
    def report_every(self) -> int:
        """Return the epochs between two results of a trial: what stops or mutates it is decided then."""
        percent = self.options["exploit_every"] if self.options["search"] == "pbt" else 2.0
        limits = [limit for limit in (self.epochs, self.frames // self.epoch_frames) if limit]
        return max(1, round(min(limits, default=1) * percent / 100))

    def percent(self, epoch: float, frames: float) -> float:
        """Return how much of a training is done."""
        parts = [done / limit for done, limit in ((epoch, self.epochs), (frames, self.frames)) if limit]
        return 100.0 * min(1.0, max(parts))

    def write(self, folder: Path) -> None:
        """Write it down."""
        space = {key: asdict(one) if isinstance(one, Range) else one for key, one in self.space.items()}
        write_json(folder / FILE_NAME, asdict(self) | {"space": space})

    @staticmethod
    def read(folder: Path) -> Plan:
        """Return the plan of a sweep.

        Raises:
            MyriadError: If the folder holds none that can be read.
        """
        try:
            values = json.loads((folder / FILE_NAME).read_text())
            space = {key: Range(**one) if isinstance(one, dict) else one for key, one in values["space"].items()}
            return Plan(**values | {"space": space})
        except FileNotFoundError:
            raise MyriadError(f"{folder} holds no sweep: expected {folder / FILE_NAME}.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MyriadError(f"{folder / FILE_NAME} cannot be read: {error}.") from None
