"""Fleets that train at the same time, each with threads of its own, served in an order that no clock decides.

Threads that share every product wait for each other at every product. On 2 cores two fleets with a thread each get more
done than one with both, and while one's trials are scored and stored, the other trains on. A fleet that is the only one
with networks left, at a search's end, has the threads of all.

What the sampler proposes depends on which trials have ended before. So that a search repeats itself, the fleet to be
served next is not the one that happens to end its epoch first, but the one that would if a unit of cost always took as
long. Where a network's cost is misjudged, the other fleet waits: so it is an estimate from what a step does.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

import torch

from model.data.samples import Samples
from model.fleet.fleet import ARTICLE_BATCH, Fleet
from model.threads import using

AT_ONCE = 2  # fleets on a CPU with as many threads or more
TURN = 5e-5  # seconds that a thread may keep Python to itself while another wants it
SHARED = 50  # what listing minibatches and the like cost in an epoch of any fleet, in units: as measured


@dataclass(eq=False)
class FleetTask:
    """Where a fleet trains."""

    fleet: Fleet
    threads: int = 0  # of the epoch under way
    epoch: Future[float] | None = None  # the seconds that it takes
    due: int = 0  # when it ends, by what epochs cost

    @property
    def busy(self) -> bool:
        """Whether it trains, or has what to train."""
        return self.epoch is not None or bool(self.fleet.members)


class Fleets:
    """A device's fleets, all of one order seed; a context manager, in which the CPU's threads are theirs.

    `after` is called with a fleet that has trained an epoch, in the fleet's own thread, while others train on.
    """

    def __init__(
        self,
        images: Samples,
        order_seed: int,
        batch: int = ARTICLE_BATCH,
        after: Callable[[Fleet], None] | None = None,
    ) -> None:
        self.images = images
        self.order_seed = order_seed
        self.batch = batch
        self.after = after
        self._now = 0
        self._tasks: list[FleetTask] = []
        self.background: list[FleetTask] = []  # each beside the task of the same place

    def __enter__(self) -> "Fleets":
        count, self._threads, self._turn = 1, torch.get_num_threads(), sys.getswitchinterval()
        # A fleet needs Python a moment for each of an epoch's 6,000 products and the like. By Python's default a busy
        # thread, the one that talks to the database, lets it wait 5 ms each time: an epoch then took 40 s, not 2.
        sys.setswitchinterval(TURN)
        if self.images.device.type == "cpu":
            count = min(AT_ONCE, self._threads)
            torch.set_num_threads(self._threads // count)
        self._pool = ThreadPoolExecutor(count)
        self._tasks = [FleetTask(self.fleet(number)) for number in range(count)]
        self.background = [FleetTask(self.fleet(number)) for number in range(count)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()  # waits for epochs under way
        torch.set_num_threads(self._threads)
        sys.setswitchinterval(self._turn)

    def fleet(self, number: int, clock: int = 0) -> Fleet:
        """Make one of them."""
        return Fleet(self.images, self.order_seed, self.batch, clock, number)

    def __iter__(self) -> Iterator[Fleet]:
        return (task.fleet for task in self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def least_loaded(self, capacity: int) -> Fleet | None:
        """Return the emptiest fleet that is not training, if it has not its share of so many units yet."""
        resting = [task.fleet for task in self._tasks if task.epoch is None]
        return self._emptiest(resting, capacity)

    def _emptiest(self, fleets: Iterable[Fleet], capacity: int) -> Fleet | None:
        """Return the emptiest of these fleets, if it has not its share of so many units yet."""
        fleet = min(fleets, key=lambda fleet: fleet.units, default=None)
        return fleet if fleet is not None and fleet.units * len(self) < capacity else None

    def in_background(self, order_seed: int, capacity: int) -> Fleet | None:
        """Return the emptiest fleet in the background of this order that has not begun and has not its share of so many
        units yet, a new one where a place is free; None if there is none."""
        resting = self._resting_in_background()
        for place in resting:
            if not place.fleet.members:
                place.fleet = Fleet(self.images, order_seed, self.batch, 0, place.fleet.number)
        joinable = [place.fleet for place in resting if (place.fleet.order_seed, place.fleet.clock) == (order_seed, 0)]
        return self._emptiest(joinable, capacity)

    def take_over(self, other: "Fleets") -> None:
        """Let what was in the background of other fleets of the device, which have ended, go on in this one's."""
        self.background = other.background or self.background

    def has_room_in_background(self, capacity: int) -> bool:
        """Return whether a network could begin in the background, of which fleets are to have so many units."""
        begin = [
            place.fleet for place in self._resting_in_background() if not (place.fleet.members and place.fleet.clock)
        ]
        return self._emptiest(begin, capacity) is not None

    def _resting_in_background(self) -> list[FleetTask]:
        """Return the places that wait for networks, or for an epoch that may begin."""
        return [place for task, place in self._places() if not task.busy and place.epoch is None]

    def _places(self) -> Iterator[tuple[FleetTask, FleetTask]]:
        return zip(self._tasks, self.background, strict=True)

    def start(self) -> None:
        """Have every fleet that is at rest, and has networks, train an epoch; return at once."""
        busy = [task for task in self._tasks if task.busy]
        share = self._threads // len(self)
        for task in busy:
            if task.epoch is None:
                task.due = self._now + SHARED + task.fleet.cost
                self._begin(task, self._threads if len(busy) == 1 else share)
        for place in self._resting_in_background():
            if place.fleet.members:
                self._begin(place, share)  # never more, so that its bits do not depend on what else trains

    def _begin(self, task: FleetTask, threads: int) -> None:
        task.threads = threads
        task.epoch = self._pool.submit(self._train, task.fleet, threads)

    def train_next(self) -> tuple[Fleet, float]:
        """Train; return the fleet whose epoch is due first, and the device's seconds it took: of all of its threads.

        Or one in the background that has ended an epoch before. It is at rest until the next call, and may be joined
        and left. Raises what training, or `after`, raised.
        """
        self.start()
        task = self._next_ended()
        assert task.epoch is not None
        epoch, task.epoch = task.epoch, None
        return task.fleet, epoch.result() * task.threads / self._threads

    def _next_ended(self) -> FleetTask:
        """Wait for the epoch that is due first, or any in the background."""
        first = min((task for task in self._tasks if task.epoch is not None), key=lambda task: task.due, default=None)
        running = [*([first] if first else []), *(place for place in self.background if place.epoch is not None)]
        wait([task.epoch for task in running if task.epoch is not None], return_when=FIRST_COMPLETED)
        ended = next(task for task in running if task.epoch is not None and task.epoch.done())
        if ended is first:
            self._now = ended.due
        return ended

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Give the device and all its threads to who calls, when the epochs under way have ended."""
        wait([task.epoch for task in (*self._tasks, *self.background) if task.epoch is not None])
        with using(self._threads):
            yield

    def renew(self) -> None:
        """Drop all networks, when training has come to an end; clocks go on."""
        for task in (*self._tasks, *self.background):
            if task.epoch is not None:
                task.epoch.exception()
            task.epoch = None
            task.fleet = self.fleet(task.fleet.number, task.fleet.clock)

    def _train(self, fleet: Fleet, threads: int) -> float:
        start = time.perf_counter()
        with using(threads):
            fleet.train_epoch()
        seconds = time.perf_counter() - start
        if self.after is not None:
            self.after(fleet)
        return seconds
