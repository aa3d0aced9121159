# SPDX-License-Identifier: Apache-2.0
"""Show results: tables on the terminal and in Markdown from the same rows, and plots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omni.myriad.benchmark import results
from omni.myriad.benchmark.peers import PEERS
from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing, write_text

BEGIN, END = "<!-- tables: written by ./myriad benchmark render=... -->", "<!-- end of tables -->"
NOTHING = "No results yet."
_BARE = {
    "PhysX": "Bare PhysX: the same scene, shards and threads; random torques in, root and joint state and joint forces "
    "out.",
    "Newton": "Bare Newton: its solver as it comes, a control step as one graph; random torques in, nothing copied.",
}


@dataclass(frozen=True)
class Table:
    """A table with what has to be known to read it."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def tables(found: results.Results) -> list[Table]:
    """Return the tables that there are measurements for."""
    makers = (_throughput, _cameras, _phases, _gpus, _peers, _isaac_lab, _rewards)
    candidates = [make(found) for make in makers]
    return [table for table in candidates if table.rows]


def _throughput(found: results.Results) -> Table:
    rows = []
    for num_envs, entry in found["by_num_envs"].items():
        bare, env = entry.get("bare_loop"), entry.get("env")
        ratio = f"{env['median'] / bare['median']:.0%}" if bare and env else ""
        measured = [_with_spread(each) for each in (bare, env)]
        training, startup = _with_spread(entry.get("train")), _with_spread(entry.get("startup"), seconds=True)
        memory = f"{gib:.1f} GiB" if (gib := _memory_gib(entry)) else ""
        rows.append((f"{int(num_envs):,}", *measured, ratio, training, startup, memory))
    engine = _engine(found)
    header = ("num_envs", f"bare {engine}", "environment", "of bare", "training", "start-up", "memory")
    notes = (
        "Environment steps, or frames, per second: one is one control step of one environment. Medians; ± is half of "
        "(max - min) / median over the repeats.",
        _BARE[engine],
        "Environment: random actions through observations, rewards and resets. Training: by the wall clock, with "
        "logging and checkpoints. Start-up: from the command train to the end of the first step. Memory: of the whole "
        "GPU while training, or of the process on a CPU.",
    )
    return Table("Throughput", header, rows, notes)


def _cameras(found: results.Results) -> Table:
    rows = []
    for num_envs, entry in found["by_num_envs"].items():
        if camera := entry.get("camera"):
            sizes = ", ".join(f"{width} x {height}" for width, height, _ in camera["cameras"].values())
            memory = camera["memory"].get("gpu_mib", camera["memory"]["host_mib"]) / 1024
            share = camera["phases"]["camera"]
            rows.append((f"{int(num_envs):,}", sizes, _with_spread(camera), f"{share:.0%}", f"{memory:.1f} GiB"))
    note = "Pictures per second, drawn alone; the share is that of drawing in drawing and physics together."
    return Table("Cameras", ("num_envs", "pixels", "pictures", "of drawing and physics", "memory"), rows, (note,))


def _engine(found: results.Results) -> str:
    measured = [
        entry[name] for entry in found["by_num_envs"].values() for name in ("env", "bare_loop") if name in entry
    ]
    return "Newton" if any((each.get("engine") or "").startswith("newton") for each in measured) else "PhysX"


def _memory_gib(entry: dict[str, Any]) -> float | None:
    memory = next((entry[name]["memory"] for name in ("train", "env", "startup") if name in entry), None)
    return memory and memory.get("gpu_mib", memory["host_mib"]) / 1024


def _phases(found: results.Results) -> Table:
    names = [name for name in results.HEADLINES if name != "camera"]  # which has a table of its own
    names = [name for name in names if any(name in entry for entry in found["by_num_envs"].values())]
    rows = []
    for num_envs, entry in found["by_num_envs"].items():
        cells = []
        for name in names:
            amount = "{} {:.2f} s" if name == "startup" else "{} {:.0%}"
            cells.append(", ".join(amount.format(*phase) for phase in entry.get(name, {}).get("phases", {}).items()))
        if any(cells):
            rows.append((f"{int(num_envs):,}", *cells))
    note = "By the host's clock: on a GPU, work that is only queued counts where somebody waits for it."
    header = ("num_envs", *(name.replace("_", " ") for name in names))
    return Table("Where the time goes", header, rows, (note,))


