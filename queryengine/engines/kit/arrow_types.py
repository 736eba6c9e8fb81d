"""What an engine has for Arrow's types: flat ones from a table, all others by their family, from the outside in."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import pyarrow as pa

T = TypeVar("T")


class TypeTable(Generic[T]):
    """Where a family is made of further types, such as the element of a list, it asks the same table for them."""

    def __init__(
        self,
        product: str,
        flat: Mapping[pa.DataType, T],
        families: Mapping[Callable[[pa.DataType], bool], Callable[[pa.DataType], T]],
    ) -> None:
        """The first family that matches a type says what there is for it. `product` is the engine's name for people."""
        self._product = product
        self._flat = flat
        self._families = families

    def of(self, arrow: pa.DataType) -> T:
        """Raises ValueError when there is nothing."""
        if arrow in self._flat:
            return self._flat[arrow]
        for matches, make in self._families.items():
            if matches(arrow):
                return make(arrow)
        raise ValueError(f"{self._product} has no type for {arrow}")


def is_any_list(arrow: pa.DataType) -> bool:
    """Of any number of elements, of very many, or of a fixed number."""
    return bool(pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow))
