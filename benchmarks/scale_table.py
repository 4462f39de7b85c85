"""The tables that `benchmarks.scale` writes from what it measured: rates and waits, CPU, and what sessions wait for."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import results

CALLS = ("acquire", "report", "should_prune", "heartbeat", "end")  # columns
WAYS = {
    "ours": "ours",
    "optuna": "Optuna alone",
    "optuna-proxy": "Optuna alone, by its proxy",
    "ours-proxy": "ours, reads and reports by the proxy",
}
Line = Mapping[str, Any]


def report(lines: Sequence[Line]) -> str:
    """Return the section: three tables, a row for each setting."""
    if not lines:
        return results.MISSING
    first = lines[0]
    return "\n\n".join(
        [
            f"{first['machine']} Workers, PostgreSQL and proxy share {first['cores']} cores. A worker is a process; it "
            f"sleeps {first['pause']:g} s ± 50 % before each report. No trial was lost, doubled or over the budget.",
            "Milliseconds that a worker waited, median / 95th percentile (number of calls):",
            results.table(["setting", "stored before", "trials/s", "calls/s", *CALLS], _each(lines, _waits)),
            "CPU milliseconds for each trial, by who spent them; statements that a worker sent for each trial; the "
            "share of the cores that all of them used, and that anything else on the machine used meanwhile:",
            results.table(
                ["setting", "stored before", "trials", "workers", "PostgreSQL", "proxy", "statements", "we, others"],
                _each(lines, _costs),
            ),
            "What PostgreSQL's sessions were doing, as a mean over looks four times a second, and how long it took "
            "until all workers had opened the study:",
            results.table(
                ["setting", "stored before", "connections", "working", "wait for a row", "wait for the disk",
                 "wait for the worker", "other", "opening, s"],
                _each(lines, _sessions),
            ),
        ]
    )  # fmt: skip


def _each(lines: Sequence[Line], columns: Any) -> list[list[object]]:
    return [[*_setting(line["name"]), *columns(line)] for line in lines]


def _setting(name: str) -> list[str]:
    way, workers, *stored = name.split()
    return [f"{workers} {WAYS[way]}", f"{int(stored[0]) if stored else 0:,}"]


def _waits(line: Line) -> list[object]:
    rates = [f"{line['trials_per_second']:.1f}", f"{line['calls_per_second']:.0f}"]
    return [*rates, *(_latency(line["latency"].get(name, {"n": 0})) for name in CALLS)]


def _latency(found: Mapping[str, float]) -> str:
    return f"{found['median']:.0f} / {found['p95']:.0f} ({found['n']})" if found["n"] else "none"


def _costs(line: Line) -> list[object]:
    each = [f"{1e3 * line['cpu'][who] / line['done']:.0f}" for who in ("workers", "postgres", "proxy")]
    sent = line["statements"] / line["done"]
    ours, others = used(line)
    return [line["done"], *each, f"{sent:.0f}" if sent else "not counted", f"{100 * ours:.0f} %, {100 * others:.0f} %"]


def used(line: Line) -> tuple[float, float]:
    """Return which share of the machine's cores we used, and which share others did meanwhile."""
    ours = sum(line["cpu"].values()) / (line["wall"] * line["cores"])
    return ours, max(0.0, 1 - line["idle"] - ours)


def _sessions(line: Line) -> list[object]:
    kinds = [kind(doing) for doing in line["sessions"]]
    looks = dict.fromkeys(("working", "row", "disk", "worker", "other"), 0)
    for name, count in zip(kinds, line["sessions"].values(), strict=True):
        looks[name] += count
    means = [f"{count / max(1, line['looks']):.1f}" for count in looks.values()]
    return [line["connections"], *means, f"{line['starting']:.0f}"]


def kind(doing: str) -> str:
    """Return the column that something a session does belongs to."""
    for sign, name in {"working": "working", "a row": "row", "worker": "worker", "IO": "disk", "WAL": "disk"}.items():
        if sign in doing:
            return name
    return "other"