def _gpus(found: results.Results) -> Table:
    rows = []
    for gpus, entries in found["by_gpus"].items():
        for num_envs, entry in entries.items():
            one = found["by_gpus"].get("1", {}).get(num_envs)
            ratio = f"{entry['train']['median'] / one['train']['median']:.2f}" if one else ""
            phases = ", ".join(f"{name} {share:.0%}" for name, share in entry["train"]["phases"].items())
            rows.append((gpus, f"{int(num_envs):,}", _with_spread(entry["train"]), ratio, phases))
    note = (
        "Frames per second of all GPUs together by the wall clock, with logging and checkpoints; phases are the first "
        "process's, whose update includes waiting for the others."
    )
    return Table(
        "Training on several GPUs", ("GPUs", "num_envs on each", "training", "of one", "phases"), rows, (note,)
    )


def _peers(found: results.Results) -> Table:
    same_device = (found["machine"] or {}).get("device") == "cpu"
    rows, notes = [], []
    for name, peer in PEERS.items():
        measured = [(n, e["peers"][name]) for n, e in found["by_num_envs"].items() if name in e.get("peers", {})]
        if name in found["peers"]:
            measured.append((_fastest(found, peer.against), found["peers"][name]))
        for num_envs, theirs in measured:
            ours = found["by_num_envs"].get(num_envs, {}).get(peer.against)
            variants = theirs.get("variants") or {f"{int(num_envs):,}": theirs}
            for how, value in variants.items():
                against = ""
                if ours and (peer.by_num_envs or same_device or peer.across_devices):
                    what = "training" if peer.against == "train" else "environment"
                    against = f"{what} at {int(num_envs):,}: {ours['median'] / value['median']:.2f} times"
                rows.append((peer.title, how, f"{_with_spread(value)} {theirs['unit']}", against))
        if measured:
            notes.append(f"{peer.title}: {peer.note}")
        elif name in found["absent"]:
            rows.append((peer.title, "", found["absent"][name], ""))
    return Table("Others, measured in the same run", ("who", "how", "rate", "Myriad against it"), rows, tuple(notes))


def _isaac_lab(found: results.Results) -> Table:
    rows, disk = [], None
    for num_envs, entry in found["by_num_envs"].items():
        theirs = entry.get("peers", {}).get("isaaclab")
        if theirs is None:
            continue
        disk = theirs.get("disk_mib", disk)
        ours = {name: entry.get(name) for name in ("env", "train", "startup")}
        seeds = found["over_seeds"] if found["over_seeds"].get("num_envs") == int(num_envs) else {}
        times = {reward: seeds[f"median_{name}"] for reward, name in _wanted_rewards(seeds).items()}
        rows.append(_beside("Myriad", num_envs, ours["env"], ours["train"], ours["startup"], _memory_gib(entry), times))
        for how, measured in theirs["variants"].items():
            startup = {"median": measured["startup"], "spread": 0.0}
            reached = {
                reward: measured["reached"][name] for reward, name in _wanted_rewards(measured["reached"]).items()
            }
            memory = _memory_gib(measured)
            name = f"Isaac Lab, {how}"
            rows.append(_beside(name, num_envs, measured, measured["train"], startup, memory, reached))
    header = ("who", "num_envs", "environment", "training", "start-up", "memory", "seconds to a reward")
    note = (
        "Start-up: from the command to the end of the first environment step. Memory: as above. Seconds of training "
        "until the mean reward of its last 100 episodes passed, one seed; of ours, the median over the seeds below."
    )
    size = f"Isaac Lab's environment takes {disk / 1024:.1f} GiB of the disk. " if disk else ""
    return Table("Isaac Lab beside Myriad", header, rows, (size + note,))


def _beside(
    name: str,
    num_envs: str,
    env: dict[str, Any] | None,
    train: dict[str, Any] | None,
    startup: dict[str, Any] | None,
    memory: float | None,
    times: dict[float, float | None],
) -> tuple[str, ...]:
    to_reward = ", ".join(f"{reward:,.0f}: {_time(seconds)}" for reward, seconds in times.items())
    seconds = f"{startup['median']:.1f} s" if startup else ""
    gib = f"{memory:.1f} GiB" if memory else ""
    return name, f"{int(num_envs):,}", _with_spread(env), _with_spread(train), seconds, gib, to_reward


def _fastest(found: results.Results, measure: str) -> str:
    entries = {n: entry[measure]["median"] for n, entry in found["by_num_envs"].items() if measure in entry}
    return max(entries, key=lambda n: entries[n], default="")


