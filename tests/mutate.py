"""Would the tests notice? Plants mistakes in every gradient rule, one at a time, and runs the gradient checks.

    python -m tests.mutate            every op (takes a while)
    python -m tests.mutate softmax    the rules that softmax's samples walk

The mistakes are those of `numgrad.testing.mutate`, planted in the rules of registered ops and of the formulas derived from them,
also where only another op reaches them. Survivors are listed; there should be none.
"""

from __future__ import annotations

import os
import sys

os.environ["NUMBA_DISABLE_JIT"] = "1"  # nothing to compile, so a mutant costs milliseconds

from numgrad.ops import REGISTRY
from numgrad.testing.mutation import Mutation, mutants, survey


def mutate_all(names: list[str], part: float = 1.0) -> Mutation:
    """The mutants of all rules that the samples of these ops reach (of a part of the rules, evenly chosen), survivors printed."""
    places = list(survey([REGISTRY[name] for name in names]).items())
    found = Mutation()
    for place, calls in places[:: max(1, round(1 / part))]:
        for mutant in mutants(place, calls):
            found.append(mutant)
            if mutant.survived:
                print(mutant, flush=True)
    return found


def sampled() -> list[str]:
    """The ops that can be called by sample."""
    return [name for name, op in REGISTRY.items() if op.sample is not None]


def main(names: list[str]) -> int:
    """Print the tally; 1 if a mutant survives."""
    unknown = [n for n in names if n not in REGISTRY]
    if unknown:
        print(f"no such op: {', '.join(unknown)}")
        return 2
    found = mutate_all(names or sampled())
    print(found.tally())
    return 1 if found.survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
