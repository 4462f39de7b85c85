"""Many at once."""

import threading
from collections.abc import Callable


def at_once(count: int, work: Callable[[], object]) -> list[BaseException]:
    """Do the same in so many threads at once; return what they raised."""
    errors: list[BaseException] = []

    def one() -> None:
        try:
            work()
        except BaseException as error:  # told to who asked
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