def _rewards(found: results.Results) -> Table:
    seeds, rows = found["over_seeds"], []
    for reward, name in _wanted_rewards(seeds).items():
        median, each = seeds[f"median_{name}"], ", ".join(map(_time, seeds[name]))
        rows.append((f"{reward:,.0f}", _time(median) + (" s" if median is not None else ""), each))
    note = (
        f"With {seeds.get('num_envs', 0):,} environments; seconds of training by the wall clock, from the start of the "
        "first epoch to the end of the one in which the mean reward of recently finished episodes passed; start-up is "
        "not in them."
    )
    header = ("mean reward", "median", f"seeds {', '.join(map(str, seeds.get('seeds', [])))}")
    return Table("Seconds to a reward", header, rows, (note,))


def _wanted_rewards(seeds: dict[str, Any]) -> dict[float, str]:
    return {float(name.removeprefix("seconds_to_")): name for name in seeds if name.startswith("seconds_to_")}


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def _with_spread(measured: dict[str, Any] | None, seconds: bool = False) -> str:
    if not measured:
        return ""
    value = measured["median"]
    rate = f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k" if value >= 1e3 else f"{value:.1f}"
    return f"{f'{value:.2f} s' if seconds else rate} ±{(measured['spread'] or 0.0) / 2:.0%}"


def in_a_line(result: dict[str, Any]) -> str:
    """Return a measurement in a few words, for the terminal."""
    if "reached" in result:
        return ", ".join(f"{name.replace('_', ' ')}: {_time(time)}" for name, time in result["reached"].items())
    if "seconds" in result:
        return f"{result['seconds']:.2f} s"
    warning = f", but {result['warning']}" if "warning" in result else ""
    return f"{_with_spread(result)} {result['unit']}{warning}"


def about(found: results.Results) -> list[str]:
    """Return what was measured on and with, a line each."""
    lines = [", ".join(f"{name} {version}" for name, version in found["versions"].items())]
    if machine := found["machine"]:
        computer = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB"
        if "gpu" in machine:
            computer = f"{machine['gpu']} ({machine['gpu_memory_gib']} GiB), driver {machine['driver']}; {computer}"
        lines.insert(0, computer)
    return lines


def show(found: results.Results) -> None:
    """Print the tables."""
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(
        Markdown("\n".join([f"# {found['task']}", *(f"- {line}" for line in about(found)), *_body(found, set())]))
    )


# -- the page in docs -------------------------------------------------------------------------------------------------


def render(page: Path) -> None:
    """Write the tables of a Markdown page again, and the plots beside its results.

    Args:
        page: Markdown file; results are the .json files in the folder beside it that has its name.

    Raises:
        MyriadError: If there is no such page, or it has no place for tables.
    """
    if not page.is_file():
        raise MyriadError(f"render={page} does not exist: give a Markdown file such as docs/benchmarks.md.")
    folder = page.with_suffix("")
    for file in sorted(folder.glob("*.json")):
        draw(results.load(file), file)
    write_text(page, rendered(page.read_text(), folder))


