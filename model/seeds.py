"""Every random draw of the project comes from a seed made here, so that a stored seed replays it."""

import hashlib


def derive(seed: int, *path: str | int) -> int:
    """Return the child of `seed` that `path` names: same seed and path, same child, on every machine.

    Hashing keeps children independent where adding (`seed + trial`) would let two studies share streams.
    The result has 53 bits, so that JSON readers that know only doubles, a browser's among them, show it exactly; cut to
    32 bits it seeds NumPy's legacy generators.
    """
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 11
