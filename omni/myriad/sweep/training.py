# SPDX-License-Identifier: Apache-2.0
"""One training of a sweep: `./myriad train` in a process of its own and a run folder below the sweep's. Knows no Ray.

The folder is all that is known of a training: `trial.json` says what it tries and where it came from, `progress.csv`
how it went. So whoever finds a training that was killed goes on with it, on whatever machine.
"""

from __future__ import annotations

import csv
import ctypes
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json
from omni.myriad.places import child_environment
from omni.myriad.sweep.space import as_settings

STOP = "stop"
"""File in the sweep's folder that tells all trainings to save and end."""

_LOOK_SECONDS = 0.2
_SAVE_SECONDS = 60.0  # that a training has to save when it is stopped
_RESTARTS = 3  # of a training that something killed
_PR_SET_PDEATHSIG = 1  # of Linux' prctl: the signal that a process gets when its parent has died


@dataclass
class About:
    """What a run's `trial.json` says.

    Attributes:
        trial: Ray's name of the trial; all runs of one trial follow each other.
        settings: What this run tries, by the keys of settings, the seed among them.
        parent: Name of the folder whose checkpoint it began with, empty where it began from nothing.
        parent_epoch: The epoch of that checkpoint.
        checkpoint: That checkpoint's file.
        failed: What went wrong, in one line.
    """

    trial: str
    settings: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    parent_epoch: int = 0
    checkpoint: str = ""
    failed: str = ""


def runs(sweep: Path) -> Iterator[tuple[Path, About]]:
    """Yield the folders of a sweep's runs, in the order in which they began, and what they say of themselves."""
    for file in sorted(sweep.glob("[0-9]*/trial.json")):
        yield file.parent, About(**json.loads(file.read_text()))


def read_progress(folder: Path) -> list[dict[str, float]]:
    """Return the epochs of a run that its progress.csv tells of, as numbers by name; empty ones are left out."""
    file = folder / "progress.csv"
    return _rows(file.read_text(), None)[1] if file.exists() else []


def _rows(text: str, header: list[str] | None) -> tuple[list[str] | None, list[dict[str, float]]]:
    found = []
    for row in csv.reader(io.StringIO(text)):
        if header is None:
            header = row
        elif len(row) == len(header):
            found.append({name: float(value) for name, value in zip(header, row, strict=True) if value})
    return header, found


