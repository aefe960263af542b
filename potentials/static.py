"""Compile-time constants of a kernel, passed as an argument.

A kernel that exists in many variants (precision, request, formula) takes a frozen dataclass of
constants as its first argument.  The dataclass becomes a Numba type of its own for every set of
values, so each variant is compiled by itself; helpers pick their form with `overload`, looking at
the values while they are typed.  Closures would do the same, but a closure over other compiled
functions has no stable name, and Numba's cache on disk would miss in every process.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from numba import types
from numba.core.extending import models, register_model
from numba.extending import NativeValue, overload, typeof_impl, unbox

INLINED = {"forceinline": True, "error_model": "numpy"}


@dataclass(frozen=True)
class Static:
    """Base of the dataclasses whose values are known at compile time."""

    def __post_init__(self) -> None:
        # Where Numba looks first: without it the type would be made anew at every call.
        object.__setattr__(self, "_numba_type_", StaticType(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its values: the type that it carries refers back to it."""
        return type(self), tuple(getattr(self, f.name) for f in fields(self))


class StaticType(types.Type):
    """Numba type of one value of a Static; `value` is it."""

    def __init__(self, value: Static):
        self.value = value
        super().__init__(name=repr(value))


@typeof_impl.register(Static)
def _typeof(value: Static, context: Any) -> StaticType:
    return StaticType(value)


register_model(StaticType)(models.OpaqueModel)


@unbox(StaticType)
def _unbox(typ: StaticType, obj: Any, c: Any) -> NativeValue:
    return NativeValue(c.context.get_dummy_value())


def variant(function: Any) -> Any:
    """Decorator of functions that choose an implementation by the Static value they are given.

    The function gets the value of its first argument and returns what is to be inlined; its name
    becomes one to call from compiled code:

        @variant
        def summand(mode):
            if mode.deterministic:
                return lambda mode, v, unit: ...
            return lambda mode, v, unit: v
    """
    def stub(*args: Any) -> Any:
        raise NotImplementedError("only inside compiled code")

    stub.__name__ = function.__name__

    def choose(mode: Any, *args: Any) -> Any:
        return function(mode.value) if isinstance(mode, StaticType) else None

    overload(stub, jit_options=INLINED, strict=False)(choose)
    return stub
