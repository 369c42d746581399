"""Keep freed memory, so that large tensors cost no page faults."""

from __future__ import annotations

import ctypes
import sys

# Names and values from glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST_INT = 2**31 - 1


def keep_freed_memory(top_pad_bytes: int = 256 * 2**20) -> bool:
    """Ask glibc to reuse freed memory instead of handing it back to the system.

    A tensor of some megabytes is otherwise mapped and unmapped each time, and its first writes are page faults. The
    results are the same to the bit. `benchmarks/gan.py` measures what it brings.

    Returns:
        Whether the C library understood; elsewhere than on Linux with glibc nothing happens.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library, such as musl
        return False
    settings = {M_MMAP_THRESHOLD: LARGEST_INT, M_TRIM_THRESHOLD: LARGEST_INT, M_TOP_PAD: top_pad_bytes}
    return all([mallopt(name, value) == 1 for name, value in settings.items()])
