# SPDX-License-Identifier: Apache-2.0
"""What the containers' files promise each other. No image is built here."""

import re

import yaml

from omni.myriad.places import ROOT


def test_isaac_sims_volumes_are_mounted_where_its_user_made_folders():
    # Docker gives a new volume the owner of the image's folder, and root's where there is none.
    services = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
    dockerfile = (ROOT / "docker/isaacsim.Dockerfile").read_text()
    by_user = dockerfile.partition("\nUSER 1234\n")[2]
    made = re.search(r"^RUN mkdir -p (.*)$", by_user, re.MULTILINE)
    assert made
    home = "/isaac-sim/omni.myriad"
    folders = {folder if folder.startswith("/") else f"{home}/{folder}" for folder in made[1].split()}
    assert {volume.split(":")[1] for volume in services["isaacsim"]["volumes"]} == folders
    assert services["isaacsim"]["user"].startswith("1234:")


def test_nothing_is_writable_for_everybody_and_no_license_is_accepted_for_anybody():
    files = [ROOT / "myriad", *(ROOT / "docker").iterdir(), *(ROOT / ".github/workflows").iterdir()]
    for file in files:
        text = file.read_text()
        assert not re.search(r"chmod .*(a\+|o\+|777)[^\n]*runs", text), file
        given = r"(?<![{$A-Z_.])(?:OMNI_KIT_)?ACCEPT_EULA[:=] *\"?([^\n]*)"
        for value in re.findall(given, re.sub(r"(?m)^ *#.*$", "", text)):
            assert value.startswith("${"), f"{file}: {value}"


def test_each_built_version_of_isaac_sim_has_its_constraints():
    workflow = (ROOT / ".github/workflows/gpu.yml").read_text()
    built = re.findall(r'"(\d+\.\d+\.\d+)"', workflow.partition("version: [")[2].partition("]")[0])
    assert built
    for version in built:
        assert (ROOT / f"constraints/isaacsim-{version.rpartition('.')[0]}.txt").is_file()


def test_isaac_sims_image_is_built_without_a_gpu_and_without_what_lies_about():
    lines = (ROOT / "docker/isaacsim.Dockerfile").read_text().splitlines()
    commands = [line for line in lines if not line.startswith(("#", "ENTRYPOINT"))]
    assert not [line for line in commands if "vulkan_check" in line or "python.sh" in line], "which look for a GPU"
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv*", "runs", "**/.env"} <= set(ignored)


def test_isaac_sim_comes_from_the_package_index_only_where_its_licence_was_accepted():
    job = yaml.safe_load((ROOT / ".github/workflows/gpu.yml").read_text())["jobs"]["isaacsim-pip"]
    assert "vars.OMNI_KIT_ACCEPT_EULA == 'yes'" in job["if"] and "||" not in job["if"]
    assert [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")] == [
        "3.12"
    ]
    installs = [step["run"] for step in job["steps"] if "pip install" in step.get("run", "")]
    assert len(installs) == 1 and "constraints/isaacsim-6.0.txt" in installs[0] and ".[isaacsim," in installs[0]
