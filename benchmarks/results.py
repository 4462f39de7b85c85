"""`benchmarks/RESULTS.md`: what was measured, a section for each benchmark. Each writes its own and leaves the others.

results.write("memory", "figures, as Markdown")
"""

import platform
import re
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch
from scipy.stats import ttest_ind

from model.device import choose_device, describe
from model.rounding import has_amx
from search.verdict.statistics import mean_interval

RESULTS = Path(__file__).parent / "RESULTS.md"
SECTIONS = {  # in this order, with the command that measures each
    "model-epoch": ("What a model-epoch costs", "benchmarks.model_epoch"),
    "curve": ("Fleet size and width", "benchmarks.curve"),
    "abreast": ("Two fleets or one", "benchmarks.abreast"),
    "general": ("Any network", "benchmarks.general"),
    "augment": ("What augmentation costs", "benchmarks.augment"),
    "plain": ("Plain MLPs in a fleet", "benchmarks.plain"),
    "costs": ("What a network costs, estimated", "benchmarks.costs"),
    "strict": ("What bits that depend on nothing cost", "benchmarks.strict"),
    "room": ("Padding and idle room of a search", "benchmarks.capacity"),
    "whole-job": ("The whole job", "benchmarks.whole_job"),
    "whole-job-amx": ("The whole job with AMX", "benchmarks.whole_job"),
    "outlook": ("What a trial would reach", "benchmarks.curve_model"),
    "going-on": ("What going on gains", "benchmarks.going_on"),
    "tables": ("Searches among recorded learning curves", "benchmarks.tables.regret"),
    "splits": ("How the peers share out the cores", "benchmarks.peers.splits"),
    "own-study": ("A study of one's own", "benchmarks.own_study"),
    "built-in": ("The built-in studies", "benchmarks.own_study"),
    "sql-share": ("The share of SQL and sampler", "benchmarks.sql_share"),
    "scaling": ("A trial's cost in SQL as the study grows", "benchmarks.scaling"),
    "scale": ("Workers by the hundred", "benchmarks.scale"),
    "memory": ("Memory", "benchmarks.memory"),
    "photographs": ("Photographs of digits", "benchmarks.photographs"),
    "bf16": ("bf16 arithmetic", "benchmarks.bf16"),
    "bf16-amx": ("bf16 arithmetic with AMX", "benchmarks.bf16"),
    "gpu": ("On a GPU", "benchmarks.gpu"),
    "gpu-search": ("A whole search on a GPU", "benchmarks.gpu"),
    "gpu-waits": ("How long a GPU waits", "benchmarks.gpu_waits"),
}
HEAD = "# Results\n\nWritten by `make bench`, a section by each command named below."
MISSING = "Not measured yet."


def of_this_machine(section: str) -> str:
    """Return the name of a section that machines with AMX have apart, for what they are much faster at."""
    return f"{section}-amx" if has_amx() else section


def write(section: str, text: str, path: Path = RESULTS) -> None:
    """Renew one section of the file, and show it."""
    found = sections(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(document({**found, section: text.strip()}), encoding="utf-8")
    print(text.strip())


def sections(document: str) -> dict[str, str]:
    """Return the text of each section that a document has."""
    marked = re.compile(r"<!-- section: ([\w-]+) -->\n(.*?)\n<!-- end: \1 -->", re.DOTALL)
    return {found[1]: found[2].strip() for found in marked.finditer(document)}


def document(texts: Mapping[str, str]) -> str:
    """Return the whole file; a section without text says that it was not measured."""
    parts = [
        f"## {title}\n\n`python -m {command}`\n\n<!-- section: {name} -->\n\n{texts.get(name, MISSING)}\n\n"
        f"<!-- end: {name} -->"
        for name, (title, command) in SECTIONS.items()
    ]
    return "\n\n".join([HEAD, *parts]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def ratio(ratios: Sequence[float]) -> str:
    """Return the median of some ratios, with their range."""
    return f"{median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""


def difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return by how many points accuracies exceed others, pair by pair, with the 95 % interval if it has bounds."""
    found = mean_interval(100 * (np.array(ours) - np.array(theirs)))
    bounds = found.bounds()
    return f"{found.estimate:+.2f}" + (f" ({bounds[0]:+.2f} to {bounds[1]:+.2f})" if bounds else "")


def apart(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return by how many points accuracies exceed others in the mean, with the 95 % interval of Welch's t."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of values that are all the same, or one
        low, high = ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    bounds = "" if np.isnan(low) else f" ({100 * low:+.2f} to {100 * high:+.2f})"
    return f"{100 * (mean(ours) - mean(theirs)):+.2f}{bounds}"


def machine(*packages: str) -> str:
    """Return what was measured on and with: processor, device, versions, commit."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    parts = [processor(), describe(choose_device()), f"torch {torch.__version__}", versions, platform.system()]
    return f"{', '.join(part for part in parts if part)}, commit {commit()}."


def processor() -> str:
    """Return the processor's name."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    best = torch.backends.cpu.get_cpu_capability()
    return f"{names[0] if names else platform.processor()} ({best})"


def commit() -> str:
    """Return the commit that was measured."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
