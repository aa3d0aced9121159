# SPDX-License-Identifier: Apache-2.0
"""Show results: tables on the terminal and in Markdown from the same rows, and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omni.myriad.benchmark import results
from omni.myriad.benchmark.peers import PEERS
from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing, write_text

BEGIN, END = "<!-- tables: written by ./myriad benchmark render=... -->", "<!-- end of tables -->"
NOTHING = "No results yet."
_PHASES = ("physics", "task", "read", "policy", "update", "other")
_MEASURES = {"bare_loop": "bare loop", "env": "environment", "train": "training"}


@dataclass(frozen=True)
class Table:
    """A table that answers a question, with what has to be known to read it, and the name of its plot."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    plot: str = ""


def tables(files: Sequence[results.Results]) -> list[Table]:
    """Return the tables that there are measurements for; of several files, each row begins with whose it is."""
    made = []
    for make in (_throughput, _phases, _startup, _peers, _isaac_lab, _rewards, _gpus, _cameras):
        each = [(_label(found), make(found)) for found in files]
        each = [(label, table) for label, table in each if table.rows]
        if not each:
            continue
        first, several = each[0][1], len(files) > 1
        notes = dict.fromkeys(note for _, table in each for note in table.notes)
        rows = [(label, *row) if several else row for label, table in each for row in table.rows]
        made.append(
            replace(first, header=("", *first.header) if several else first.header, rows=rows, notes=tuple(notes))
        )
    return made


def _label(found: results.Results) -> str:
    """Return what was measured, in a few words."""
    machine = found["machine"] or {}
    device = machine.get("gpu", f"{machine.get('cores')} cores").removeprefix("NVIDIA ")
    return ", ".join((found["task"], _engine(found), device))


def _throughput(found: results.Results) -> Table:
    rows = []
    for num_envs, entry in found["by_num_envs"].items():
        bare, env = entry.get("bare_loop"), entry.get("env")
        ratio = f"{env['median'] / bare['median']:.0%}" if bare and env else ""
        measured = [_with_spread(each) for each in (bare, env)]
        memory = f"{gib:.1f} GiB" if (gib := _memory_gib(entry)) else ""
        if any(each in entry for each in _MEASURES):
            rows.append((f"{int(num_envs):,}", *measured, ratio, _with_spread(entry.get("train")), memory))
    header = ("num_envs", "bare loop", "environment", "of bare", "training", "memory")
    notes = (
        "Environment steps, or frames, per second: one is one control step of one environment. Medians; ± is half of "
        "(max - min) / median over the repeats. Training is by the wall clock, with logging and checkpoints. Memory is "
        "that of the whole GPU while training, or of the process on a CPU.",
    )
    return Table("How fast is it, and how does it grow?", header, rows, notes, "throughput")


def _cameras(found: results.Results) -> Table:
    rows = []
    for num_envs, entry in found["by_num_envs"].items():
        if camera := entry.get("camera"):
            sizes = ", ".join(f"{width} x {height}" for width, height, _ in camera["cameras"].values())
            memory = camera["memory"].get("gpu_mib", camera["memory"]["host_mib"]) / 1024
            share = camera["phases"]["camera"]
            rows.append((f"{int(num_envs):,}", sizes, _with_spread(camera), f"{share:.0%}", f"{memory:.1f} GiB"))
    note = "Pictures per second, drawn alone; the share is that of drawing in drawing and physics together."
    header = ("num_envs", "pixels", "pictures", "of drawing and physics", "memory")
    return Table("How fast do cameras draw?", header, rows, (note,))


def _engine(found: results.Results) -> str:
    measured = [
        entry[name] for entry in found["by_num_envs"].values() for name in ("env", "bare_loop") if name in entry
    ]
    return "Newton" if any((each.get("engine") or "").startswith("newton") for each in measured) else "PhysX"


def _memory_gib(entry: dict[str, Any]) -> float | None:
    memory = next((entry[name]["memory"] for name in ("train", "env", "startup") if name in entry), None)
    return memory and memory.get("gpu_mib", memory["host_mib"]) / 1024


def _phases(found: results.Results) -> Table:
    rows = [
        (f"{int(num_envs):,}", title, *(_percent(entry[name]["phases"].get(phase)) for phase in _PHASES))
        for num_envs, entry in found["by_num_envs"].items()
        for name, title in _MEASURES.items()
        if name in entry and name != "bare_loop"
    ]
    note = "By the host's clock: on a GPU, work that is only queued counts where somebody waits for it."
    return Table("Where does the time go?", ("num_envs", "in", *_PHASES), rows, (note,), "phases")


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _startup(found: results.Results) -> Table:
    starts = {n: entry["startup"] for n, entry in found["by_num_envs"].items() if "startup" in entry}
    phases = list(dict.fromkeys(phase for each in starts.values() for phase in each["phases"]))
    rows = [
        (f"{int(n):,}", _with_spread(each, seconds=True), *(f"{each['phases'][phase]:.1f}" for phase in phases))
        for n, each in starts.items()
    ]
    note = "From the command train, before Python starts, to the end of the first environment step."
    return Table("How long does it take to start?", ("num_envs", "start-up", *phases), rows, (note,))


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
        "How much faster are several GPUs?", ("GPUs", "num_envs on each", "training", "of one", "phases"), rows, (note,)
    )


