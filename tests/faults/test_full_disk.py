# SPDX-License-Identifier: Apache-2.0
"""A disk that fills up under every writer: one line, the old file stays, nothing half-written is left.

The disk is a small tmpfs where this user may mount one in a namespace of its own, and everywhere a limit of the system
on a file's size, which writers meet in the same calls.
"""

import json
import resource
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import pytest

from omni.myriad.learn import checkpoint

ROOT = Path(__file__).resolve().parents[2]
IN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
ON_TMPFS = [*IN_NAMESPACE, "sh", "-c", 'mount -t tmpfs -o "size=$0" none "$1" && cd "$1" && shift && "$@"']


@cache
def may_mount():
    try:
        return subprocess.run([*ON_TMPFS, "16k", "/tmp", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


WAYS = ["file size limit", *(["tmpfs"] if may_mount() else [])]

SCRIPT = """
import json, os, resource, subprocess, sys, traceback
from pathlib import Path
import numpy as np
import torch
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_json
from omni.myriad.learn import checkpoint
from omni.myriad.learn.base import Epoch
from omni.myriad.learn.record.recorder import Recorder, draw_curve
from omni.myriad.policy import export, recording

way, base = sys.argv[1], Path(sys.argv[2])
ROOM = 8192
STATE = {"model": {}, "myriad": {"format": checkpoint.FORMAT}}
noise = torch.rand(16384)

def record(folder):
    recorder = Recorder(folder)
    try:
        for number in range(2000):
            recorder(Epoch(epoch=number + 1, frames=number, reward_mean=1.0))
    finally:
        try:
            recorder.close({"task": "T", "num_envs": 1, "status": "failed"})
        except MyriadError:
            pass

def film(folder):
    from pxr import Usd, UsdGeom
    from omni.myriad.render.video import film_robot
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Xform.Define(stage, "/World/envs/env_0/ball")
    UsdGeom.Sphere.Define(stage, "/World/envs/env_0/ball/shape").CreateRadiusAttr(0.5)
    poses = [np.array([[0.1 * i, 0.0, 0.5]]) for i in range(120)]
    film_robot(stage, ["ball"], poses, [np.array([[1.0, 0.0, 0.0, 0.0]])] * 120, 1 / 60, folder / "film")

WRITERS = {
    "last.pth": lambda folder: checkpoint.save(folder / "last.pth", STATE | {"more": noise}),
    "summary.json": lambda folder: write_json(folder / "summary.json", noise.tolist()),
    "observations.npz": lambda folder: recording.Recording(
        {"obs": noise.reshape(128, 4, 32).numpy()}, np.zeros((128, 4), bool)
    ).save(folder / "observations.npz"),
    "curve.png": lambda folder: draw_curve(folder / "curve.png", [(i, i, float(noise[i])) for i in range(999)], "T"),
    "record": record,
    "policy.onnx": lambda folder: export._write(folder / "policy.onnx", noise.numpy().tobytes(), {}),
    "film.mp4": film,
}
if sys.argv[4] == "film":
    film(base)  # what is made at the first use is made
else:
    del WRITERS["film.mp4"]
found = {}
for name, write in WRITERS.items():
    folder = base / f"of {name}"
    folder.mkdir()
    if way == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", folder], check=True)
    old = folder / name
    if name == "last.pth":
        checkpoint.save(old, STATE)
    elif name != "record":
        old.write_bytes(b"old")
    before = old.read_bytes() if old.exists() else b""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    if way == "tmpfs":
        left = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize
        (folder / "filler").write_bytes(bytes(left - ROOM))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limits[1]))
    try:
        write(folder)
        outcome = "written"
    except MyriadError as error:
        outcome = str(error)
    except BaseException:
        outcome = traceback.format_exc()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    files = sorted(path.name for path in folder.iterdir() if path.name != "filler")
    same = not before or (old.is_file() and old.read_bytes() == before)
    found[name] = {"outcome": outcome, "old stays": same, "files": files}
Path(sys.argv[3]).write_text(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("way", "films"),
    [*((way, False) for way in WAYS), pytest.param(WAYS[-1], True, marks=pytest.mark.nightly)],
)
def test_every_writer_ends_in_one_line_and_leaves_the_old_file(tmp_path, way, films):
    # A film takes its time; one that meets a limit on its size is in tests/render/test_video.py.
    (tmp_path / "disks").mkdir()
    prefix = IN_NAMESPACE if way == "tmpfs" else []
    command = [*prefix, sys.executable, "-c", SCRIPT, way, str(tmp_path / "disks"), str(tmp_path / "found.json")]
    command.append("film" if films else "no film")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found) == 6 + films
    for name, what in found.items():
        said = what["outcome"]
        assert "cannot be written: " in said and "\n" not in said, f"{name}: {said}"
        assert what["old stays"], name
        own = {name} if name != "record" else {"progress.csv", "report.html", "summaries", "summary.json"}
        assert set(what["files"]) <= own, f"{name} left {what['files']}"
        if way == "tmpfs" and name != "film.mp4":  # what ffmpeg met, it does not hand on
            assert "No space left on device" in said


@pytest.mark.parametrize("way", WAYS)
def test_training_ends_in_one_line_with_the_last_good_checkpoint_kept(tmp_path, way):
    disk = tmp_path / "disk"
    disk.mkdir()
    train = [sys.executable, str(ROOT / "train.py"), "task=Cartpole", "sim_device=cpu", "num_envs=32", "experiment=run"]
    train += ["max_iterations=1000", f"save_every={1 if way == 'tmpfs' else 10}"]
    options = {"cwd": disk}
    if way == "tmpfs":
        # What is mounted there goes with the process: its files are copied out first.
        keep = f'{" ".join(train)}; code=$?; rm -f filler; cp -a . "{tmp_path}/kept"; exit $code'
        train = [*ON_TMPFS, "500k", str(disk), "sh", "-c", keep]
    else:
        limits = (80_000, 80_000)  # a checkpoint has 62 kB, and what TensorBoard reads grows
        options["preexec_fn"] = partial(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
    done = subprocess.run(train, capture_output=True, text=True, timeout=300, **options)
    run = (tmp_path / "kept" if way == "tmpfs" else disk) / "runs" / "run"
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and "cannot be written: " in lines[0]
    assert checkpoint.load(run / "checkpoints" / "last.pth")["epoch"] >= 1
    assert not [path for path in run.rglob("*") if path.is_file() and not path.stat().st_size and path.name != ".lock"]
    assert not list(run.rglob("*.unfinished"))