def rendered(text: str, folder: Path) -> str:
    """Return a page's text with its tables written from the results in a folder.

    Raises:
        MyriadError: If the page has no place for tables.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise MyriadError(f"The page has no place for tables: two lines, {BEGIN} and {END}.")
    said: set[str] = set()
    sections = [_section(results.load(file), file, said) for file in sorted(folder.glob("*.json"))]
    return before + begin + "\n\n" + "\n".join(sections or [f"{NOTHING}\n"]) + "\n" + end + after


def _section(found: results.Results, file: Path, said: set[str]) -> str:
    machine = found["machine"] or {}
    engine = " with Newton" if _engine(found) == "Newton" else ""
    lines = [f"### {found['task']}{engine} on {machine.get('gpu') or machine.get('cpu')}", ""]
    lines += [*(f"- {line}" for line in about(found))]
    for command in found["commands"]:
        commit, dirty, _ = (command["git"] or "unknown").partition("-dirty")
        lines.append(f"- {command['date']}, commit {commit[:12]}{dirty and ' with edits'}: `{command['command']}`")
    lines += [f"- every value: [{file.name}]({file.parent.name}/{file.name})", ""]
    lines += _body(found, said)
    for picture in (picture_of(file, kind) for kind in ("throughput", "learning")):
        if picture.exists():
            lines += [f"![{picture.stem}]({file.parent.name}/{picture.name})", ""]
    return "\n".join(lines)


def _body(found: results.Results, said: set[str]) -> list[str]:
    """Return the lines of the tables, and of what was not measured, as Markdown; notes that were said are not again."""
    lines = []
    for table in tables(found):
        lines += [f"#### {table.title}", "", _markdown_row(table.header), _markdown_row(("---",) * len(table.header))]
        notes = [note for note in table.notes if note not in said]
        lines += [*map(_markdown_row, table.rows), "", *(f"{note}\n" for note in notes)]
        said.update(notes)
    if found["left_out"]:
        lines += [f"Left out for lack of time: {', '.join(found['left_out'])}.", ""]
    return lines + [f"Failed: {what}: {why}\n" for what, why in found["failures"].items()]


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# -- plots ------------------------------------------------------------------------------------------------------------


def picture_of(file: Path, kind: str) -> Path:
    """Return the file of a plot of a results file."""
    return file.with_name(f"{file.stem}-{kind}.png")


def draw(found: results.Results, file: Path) -> list[Path]:
    """Draw what there are measurements for beside the results file, and return the pictures."""
    figures = {}
    if found["by_num_envs"]:
        figures[picture_of(file, "throughput")] = _throughput_figure(found)
    if found["over_seeds"].get("runs"):
        figures[picture_of(file, "learning")] = _learning_figure(found)
    for picture, figure in figures.items():
        with replacing(picture) as temporary:
            figure.savefig(temporary)
    return list(figures)


def _figure(columns: int, title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * columns, 4.2), dpi=120, layout="constrained")
    figure.suptitle(title)
    all_axes = figure.subplots(1, columns, squeeze=False)[0]
    for axes in all_axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def _throughput_figure(found: results.Results) -> Any:
    from matplotlib.ticker import EngFormatter, NullFormatter, StrMethodFormatter

    figure, (left, right) = _figure(2, f"{found['task']}, {_engine(found)}, on {_device(found)}")
    entries = {int(n): entry for n, entry in found["by_num_envs"].items()}

    def plot(axes: Any, label: str, points: dict[int, float], **style: Any) -> None:
        if points:
            axes.plot(list(points), list(points.values()), marker="o", markersize=4, label=label, **style)

    for measure, label in (("bare_loop", f"bare {_engine(found)}"), ("env", "environment"), ("train", "training")):
        measured = {n: entry[measure] for n, entry in entries.items() if measure in entry}
        plot(left, label, {n: each["median"] for n, each in measured.items()}, linewidth=1.8)
        lows, highs = [each["min"] for each in measured.values()], [each["max"] for each in measured.values()]
        left.fill_between(list(measured), lows, highs, alpha=0.15)
    for name, peer in PEERS.items():
        theirs = {n: entry["peers"][name]["median"] for n, entry in entries.items() if name in entry.get("peers", {})}
        plot(left, peer.title, theirs, linewidth=1.0, linestyle="--")
    left.set_ylabel("steps/s, frames/s")
    plot(right, "start-up (s)", {n: entry["startup"]["median"] for n, entry in entries.items() if "startup" in entry})
    plot(right, "memory (GiB)", {n: gib for n, entry in entries.items() if (gib := _memory_gib(entry))})
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        if not axes.lines:
            axes.set_axis_off()  # nothing of the kind was measured, and a logarithm of nothing is an error
            continue
        axes.set_xscale("log", base=2)
        axes.set(xlabel="num_envs", xticks=list(entries))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.tick_params(axis="x", rotation=30)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(frameon=False, fontsize=9)
    left.yaxis.set_major_formatter(EngFormatter(sep=" "))
    return figure


def _learning_figure(found: results.Results) -> Any:
    seeds = found["over_seeds"]
    figure, (axes,) = _figure(1, f"{found['task']}, {seeds['num_envs']:,} environments on {_device(found)}")
    for run in seeds["runs"]:
        _, seconds, rewards = zip(*run["curve"], strict=True) if run["curve"] else ((), (), ())
        axes.plot(seconds, rewards, linewidth=1.4, label=f"seed {run['seed']}")
    for reward in _wanted_rewards(seeds):
        axes.axhline(reward, color="#999999", linewidth=0.8, linestyle="--")
    axes.set(xlabel="training time (s)", ylabel="mean episode reward", xlim=(0, None))
    axes.legend(frameon=False, fontsize=9)
    return figure


def _device(found: results.Results) -> str:
    machine = found["machine"] or {}
    return machine.get("gpu") or f"{machine.get('cores')} cores of {machine.get('cpu')}"
