"""Which rows are held out: drawn class by class, from a seed."""

import torch
from torch import Tensor

SPLIT_SEED = 20241121
"""Seed of every split: the day of the article whose claim is on trial. Changing it changes every figure, so it goes
into every study by way of the data's fingerprint."""


def stratified_split(labels: Tensor, held_out: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to keep and rows held out, both ascending; `held_out` of them are drawn by `seed`, class by class.

    labels: int64 (n,) on the CPU, n >= held_out. Each class's number of held-out rows differs from its exact share
    by less than one (largest remainders).
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label, quota in enumerate(_quotas(torch.bincount(labels), held_out)):
        rows = (labels == label).nonzero().flatten()
        chosen[rows[torch.randperm(len(rows), generator=generator)[:quota]]] = True
    return (~chosen).nonzero().flatten(), chosen.nonzero().flatten()


def _quotas(counts: Tensor, total: int) -> list[int]:
    shares = counts * total  # in units of 1 / counts.sum(), so that the arithmetic is exact
    quotas = shares // counts.sum()
    largest = (shares % counts.sum()).argsort(descending=True, stable=True)
    quotas[largest[: total - int(quotas.sum())]] += 1
    return [int(quota) for quota in quotas]