class Training:
    """A training's process, and how far it is.

    Args:
        sweep: The sweep's folder.
        trial: Ray's name of the trial.
        settings: What it tries.
        common: The settings that all trainings of the sweep share.
        directory: The folder that paths in settings are relative to.
        checkpoint: File of the checkpoint that the trial shall be at, whose run may be another trial's; empty: it stays
            where its run is.
    """

    def __init__(
        self,
        sweep: Path,
        trial: str,
        settings: Mapping[str, Any],
        common: Sequence[str],
        directory: str,
        checkpoint: str = "",
    ) -> None:
        self.sweep, self.common, self.directory = sweep, common, directory
        self.folder, self.about = _own_folder(sweep, trial, dict(settings), checkpoint)
        self._checkpoint = checkpoint
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts = 0
        self._seen = _epoch(checkpoint) if checkpoint else 0  # epochs
        self._stale: int | None = None  # progress.csv of before: its inode
        self._file: io.FileIO | None = None
        self._header: list[str] | None = None

    # -- following it -------------------------------------------------------------------------------------------------

    def epochs(self) -> Iterator[dict[str, float]]:
        """Train, and yield what progress.csv says of each epoch, to the end.

        Raises:
            MyriadError: If training went wrong, in its words.
            KeyboardInterrupt: If the sweep is told to stop, after everything was saved.
        """
        if self._is_finished():
            yield from read_progress(self.folder)[-1:]
            return
        self._start()
        while True:
            process = self._process
            assert process is not None
            code = process.poll()
            yield from self._new_rows()
            if code == 0:
                return
            if (self.sweep / STOP).exists():
                self.stop()
                raise KeyboardInterrupt
            if code is not None and self._is_killed(code) and self._restarts < _RESTARTS:
                self._restarts += 1
                self._start()
            elif code is not None:
                self.about.failed = self._last_words(code)
                write_json(self.folder / "trial.json", asdict(self.about))
                raise MyriadError(self.about.failed)
            else:
                time.sleep(_LOOK_SECONDS)

    def wait_for(self, file: Path) -> bool:
        """Wait until the process has written a file; False where it ends without."""
        while not file.exists():
            if self._process is None or self._process.poll() is not None:
                return file.exists()
            time.sleep(_LOOK_SECONDS)
        return True

    def _new_rows(self) -> Iterator[dict[str, float]]:
        path = self.folder / "progress.csv"
        inode = _inode(path)
        if inode in (None, self._stale):  # a run that goes on writes a new one, without what came after its checkpoint
            return
        if self._file is None or os.fstat(self._file.fileno()).st_ino != inode:
            self._close()
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - followed as long as it grows
        position = self._file.tell()
        text = self._file.read()
        whole = text.rfind(b"\n") + 1
        self._file.seek(position + whole)
        self._header, rows = _rows(text[:whole].decode(), self._header)
        for row in rows:
            if row["epoch"] > self._seen:
                self._seen = int(row["epoch"])
                yield row

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._header = None

    # -- its process --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start the process where the run was left; nothing outlives us."""
        own = self.folder / "checkpoints"
        start, last = Path(self._checkpoint or own / "last.pth"), own / "last.pth"
        if start.parent != own and last.exists():
            start = last  # it has gone on from there before
        self._checkpoint = ""  # should it be killed, it goes on with what it has written itself
        resume = {"checkpoint": str(start)} if start.exists() else {}
        where = {"train_dir": str(self.sweep), "experiment": self.folder.name}
        settings = [*self.common, *as_settings(self.about.settings | where | resume)]
        libc = ctypes.CDLL(None)

        def before() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Ray's processes hear less than it shall
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        self._close()
        self._stale = _inode(self.folder / "progress.csv")
        with open(self.folder / "console.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "omni.myriad", "train", *settings],
                cwd=self.directory,
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=before,
            )

    def stop(self) -> None:
        """Let the process save and end, if it runs."""
        self._close()
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_SAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_finished(self) -> bool:
        file = self.folder / "summary.json"
        return not self._checkpoint and file.exists() and json.loads(file.read_text())["status"] == "finished"

    @staticmethod
    def _is_killed(code: int) -> bool:
        return code < 0 or code > 128

    def _last_words(self, code: int) -> str:
        text = (self.folder / "console.log").read_text(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if line.startswith("Error:")), lines[-1] if lines else "")
        return f"{said.removeprefix('Error: ')} (exit code {code}, see {self.folder / 'console.log'})"


def _own_folder(sweep: Path, trial: str, settings: dict[str, Any], checkpoint: str) -> tuple[Path, About]:
    """Return the folder of the run that a trial is at, made if it is a new one, and what it says of itself.

    A trial that is to go on with another's checkpoint gets a new run: what it did before stays as it was.
    """
    mine = [(folder, about) for folder, about in runs(sweep) if about.trial == trial]
    source = Path(checkpoint).parent.parent if checkpoint else None
    for folder, about in reversed(mine):
        if source in (None, folder) or (about.checkpoint == checkpoint and about.settings == settings):
            return folder, about
    about = About(trial, settings)
    if source:
        about = About(trial, settings, source.name, _epoch(checkpoint), checkpoint)
    number = len([*sweep.glob("[0-9]*")])
    while True:
        folder = sweep / f"{number:03}"
        try:
            folder.mkdir()
        except FileExistsError:  # another trial's, which begins just now
            number += 1
            continue
        write_json(folder / "trial.json", asdict(about))
        return folder, about


def _epoch(checkpoint: str) -> int:
    return int(Path(checkpoint).stem.removeprefix("epoch_"))


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
