"""Is what going on was expected to gain what it then gained? Searches of 25 trials, and the same searches of 50.

    python -m benchmarks.going_on                  simulated searches, and real ones of the digits' studies
    python -m benchmarks.going_on --real 0 0       the simulated ones alone

A gain is that of the setting that is chosen: its expected accuracy, not what its trial showed. In simulated searches it
is known; in real ones both settings are trained from fresh seeds and scored on the validation data. Simulated trials
are proposed and stopped by the studies' own samplers and pruners. Every draw comes from a search's seed.
"""

import argparse
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import TrialState
from rich.console import Console

from benchmarks import results
from model.seeds import derive
from search.results.gain import Gain, expected_gain
from search.results.tried import Tried
from search.store.storage import open_storage
from search.store.study import open_study
from search.store.trials import value
from search.training.display import Lines
from search.training.engine import CAPACITY, Engine
from search.workers.catalogue import Catalogue
from studies.file import StudyFile, read_study
from studies.search_spec import search_spec
from studies.spec import StudySpec
from studies.terms import Terms

EXAMPLES = Path(__file__).parents[1] / "examples"
FILES = ("digits_layers.py", "digits_dropout.py")  # proposed by TPE, with conditions; by our Gaussian process
TRIALS, MORE = 25, 25
FRESH = 16  # seeds that a setting of a real search is trained from
LUCK, NOISE = 0.05, 0.07  # of the logarithm of a simulated trial's errors: its own, and a single score's

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """What was expected of one search, and what came; in points."""

    expected: Gain | None
    came: float
    error: float = 0.0  # standard error of what came
    shown: float = 0.0  # by how much the best value rose, luck included


def simulated(file: StudyFile, spec: StudySpec, seed: int) -> Told:
    """Search a made-up surface."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", pruner=spec.pruner)
    rng = np.random.default_rng(derive(seed, "simulated"))
    assert spec.baseline
    study.enqueue_trial(dict(spec.baseline))
    for number in range(TRIALS + MORE):
        study.sampler = spec.sampler(derive(seed, "sampler", number) % 2**32)
        trial = study.ask()
        _simulate(study, trial, spec, rng)
    terms = Terms.of_search(spec, file.study)
    ended = [t for t in study.trials if t.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    before, after = (Tried.of(ended[:count], terms, seed) for count in (TRIALS, TRIALS + MORE))
    truths, shown = [], []
    for tried in (before, after):
        truths.append(-math.exp(-level(dict(tried.settings[tried.best]), spec.epochs, spec.epochs)))
        shown.append(tried.scale.value(tried.levels[tried.best]))
    return Told(expected_gain(before, MORE), 100 * (truths[1] - truths[0]), shown=100 * (shown[1] - shown[0]))


def _simulate(study: optuna.Study, trial: optuna.Trial, spec: StudySpec, rng: np.random.Generator) -> None:
    params, luck = spec.space.suggest(trial), LUCK * rng.standard_normal()
    for epoch in spec.report_epochs:
        found = 1 - math.exp(-level(params, epoch, spec.epochs) - luck - NOISE * rng.standard_normal())
        trial.report(found, epoch)
        if epoch < spec.epochs and trial.number and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return
    study.tell(trial, found)


def level(params: Params, epoch: int, epochs: int) -> float:
    """Return minus the logarithm of a made-up setting's error: wide is better, at a rate of its own; dropout helps."""
    widths = [params[name] for name in params if name.startswith("units")]
    rate = math.log10(params["lr"])
    end = 2.2 + 0.35 * math.log(median(widths) / 8) / math.log(2) - 0.1 * (len(widths) - 2) ** 2
    end += 0.6 * params.get("dropout", 0.0) - 1.2 * (rate + 2 + 0.1 * len(widths)) ** 2
    return max(end, 0.1) * (1 - math.exp(-3 * epoch / epochs * 10 ** (0.4 * (rate + 2)) - 0.3))


