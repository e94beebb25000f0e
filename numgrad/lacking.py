"""What numgrad does not have, said at the place where it is asked for, with what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

#: names of the top level that scripts ask for, and what to write instead
INSTEAD = {
    "sparse_coo_tensor": "use a dense tensor",
    "sparse_csr_tensor": "use a dense tensor",
    "xpu": "numgrad computes on the CPU",
    "mps": "numgrad computes on the CPU",
    "complex": "keep the real and the imaginary part in two tensors, or in a last dimension of size 2",
    "polar": "keep cosine and sine, or the last dimension of size 2, in real tensors",
    "view_as_complex": "keep the last dimension of size 2 and multiply its halves",
    "view_as_real": "numbers are real already",
    "stft": "use `numpy.fft` on `tensor.numpy()`",
    "istft": "use `numpy.fft` on `tensor.numpy()`",
    "from_file": "use `numpy.memmap` and `from_numpy`",
}


class Lacks(AttributeError, NotImplementedError):
    """Raised for a name that PyTorch has and numgrad lacks."""


def refuse(module: str, name: str, instead: str | None = None) -> NoReturn:
    """Raise: a module has no such name, and what to use instead."""
    known = "" if instead is None else f": {instead}"
    raise Lacks(f"{module} has no '{name}'{known}", name=name)


def refused(what: str, instead: str, error: type[Exception] = NotImplementedError) -> Any:
    """A function of this name that always raises, and says what to do instead."""

    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise error(f"numgrad has no {what}: {instead}")

    function.__name__ = function.__qualname__ = what.rpartition(".")[2]
    function.__doc__ = f"Always an error: {instead}."
    function.lacking = True  # type: ignore[attr-defined]
    return function
