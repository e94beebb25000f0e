"""All tests: `python -m tests`. What follows goes to pytest: `python -m tests -k softmax`.

There are two lanes. Without the JIT, kernels run as plain Python: nothing is compiled, so every op can be tried on many
samples. Then everything runs once more on real kernels, with few samples an op. Each lane is a pytest run of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LANES = [
    ("kernels as plain Python", {"NUMBA_DISABLE_JIT": "1"}, ["tests/test_ops.py", "tests/test_testing.py", "tests/testing", "tests/ops/test_scalar.py"]),
    ("real kernels", {"NUMBA_DISABLE_JIT": "0"}, ["tests"]),
]
NOTHING_COLLECTED = 5


def workers() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main(arguments: list[str]) -> int:
    """Run both lanes; 0 if both pass."""
    failed = []
    for title, settings, paths in LANES:
        print(f"--- {title} ---", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers()), *paths, *arguments]
        code = subprocess.call(command, cwd=ROOT, env=os.environ | settings)
        if code and not (arguments and code == NOTHING_COLLECTED):
            failed.append(title)
    print(f"failed: {', '.join(failed)}" if failed else "both lanes passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
