# SPDX-License-Identifier: Apache-2.0
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from omni.myriad.app import doctor, requirements
from omni.myriad.app.doctor import Fact

ROOT = Path(__file__).resolve().parents[2]


def run_doctor(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "omni.myriad", "doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_real_report_runs_physics_and_exits_accordingly():
    done = run_doctor()
    assert "Traceback" not in done.stdout + done.stderr
    assert re.search(r"✓ +PhysX on cpu +a body fell 1\.2\d+ m", done.stdout), done.stdout
    assert (done.returncode == 0) == ("Training can run." in done.stdout)
    assert (done.returncode == 1) == ("✗" in done.stdout)


def test_arguments_are_refused():
    done = run_doctor("--fix")
    assert (done.returncode, done.stderr) == (2, "doctor takes no arguments, got: --fix\n")


def test_report_imports_no_engine():
    engines = "{'ovphysx', 'ovstage', 'isaacsim', 'pxr'}"
    code = f"import sys; from omni.myriad.app import doctor; doctor.collect(); print({engines} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "set()", done.stderr


def test_probe_falls_as_newton_says():
    outcome = doctor.probe("cpu")
    # g t^2 / 2 after 0.5 s is 1.22625 m; 60 steps of semi-implicit Euler fall 9.81 * 60 * 61 / 2 / 120^2 = 1.24669 m.
    assert outcome["expected_m"] == 1.2263
    assert 1.2253 <= outcome["fall_m"] <= 1.2477
    assert outcome["ok"] is True
    assert outcome["device"] == "cpu"


def test_probe_of_a_device_that_is_not_there_is_an_answer():
    outcome = doctor.probe("cuda:99")
    assert outcome["ok"] is False
    fact = doctor.physx_fact("cuda:99", outcome)
    assert fact.state == "bad"
    assert "probe cuda:99" in fact.fix


def test_probe_that_dies_is_an_answer(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert doctor.probe("cpu") == {"ok": False, "error": "exit code 1: no message"}


def test_wrong_fall_is_bad():
    outcome = {"ok": False, "device": "cpu", "fall_m": 0.0, "expected_m": 1.2263, "seconds": 1.0, "version": "0.7.0"}
    fact = doctor.physx_fact("cuda:0", outcome)
    assert fact.state == "bad"
    assert "0.0 m" in fact.value
    assert fact.value.endswith("on cpu")


def test_missing_libgl_is_bad_and_says_what_helps():
    def load(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    fact = doctor.libgl_fact(load)
    assert fact.state == "bad"
    assert "apt-get install -y libgl1" in fact.fix
    assert "dnf install -y mesa-libGL" in fact.fix
    assert not doctor.can_train([Fact("Python", "3.11"), fact])


@pytest.mark.parametrize(
    ("version", "state"), [((3, 9, 2), "bad"), ((3, 10, 0), "good"), ((3, 13, 1), "good"), ((3, 14, 0), "bad")]
)
def test_python_versions(version, state):
    assert doctor.python_fact(version).state == state


@pytest.mark.parametrize(
    ("system", "libc", "state"),
    [
        ("Linux", ("glibc", "2.35"), "good"),
        ("Linux", ("glibc", "2.4"), "bad"),  # 4 < 35, although "2.4" > "2.35" as text
        ("Linux", ("", ""), "bad"),
        ("Darwin", ("", ""), "bad"),
    ],
)
def test_platforms(system, libc, state):
    assert doctor.platform_fact(system, "x86_64", libc).state == state


def test_processor_without_avx_is_bad():
    text = "processor\t: 0\nmodel name\t: Pentium\nflags\t\t: sse {}\n\n"
    assert doctor.cpu_fact("x86_64", text.format("avx2 avx")).value == "Pentium, AVX"
    assert doctor.cpu_fact("x86_64", text.format("avx512f")).state == "bad"
    assert doctor.cpu_fact("aarch64", "").state == "good"


def test_little_memory_is_noted():
    text = "MemTotal:       8388608 kB\nMemAvailable:   {} kB\nHugePages_Total:       0\n"
    fact = doctor.capacity_fact(2, text.format(4 * 2**20))
    assert (fact.state, fact.value) == ("good", "2 cores, 4.0 of 8.0 GiB memory free")
    assert doctor.capacity_fact(2, text.format(2**20)).state == "note"


def test_torch():
    assert doctor.torch_fact(None, None, []).state == "bad"
    assert doctor.torch_fact("2.6.0", None, []).state == "bad"
    assert doctor.torch_fact("broken (libtorch.so)", None, []).state == "bad"
    assert doctor.torch_fact("2.7.0+cu128", "12.8", ["cuda:0 H200"]).value.endswith("devices: cpu, cuda:0 H200")


def test_gpus():
    gpu = ["NVIDIA H200", "570.1", "140000", "143771"]
    facts = doctor.gpu_facts([gpu, gpu], "12.8", ["cuda:0", "cuda:1"])
    assert [fact.state for fact in facts] == ["good"] * 2
    assert facts[1] == Fact("GPU 1", "NVIDIA H200, driver 570.1, 140000 of 143771 MiB free")
    assert doctor.gpu_facts([["NVIDIA H200", "570.1", "100", "143771"]], "12.8", ["cuda:0"])[0].state == "note"
    assert doctor.gpu_facts([["GH200", "570.1", "[N/A]", "[N/A]"]], "12.8", ["cuda:0"])[0].state == "good"
    assert "force-reinstall" in doctor.gpu_facts([gpu], None, [])[1].fix
    assert "driver" in doctor.gpu_facts([gpu], "13.0", [])[1].fix
    assert doctor.can_train(doctor.gpu_facts([], None, []))


def test_nvidia_smi_is_read_and_may_be_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.nvidia_smi() == []
    script = tmp_path / "nvidia-smi"
    script.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.1, 140000, 143771'\n")
    script.chmod(0o755)
    assert doctor.nvidia_smi() == [["NVIDIA H200", "570.1", "140000", "143771"]]
    script.write_text("#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert doctor.nvidia_smi() == []


@pytest.mark.parametrize(
    ("version", "state"), [(None, "bad"), ("1.6.1", "bad"), ("1.6.5", "good"), ("1.10.0", "good"), ("2.0.0", "bad")]
)
def test_package_bounds(version, state):
    fact = doctor.package_fact(Requirement("rl-games>=1.6.5,<2"), version)
    assert fact.state == state
    if state == "bad":
        assert "-m pip install 'rl-games<2,>=1.6.5'" in fact.fix


def test_every_package_is_checked_but_torch_which_has_its_own_line():
    names = [fact.name for fact in doctor.package_facts()]
    assert {"numpy", "gymnasium", "rl-games", "hydra-core"} <= set(names) and "torch" not in names
    names = [fact.name for fact in doctor.package_facts("physx")]
    assert sorted(names) == ["newton-usd-schemas", "ovphysx", "physx-usd-schemas", "usd-core"]


def test_engines():
    assert doctor.engine_fact("5.1.0", None).value.startswith("Isaac Sim 5.1.0")
    assert doctor.engine_fact(None, "0.7.0").value.endswith("ovphysx 0.7.0")
    assert "uninstall -y ovphysx" in doctor.engine_fact("5.1.0", "0.7.0").fix
    nothing = doctor.engine_fact(None, None)
    assert (nothing.state, "[physx]" in nothing.fix) == ("bad", True)


def test_isaac_sim_is_recognised_by_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ISAACSIM_PATH", str(tmp_path))
    (tmp_path / "VERSION").write_text("5.1.0-rc.19\n")
    assert requirements.isaac_sim() == "5.1.0-rc.19"
    names = [fact.name for fact in doctor.collect()]
    assert not {"PhysX on cpu", "ovphysx"} & set(names)  # Isaac Sim brings its own


def test_a_check_that_raises_is_a_bad_line(monkeypatch):
    def broken(*_: object) -> Fact:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(doctor, "python_fact", broken)
    monkeypatch.setattr(doctor, "probe", lambda device: {"ok": False, "error": "not now"})
    facts = doctor.collect()
    assert facts[0] == Fact("Python", "RuntimeError: two lines", "bad", "reinstall what this names")
    assert not doctor.can_train(facts)


def test_report_says_what_to_fix(capsys):
    doctor.show([Fact("Python", "3.11"), Fact("libGL.so.1", "missing", "bad", "apt-get install [-y] libgl1")])
    printed = capsys.readouterr().out
    assert "To fix\n  libGL.so.1: apt-get install [-y] libgl1\n" in printed
    assert "Training cannot run" in printed


def test_report_without_rich(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    doctor.show([Fact("rich", "not installed", "bad", "pip install rich")])
    assert "✗  rich  not installed" in capsys.readouterr().out
