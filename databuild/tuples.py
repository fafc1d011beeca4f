"""`NamedTuple`, which takes a tenth of the time of `typing.NamedTuple` to define.

`typing` compiles the annotation of each field and the constructor when a class is defined. That takes 0.13 ms, a frozen
dataclass takes 0.6 ms, and a build imports a hundred such classes. Here, annotations stay text, and the constructor is
compiled when the first tuple is made, if ever. All other behaviour is that of `typing.NamedTuple`, and type checkers
see that class.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found] # the descriptor of `collections.namedtuple`
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - exported

EMPTY: Final[Mapping[str, Any]] = {}
"""The default of fields that are mappings; its type has no method that changes it."""


class _Tuple(tuple[Any, ...]):
    """The base of all named tuples at run time."""

    __slots__ = ()
    if TYPE_CHECKING:  # set by `_Definition`
        _fields: tuple[str, ...]
        _field_defaults: dict[str, Any]

    def __new__(cls, /, *args: Any, **kwargs: Any) -> Self:
        """Compiles the constructor of the class, replaces this one by it, and calls it."""
        defined = next(ancestor for ancestor in cls.__mro__ if "_fields" in ancestor.__dict__)
        defaults = cls._field_defaults
        parameters = ", ".join(f"{name}=_defaults[{name!r}]" if name in defaults else name for name in cls._fields)
        values = "".join(f"{name}, " for name in cls._fields)
        names = {"_new": tuple.__new__, "_defaults": defaults}
        constructor = eval(f"lambda _cls, {parameters}: _new(_cls, ({values}))", names)  # noqa: S307
        constructor.__name__ = "__new__"
        constructor.__qualname__ = f"{defined.__name__}.__new__"
        defined.__new__ = staticmethod(constructor)  # type: ignore[method-assign]
        return constructor(cls, *args, **kwargs)  # type: ignore[no-any-return]

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> Self:
        made = tuple.__new__(cls, iterable)
        if len(made) != len(cls._fields):
            raise TypeError(f"expected {len(cls._fields)} values, got {len(made)}")
        return made

    def _replace(self, /, **changes: Any) -> Self:
        made = self._make(map(changes.pop, self._fields, self))
        if changes:
            raise ValueError(f"there are no fields {list(changes)}")
        return made

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({fields})"

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


class _Definition(type):
    """Makes a subclass of `_Tuple` from the body of a class whose base is `NamedTuple`."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
        if bases == (tuple,):  # `NamedTuple` itself
            return super().__new__(cls, name, bases, body)
        fields = tuple(body.get("__annotations__", ()))
        defaults = {field: body.pop(field) for field in fields if field in body}
        if tuple(defaults) != fields[len(fields) - len(defaults) :]:
            raise TypeError(f"a field of {name} without a default follows one with a default")
        body.update((field, _tuplegetter(index, "")) for index, field in enumerate(fields))
        body |= {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
        return type(name, (_Tuple,), body)  # an ordinary class: its own subclasses may have other attributes


if not TYPE_CHECKING:

    class NamedTuple(tuple, metaclass=_Definition):
        """The base of a class in its source."""