def _measured_peers(found: results.Results) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield each variant of each peer: its name, the number of our environments to compare with, how, and the rate."""
    for name, peer in PEERS.items():
        measured = [(n, e["peers"][name]) for n, e in found["by_num_envs"].items() if name in e.get("peers", {})]
        if name in found["peers"]:
            measured.append((_fastest(found, peer.against), found["peers"][name]))
        for num_envs, theirs in measured:
            for how, value in (theirs.get("variants") or {f"{int(num_envs):,}": theirs}).items():
                yield name, num_envs, how, value | {"unit": theirs["unit"]}


def _peers(found: results.Results) -> Table:
    same_device = (found["machine"] or {}).get("device") == "cpu"
    rows, measured = [], {}
    for name, num_envs, how, value in _measured_peers(found):
        peer = measured[name] = PEERS[name]
        ours, against = found["by_num_envs"].get(num_envs, {}).get(peer.against), ""
        if ours and (peer.by_num_envs or same_device or peer.across_devices):
            what = "training" if peer.against == "train" else "environment"
            against = f"{what} at {int(num_envs):,}: {ours['median'] / value['median']:.2f} times"
        rows.append((peer.title, how, f"{_with_spread(value)} {value['unit']}", against))
    absent = {name: why for name, why in found["absent"].items() if name not in measured}
    rows += [(PEERS[name].title, "", why, "") for name, why in absent.items()]
    notes = tuple(f"{peer.title}: {peer.note}" for peer in measured.values())
    return Table("Against whom, in the same run?", ("who", "how", "rate", "Myriad against it"), rows, notes, "others")


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
    return Table("And against Isaac Lab?", header, rows, (size + note,))


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
        numbers = ", ".join(map(str, seeds["seeds"]))
        rows.append((f"{reward:,.0f}", _time(median) + (" s" if median is not None else ""), numbers, each))
    note = (
        "Seconds of training by the wall clock, from the start of the first epoch to the end of the one in which the "
        "mean reward of recently finished episodes passed; start-up is not in them."
    )
    return Table("How soon does it learn?", ("mean reward", "median", "seeds", "each"), rows, (note,), "learning")


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

    lines = [f"# {found['task']}", *(f"- {line}" for line in (*about(found), *_missing(found))), *_body([found])]
    Console().print(Markdown("\n".join(lines)))


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
    draw([results.load(file) for file in sorted(folder.glob("*.json"))], folder / folder.name)
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
    files = {file: results.load(file) for file in sorted(folder.glob("*.json"))}
    lines = _body(list(files.values()), folder) or [NOTHING, ""]
    if files:
        lines += ["### What was measured, on what, by which command?", ""]
        lines += [line for file, found in files.items() for line in _source(found, file)]
    return "\n".join([before + begin, "", *lines, end + after])


def _source(found: results.Results, file: Path) -> list[str]:
    lines = [f"**{_label(found)}**: every value in [{file.name}]({file.parent.name}/{file.name})", ""]
    lines += [f"- {line}" for line in about(found)]
    for command in found["commands"]:
        commit, dirty, _ = (command["git"] or "unknown").partition("-dirty")
        lines.append(f"- {command['date']}, commit {commit[:12]}{dirty and ' with edits'}: `{command['command']}`")
    return [*lines, *(f"- {line}" for line in _missing(found)), ""]


def _missing(found: results.Results) -> list[str]:
    left_out = [f"Left out for lack of time: {', '.join(found['left_out'])}."] if found["left_out"] else []
    return left_out + [f"Failed: {what}: {why}" for what, why in found["failures"].items()]


def _body(files: Sequence[results.Results], folder: Path | None = None) -> list[str]:
    """Return the lines of the tables as Markdown, with the plots that a folder has of them."""
    lines = []
    for table in tables(files):
        lines += [f"### {table.title}", "", _markdown_row(table.header), _markdown_row(("---",) * len(table.header))]
        lines += [*map(_markdown_row, table.rows), "", *(f"{note}\n" for note in table.notes)]
        if folder and table.plot and (picture := picture_of(folder / folder.name, table.plot)).exists():
            lines += [f"![{table.title}]({folder.name}/{picture.name})", ""]
    return lines


def _markdown_row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


# -- plots ------------------------------------------------------------------------------------------------------------


def picture_of(file: Path, kind: str) -> Path:
    """Return the file of a plot of a results file."""
    return file.with_name(f"{file.stem}-{kind}.png")


def draw(files: Sequence[results.Results], file: Path) -> list[Path]:
    """Draw what there are measurements for beside a file, and return the pictures."""
    pictures = []
    for kind, make in _PLOTS.items():
        if (figure := make(files)) is not None:
            pictures.append(picture_of(file, kind))
            with replacing(pictures[-1]) as temporary:
                figure.savefig(temporary)
    return pictures


def _figure(columns: int, height: float = 4.2) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, height), dpi=100, layout="constrained")
    all_axes = figure.subplots(1, columns, squeeze=False)[0]
    for axes in all_axes:
        axes.set_axisbelow(True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, all_axes


def _throughput_figure(files: Sequence[results.Results]) -> Any:
    from matplotlib.ticker import EngFormatter, NullFormatter, StrMethodFormatter

    entries = [{int(n): entry for n, entry in found["by_num_envs"].items()} for found in files]
    sizes = sorted({n for each in entries for n in each})
    if not sizes:
        return None
    figure, (left, right) = _figure(2, 5.0)
    styles = {"bare_loop": (":", "D"), "env": ("-", "o"), "train": ("--", "s")}
    for number, (found, of) in enumerate(zip(files, entries, strict=True)):
        label, color = _label(found), f"C{number}"
        for measure, (line, marker) in styles.items():
            points = {n: entry[measure]["median"] for n, entry in of.items() if measure in entry}
            if points:
                title = f"{label}: {_MEASURES[measure]}"
                left.plot(list(points), list(points.values()), line, marker=marker, ms=4, color=color, label=title)
        memory = {n: gib for n, entry in of.items() if (gib := _memory_gib(entry))}
        if memory:
            right.plot(list(memory), list(memory.values()), "o-", ms=4, color=color)
    for axes, what in ((left, "environment steps/s, frames/s"), (right, "memory (GiB)")):
        axes.set(xscale="log", yscale="log", xlabel="num_envs", ylabel=what, xticks=sizes)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", rotation=40)
    left.yaxis.set_major_formatter(EngFormatter(sep=" "))
    right.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    figure.legend(frameon=False, fontsize=8, ncols=3, loc="outside lower center")
    return figure


def _phases_figure(files: Sequence[results.Results]) -> Any:
    bars = {
        f"{_label(found)}, {int(n):,}": entry["train"]["phases"]
        for found in files
        for n, entry in found["by_num_envs"].items()
        if "train" in entry
    }
    if not bars:
        return None
    figure, (axes,) = _figure(1, 1.2 + 0.28 * len(bars))
    left = [0.0] * len(bars)
    for phase in (phase for phase in _PHASES if any(phase in phases for phases in bars.values())):
        shares = [100.0 * phases.get(phase, 0.0) for phases in bars.values()]
        axes.barh(list(bars), shares, left=left, height=0.7, label=phase)
        left = [sum(both) for both in zip(left, shares, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="% of training", xlim=(0, 100))
    axes.legend(frameon=False, fontsize=8, ncols=len(_PHASES), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _peers_figure(files: Sequence[results.Results]) -> Any:
    """Bars of environment steps per second: ours where others were measured in the same run, and theirs."""
    from matplotlib.ticker import EngFormatter

    bars: dict[str, tuple[float, str]] = {}
    for found in files:
        others = {
            f"{PEERS[name].title}, {how}": value["median"]
            for name, _, how, value in _measured_peers(found)
            if PEERS[name].against == "env"
        }
        if not others:
            continue
        for n, entry in found["by_num_envs"].items():
            if "env" in entry and (entry.get("peers") or found["peers"]):
                bars[f"Myriad, {_label(found)}, {int(n):,}"] = entry["env"]["median"], "C0"
        device = _label(found).rsplit(", ", 1)[-1]
        bars |= {f"{who}, {device}": (rate, "0.6") for who, rate in others.items()}
    if not bars:
        return None
    figure, (axes,) = _figure(1, 1.0 + 0.28 * len(bars))
    rates, colors = zip(*bars.values(), strict=True)
    axes.barh(list(bars), rates, height=0.7, color=colors)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="environment steps/s")
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    return figure


def _learning_figure(files: Sequence[results.Results]) -> Any:
    trained = [found for found in files if found["over_seeds"].get("runs")]
    if not trained:
        return None
    names = list(dict.fromkeys(found["task"] for found in trained))
    figure, all_axes = _figure(len(names))
    for number, found in enumerate(trained):
        seeds, axes = found["over_seeds"], all_axes[names.index(found["task"])]
        label = f"{_label(found)}, {seeds['num_envs']:,}, {len(seeds['runs'])} seeds"
        for run in seeds["runs"]:
            _, seconds, rewards = zip(*run["curve"], strict=True) if run["curve"] else ((), (), ())
            axes.plot(seconds, rewards, linewidth=1.0, color=f"C{number}", label=label)
            label = None  # once in the legend
        for reward in _wanted_rewards(seeds):
            axes.axhline(reward, color="#999999", linewidth=0.8, linestyle=":")
        axes.set(xlabel="training time (s)", ylabel="mean episode reward")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    for axes in all_axes:
        axes.set_xlim(left=0.0)
    return figure


_PLOTS: dict[str, Callable[[Sequence[results.Results]], Any]] = {
    "throughput": _throughput_figure,
    "phases": _phases_figure,
    "others": _peers_figure,
    "learning": _learning_figure,
}
"""What draws each plot, or returns None where nothing of the kind was measured."""
