"""A store that times itself: how long the engine waits for SQL and sampler."""

import inspect
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from search.store.study import StudyStore


@dataclass
class Clocked:
    """Stands before a store and adds up the seconds that each of its public methods takes; the rest passes through."""

    store: StudyStore
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # of each call, by method
    ended: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # when, by `time.perf_counter`

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        return self._timing(name, found) if inspect.ismethod(found) else found

    def _timing(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.ended[name].append(time.perf_counter())
                self.seconds[name].append(self.ended[name][-1] - start)

        return timed

    def summary(self) -> dict[str, tuple[int, float]]:
        """Return calls and seconds of each method, the costliest first."""
        found = {name: (len(each), sum(each)) for name, each in self.seconds.items()}
        return dict(sorted(found.items(), key=lambda item: -item[1][1]))
