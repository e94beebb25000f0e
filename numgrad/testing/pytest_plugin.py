"""`pytest --numgrad-ops mypackage`: every check of every op that a package registers is a test.

pytest loads this file in every run of its own, under the name `numgrad_pytest_plugin` outside of the package, so that nothing of
numgrad is imported unless the option is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("numgrad")
    try:
        group.addoption("--numgrad-ops", action="append", default=[], metavar="PACKAGE",
                        help="check every op that this package or module registers with numgrad (may be repeated)")  # fmt: skip
    except ValueError:  # installed, and named by -p as well
        return
    group.addoption("--numgrad-examples", type=int, default=10, metavar="N", help="examples for each check (default: 10)")
    group.addoption("--numgrad-mutate", action="store_true", help="also plant wrong gradients in each op, which the checks must catch")


@pytest.hookimpl(tryfirst=True)  # before items are selected by -k and -m
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the items."""
    known = {item.nodeid for item in items}
    for package in dict.fromkeys(config.getoption("numgrad_ops")):
        items += [item for item in _items(session, config, package) if item.nodeid not in known]


def _items(session: pytest.Session, config: pytest.Config, package: str) -> Iterator[pytest.Item]:
    import importlib

    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or not (package + ".").startswith(error.name + "."):
            raise
        raise pytest.UsageError(f"--numgrad-ops: there is no package or module {package!r}") from error
    from numgrad.ops import REGISTRY
    from numgrad.testing.suite import checks_of

    ops = [op for op in REGISTRY.values() if (op.module + ".").startswith(package + ".")]
    if not ops:
        raise pytest.UsageError(f"--numgrad-ops: importing {package!r} registers no op; name the module that does")
    for op in ops:
        names = checks_of(op)
        if op.sample is None and op.public:
            names = ["sample", *names]
        if op.sample is not None and config.getoption("numgrad_mutate"):
            names = [*names, "mutants"]
        for name in names:
            yield OpItem.from_parent(session, name=f"{package}::{op.name}::{name}", op=op, check=name)


class OpItem(pytest.Item):
    """One check of one op."""

    def __init__(self, *, op: Any, check: str, **rest: Any):
        super().__init__(**rest)
        self.op, self.check = op, check

    def runtest(self) -> None:
        """Run the check."""
        from numgrad.testing import mutate
        from numgrad.testing.suite import CheckError, run_check

        if self.check == "sample":
            raise CheckError(f"{self.op.name}: declares no sample, so that nothing can be checked; see `numgrad.ops.op`")
        if self.check == "mutants":
            found = mutate(self.op)
            if found.survivors:
                raise CheckError(f"{self.op.name}: its sample does not tell these from right gradients:\n" + "\n".join(map(str, found.survivors)))
            return
        run_check(self.op, self.check, self.config.getoption("numgrad_examples"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The message alone, where that says it all."""
        from numgrad.testing.suite import CheckError

        if isinstance(excinfo.value, CheckError) and isinstance(excinfo.value.__cause__, (AssertionError, type(None))):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where the op is registered."""
        import sys

        return getattr(sys.modules.get(self.op.module), "__file__", self.op.module), None, f"{self.op.name}: {self.check}"
