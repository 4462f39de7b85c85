"""Every random draw of the project comes from a seed made here, so that a stored seed replays it."""

import hashlib


def derive(seed: int, *path: str | int) -> int:
    """Return the child of `seed` that `path` names: same seed and path, same child, on every machine.

    Hashing keeps children independent where adding (`seed + trial`) would let two studies share streams.
    The result fits `torch.Generator.manual_seed` and, cut to 32 bits, NumPy's legacy seeding.
    """
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1
