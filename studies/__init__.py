"""One file per study: its question, search space, fixed trials, sampler, pruner and protocol."""