def real(file: StudyFile, catalogue: Catalogue, seed: int) -> Told:
    """Search, go on, and train what was chosen from fresh seeds."""
    data = catalogue.data_of(file)
    spec = search_spec(file, data, "going-on")
    with tempfile.TemporaryDirectory() as directory:
        store = open_study(open_storage(f"sqlite:///{directory}/s.db", create=True), spec, seed)
        states = []
        for count in (TRIALS, TRIALS + MORE):
            store.set_budget(count)
            Engine(store, data, CAPACITY["cpu"], Lines(store, count, Console(quiet=True))).search(lambda: False)
            states.append(store.state())
    before = Tried.of(states[0].finished, states[0].terms, seed)
    first, then = (state.completed()[0] for state in states)
    shown = 100 * (value(then) - value(first))
    if first.number == then.number:
        return Told(expected_gain(before, MORE), 0.0, shown=shown)
    fresh = [derive(seed, "fresh", k) for k in range(FRESH)]
    gains = [
        100 * (_trained(file, spec, data, then.params, one) - _trained(file, spec, data, first.params, one))
        for one in fresh
    ]
    return Told(expected_gain(before, MORE), fmean(gains), stdev(gains) / math.sqrt(FRESH), shown)


def _trained(file: StudyFile, spec: StudySpec, data: Any, params: Params, seed: int) -> float:
    """Return the validation score of a setting after a full trial from this seed."""
    network = spec.family.build(params, seed)
    optimizer = file.study.optimizer.over(network.parameters(), params)
    generator = torch.Generator().manual_seed(derive(seed, "order"))
    torch.manual_seed(derive(seed, "masks"))
    for _ in range(spec.epochs):
        for index in torch.randperm(len(data.train), generator=generator).split(spec.batch):
            loss = spec.family.criterion(network(data.train.inputs_at(index)), data.train.targets[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return float(spec.family.score(network.eval(), data.validation).value)


def row(name: str, told: Iterable[Told]) -> list[str]:
    """Return a line of the table: searches, what was expected and came, bias, coverage."""
    every = list(told)
    known = [(each.expected, each) for each in every if each.expected]
    expected = [100 * gain.mean for gain, _ in known]
    came = [each.came for _, each in known]
    # What came is measured: it lies outside where even its own 95 % interval does.
    inside = [100 * g.low - 1.96 * each.error <= each.came <= 100 * g.high + 1.96 * each.error for g, each in known]
    bias = np.array(expected) - np.array(came)
    widths = [100 * (gain.high - gain.low) for gain, _ in known]
    return [
        name,
        f"{len(known)} of {len(every)}",
        f"{fmean(expected):.2f}",
        f"{fmean(came):.2f}",
        f"{bias.mean():+.2f} ± {1.96 * bias.std(ddof=1) / math.sqrt(len(bias)):.2f}",
        f"{fmean(each.shown for _, each in known):.2f}",
        f"{sum(inside)} of {len(inside)}",
        f"{median(widths):.2f}",
    ]


def _shown(told: Iterable[Told]) -> Iterator[Told]:
    for each in told:
        print(each, flush=True)
        yield each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulated", type=int, nargs=2, default=[60, 20], help="searches of each study")
    parser.add_argument("--real", type=int, nargs=2, default=[10, 10], help="searches of each study")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    catalogue, rows = Catalogue(torch.device("cpu"), None, None, print), []
    for k, name in enumerate(FILES):
        file = read_study(EXAMPLES / name)
        spec = search_spec(file, catalogue.data_of(file), "going-on")
        for kind, count, one in (
            ("simulated", asked.simulated[k], partial(simulated, file, spec)),
            ("real", asked.real[k], partial(real, file, catalogue)),
        ):
            if count > 1:
                rows.append(row(f"{name}, {kind}", _shown(map(one, range(count)))))
                print(rows[-1], flush=True)
    head = ("study", "searches with an expectation", "expected", "came", "expected less came", "best value rose by",
            "came in the 95 % interval", "its width, median")  # fmt: skip
    text = f"Points of accuracy, means over searches: {TRIALS} trials, then {MORE} more. {results.machine('optuna')}"
    results.write("going-on", f"{text}\n\n{results.table(head, rows)}")


if __name__ == "__main__":
    main()
