"""What a trial's network says of a picture."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from optuna.trial import FrozenTrial
from torch import nn

from model.data.digit import Digit
from model.fleet.family import Family
from search.training.artifacts import Artifacts
from search.training.replay import Recipe, replayed


@dataclass(frozen=True)
class Answer:
    """What a network says of a picture."""

    digit: int
    probabilities: list[float]  # of 0 to 9, their sum is 1


@torch.no_grad()
def answer(model: nn.Module, digit: Digit) -> Answer:
    """Classify a picture, scaled as the training images were."""
    logits = model(digit.pixels.to(next(model.parameters()).device).float().div_(255))
    probabilities = logits.double().softmax(1)[0].tolist()
    return Answer(int(logits.argmax()), probabilities)


def trained_network(
    artifacts: Artifacts, trial: FrozenTrial, family: Family, recipe: Callable[[], Recipe], say: Callable[[str], None]
) -> tuple[nn.Module, str]:
    """Return a trial's network and where it comes from: its stored weights or, where there are none, training again."""
    stored = artifacts.weights(trial, family)
    if stored is not None:
        return stored, "stored weights"
    say(f"no weights of trial {trial.number} in {artifacts.directory}: training it again")
    replay = replayed(trial, recipe())
    if not replay.repeats(trial):
        return replay.network, "trained again; not identical to the stored figures"
    try:
        artifacts.put(trial, replay.network)
    except OSError as error:
        return replay.network, f"trained again, identical; its weights cannot be stored: {error.strerror}"
    return replay.network, "trained again, identical; its weights are stored now"
