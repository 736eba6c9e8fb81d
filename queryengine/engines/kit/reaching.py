"""Which names of a statement wait, or reach beyond the tenant's own data: settings, locks, other sessions, other SQL,
files and networks. One list for each dialect, beside its adapter.

The lists are of what is known. Where an engine can say more of itself, its worker refuses more.
"""

from collections.abc import Iterable
from functools import cache
from typing import Self

from queryengine.engines.kit.calls import computing


class Reaching:
    """Names in lower case; `x*` in the file stands for all that begin with x."""

    def __init__(self, names: Iterable[str]) -> None:
        entries = frozenset(names)
        self._names = frozenset(each for each in entries if not each.endswith("*"))
        self._beginnings = tuple(each[:-1] for each in entries if each.endswith("*"))

    @classmethod
    @cache
    def listed(cls, package: str, file: str = "reaching.txt") -> Self:
        """Those in a file of a package, in the format of `computing`."""
        return cls(computing(package, file))

    def __contains__(self, name: object) -> bool:
        return name in self._names or (isinstance(name, str) and name.startswith(self._beginnings))

    def among(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(name for name in names if name in self)
