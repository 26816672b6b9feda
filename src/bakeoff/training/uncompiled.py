"""Keeps torch's compiler out of processes that compile nothing.

torch's optimizers mark a few of their methods for `torch.compile`, and import the compiler for it
when they are first called. That takes a second of every worker's start. Here the methods do the
same without the marks until something else has imported the compiler, and with them from then on.
"""

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import torch
from torch.optim import Optimizer

COMPILER = "torch._dynamo"
MARKED_FORM = "__dynamo_disable"
"""Where torch keeps the marked form of a function, so that it makes it only once."""


def leave_compiler_out() -> None:
    """Let torch's optimizers work without its compiler; call this before the first one is built.

    Methods that another release of torch marks in other ways stay as they are.
    """
    for name in vars(Optimizer):
        outer = getattr(Optimizer, name)
        inner = getattr(outer, "__wrapped__", None)
        if _imports_compiler(outer, "_disable_dynamo") and not hasattr(inner, MARKED_FORM):
            setattr(inner, MARKED_FORM, _unmarked(inner, outer))
    for kind in _optimizers():
        step = vars(kind).get("step")
        if _imports_compiler(step, "_use_grad_for_differentiable"):
            kind.step = _without_breaks(step)  # type: ignore[method-assign]


def _optimizers() -> Iterator[type[Optimizer]]:
    """The classes of optimizers that torch has."""
    for one in vars(torch.optim).values():
        if isinstance(one, type) and issubclass(one, Optimizer) and one is not Optimizer:
            yield one


def _imports_compiler(method: Any, maker: str) -> bool:
    """Whether a method was wrapped by torch's function `maker`, and so imports the compiler."""
    return hasattr(method, "__wrapped__") and method.__code__.co_qualname.startswith(f"{maker}.")


def _unmarked(inner: Any, outer: Callable[..., Any]) -> Callable[..., Any]:
    """`inner`, which `outer` calls; once the compiler is there, `outer` makes its marked form."""

    @wraps(inner)
    def method(*args: Any, **kwargs: Any) -> Any:
        if COMPILER not in sys.modules:
            return inner(*args, **kwargs)
        delattr(inner, MARKED_FORM)
        return outer(*args, **kwargs)

    return method


def _without_breaks(step: Any) -> Callable[..., Any]:
    """A `step` as torch wraps it: gradients are recorded only where the optimizer asks for it."""
    inner = step.__wrapped__

    @wraps(step)
    def method(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if COMPILER in sys.modules:
            return step(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return inner(self, *args, **kwargs)

    return method
