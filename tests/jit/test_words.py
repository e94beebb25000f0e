"""Words of memory: every change of a dictionary, list or closure is seen, and reading is not taken for one."""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from numgrad.jit import words

pytestmark = pytest.mark.skipif(not words.supported(), reason="this interpreter's dictionaries have no versions")


def _sees(addresses: list[int], change: Callable[[], Any]) -> bool:
    watched = words.Words(addresses)
    assert watched.same()
    change()
    return not watched.same()


@pytest.mark.parametrize("make", [dict, OrderedDict])
@pytest.mark.parametrize("change", [
    lambda d: d.update(a=2), lambda d: d.pop("a"), lambda d: d.clear(), lambda d: d.setdefault("new"), lambda d: d.popitem(), lambda d: d.__setitem__("b", 0),
])  # fmt: skip
def test_dictionaries(make: Any, change: Any) -> None:
    d = make(a=1.5, b=2.5)
    assert _sees(words.dict_words(d), lambda: change(d))


def test_reading_a_dictionary_is_no_change() -> None:
    d = {"a": 1, "b": [2]}
    watched = words.Words(words.dict_words(d))
    assert d["a"] + len(d) + len(list(d.items())) + ("c" in d) == 5
    d["b"].append(3)  # of another object
    assert watched.same()


@pytest.mark.parametrize("change", [lambda x: x.append(0), lambda x: x.pop(), lambda x: x.__setitem__(0, None), lambda x: x.reverse(), lambda x: x.clear()])
def test_lists(change: Any) -> None:
    items = ["first", "second", "third"]
    assert _sees(words.list_words(items), lambda: change(items))


def test_a_list_that_has_moved_is_not_read() -> None:
    items = [None] * 3
    watched = words.Words(words.list_words(items))
    items.extend([0] * 100_000)  # its items lie elsewhere now
    assert not watched.same()


def test_closures_and_attributes() -> None:
    value = 1.5

    def change() -> None:
        nonlocal value
        value += 1

    class Holder:
        pass

    holder: Any = Holder()
    holder.a = 1
    assert _sees(words.cell_words(change.__closure__[0]), change)  # type: ignore[index]
    assert _sees(words.dict_words(vars(holder)), lambda: setattr(holder, "a", 2))


def test_what_is_compared_lives_as_long_as_the_comparison() -> None:
    d = {"a": 1}
    same = words.Words(words.dict_words(d) * 1000).same  # nobody holds the object itself
    gc.collect()
    [bytearray(8000) for _ in range(100)]  # would lie where the words lay
    assert same()
    d["a"] = 2
    assert not same()
