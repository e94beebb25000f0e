"""usage: python -m perf parity [--data DIR]

parity: train two networks side by side in PyTorch and numgrad, from the same weights and data, and compare the losses.
"""

import argparse

from . import parity


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__.split("\n\n")[1])
    commands = parser.add_subparsers(required=True)
    parity.add_arguments(commands.add_parser("parity", help="losses of training beside PyTorch's"))
    options = parser.parse_args()
    options.run(options)


main()
