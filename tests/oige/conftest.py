# SPDX-License-Identifier: Apache-2.0
"""What the tests share: a checkout of the tests' own, and real ones where MYRIAD_OIGE names one."""

import os
import sys
from pathlib import Path

import physx_usd_schemas.PhysxSchema  # noqa: F401  registers schemas, which must come before any test's first stage
import pytest

from omni.myriad.oige import PACKAGE


@pytest.fixture(autouse=True)
def no_aliases_afterwards():
    """Take the answers to imports back, and what was imported by them."""
    finders, modules = [*sys.meta_path], {*sys.modules}
    yield
    sys.meta_path[:] = finders
    for name in {*sys.modules} - modules:
        if name.split(".")[0] in (PACKAGE, "carb", "gym") or name.startswith(("omni.isaac", "omni.usd", "omni.kit")):
            del sys.modules[name]


@pytest.fixture
def checkout():
    """Return the folder of the tests' own checkout."""
    return Path(__file__).parent / "checkout"


@pytest.fixture
def real_checkout():
    """Return the folder of OmniIsaacGymEnvs itself."""
    folder = os.environ.get("MYRIAD_OIGE")
    if not folder:
        pytest.skip("MYRIAD_OIGE names no checkout of OmniIsaacGymEnvs")
    return folder
