"""Texts by chance, which the dialects share: joins, subqueries, common table expressions and set operations over
tables that may be seen, that are hidden, and that do not exist.

`python tests/policies/generated.py duckdb 20000` judges as many on one dialect; `make policies` does so on two.
"""

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from databases import ORACLES  # noqa: E402
from oracle import Oracle  # noqa: E402
from rich.progress import Progress  # noqa: E402

from tests.servers.server import stop_all  # noqa: E402

TABLES = {
    "orders": {"int": ["id", "customer_id", "amount", "qty"], "text": ["status", "note", "card", "created"]},
    "customers": {"int": ["id", "salary"], "text": ["name", "email", "region", "country"]},
    "countries": {"int": [], "text": ["code", "name"]},
}
HIDDEN_TABLES = ["secrets", "ledger", "all_orders", "nowhere"]
HIDDEN_COLUMNS = ["tenant", "owner", "rowid", "ctid"]
WORDS = ["open", "closed", "eu", "us", "asia", "de", "globex", "****1111", "4111111111111111", "hidden"]
HOSTILE = 0.04
"""Of the places where a name may be one that cannot be seen."""


class Texts:
    """One source of texts; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._aliases = 0

    def next(self) -> str:
        self._aliases = 0
        text, _ = self._query(depth=3, defined={})
        return text

    def _query(self, depth: int, defined: dict[str, dict[str, list[str]]]) -> tuple[str, dict[str, list[str]]]:
        """A query, and the names of its columns by their kind."""
        dice, begin = self._dice, ""
        if depth and dice.random() < 0.25:
            # As often as not a name that a table has, too.
            name = dice.choice(["orders", "customers", "cte", "secrets", "Orders", "c2"])
            text, columns = self._query(depth - 1, defined)
            recursive = "RECURSIVE " if dice.random() < 0.1 else ""
            begin, defined = f"WITH {recursive}{name} AS ({text}) ", {**defined, name.lower(): columns}
        text, columns = self._select(depth, defined)
        if depth and not columns["text"] and dice.random() < 0.2:
            other, others = self._select(depth - 1, defined)
            if len(others["int"]) == len(columns["int"]) and not others["text"]:
                text = f"{text} {dice.choice(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])} {other}"
        return begin + text, columns

    def _select(self, depth: int, defined: dict[str, dict[str, list[str]]]) -> tuple[str, dict[str, list[str]]]:
        dice = self._dice
        source, columns = self._source(depth, defined)
        for _ in range(dice.choice([0, 0, 0, 1, 1, 2])):
            kind = dice.choice(["JOIN", "LEFT JOIN", "JOIN", "CROSS JOIN", ","])
            joined, others = self._source(depth, defined)
            on = ""
            if kind not in ("CROSS JOIN", ","):
                on = f" ON {self._condition(0, {k: columns[k] + others[k] for k in columns}, defined)}"
            source = f"{source}{'' if kind == ',' else ' '}{kind} {joined}{on}"
            columns = {k: columns[k] + others[k] for k in columns}
        where = f" WHERE {self._condition(depth, columns, defined)}" if dice.random() < 0.6 else ""
        if dice.random() < 0.25:
            return self._grouped(source, where, columns)
        items, named = list[str](), {"int": list[str](), "text": list[str]()}
        for number in range(dice.randint(1, 3)):
            kind = dice.choice(["int", "int", "text"])
            items.append(f"{self._value(kind, depth, columns, defined)} AS x{number}")
            named[kind].append(f"x{number}")
        distinct = "DISTINCT " if dice.random() < 0.1 else ""
        return f"SELECT {distinct}{', '.join(items)} FROM {source}{where}", named

    def _grouped(self, source: str, where: str, columns: dict[str, list[str]]) -> tuple[str, dict[str, list[str]]]:
        dice = self._dice
        key = self._column(dice.choice(["int", "text"]), columns)
        number = self._column("int", columns)
        outcome = dice.choice([f"sum({number})", "count(*)", f"count(DISTINCT {number})", f"max({number})"])
        having = f" HAVING count(*) > {dice.randint(0, 2)}" if dice.random() < 0.3 else ""
        return f"SELECT {outcome} AS x0 FROM {source}{where} GROUP BY {key}{having}", {"int": ["x0"], "text": []}

    def _source(self, depth: int, defined: dict[str, dict[str, list[str]]]) -> tuple[str, dict[str, list[str]]]:
        dice, alias = self._dice, f"a{self._aliases}"
        self._aliases += 1
        if depth and dice.random() < 0.2:
            text, columns = self._query(depth - 1, defined)
            return f"({text}) AS {alias}", _of(alias, columns)
        name = dice.choice([*TABLES, "orders", "customers", *defined])
        columns = defined.get(name, TABLES.get(name, {"int": ["id"], "text": ["v"]}))
        if dice.random() < HOSTILE:
            name, columns = dice.choice(HIDDEN_TABLES), {"int": ["id"], "text": ["v"]}
        if name not in defined and dice.random() < 0.15:
            name = f"{{schema}}.{name}"
            columns = TABLES.get(name.partition(".")[2], columns)
        elif name.lower() == name and dice.random() < 0.1:
            name = dice.choice([f'"{name}"', name.upper(), name.title()])
        return f"{name} AS {alias}", _of(alias, columns)

    def _condition(self, depth: int, columns: dict[str, list[str]], defined: dict[str, dict[str, list[str]]]) -> str:
        dice = self._dice
        chance = dice.random()
        if chance < 0.15:
            both = [self._condition(0, columns, defined) for _ in range(2)]
            return f"({both[0]} {dice.choice(['AND', 'OR'])} {both[1]})"
        if chance < 0.2:
            return f"NOT {self._condition(0, columns, defined)}"
        if chance < 0.3 and depth:
            text, found = self._select(depth - 1, defined)
            if len(found["int"]) == 1 and not found["text"]:
                return f"{self._column('int', columns)} {dice.choice(['IN', 'NOT IN'])} ({text})"
            return f"{dice.choice(['', 'NOT '])}EXISTS ({text})"
        if chance < 0.4:
            return f"{self._column('text', columns)} {dice.choice(['LIKE', 'NOT LIKE'])} '{dice.choice(WORDS)[:3]}%'"
        if chance < 0.5:
            return f"{self._column(dice.choice(['int', 'text']), columns)} IS {dice.choice(['', 'NOT '])}NULL"
        if chance < 0.6:
            return f"10 / ({self._column('int', columns)} - 9999) < {dice.randint(0, 5)}"
        kind = dice.choice(["int", "int", "text"])
        left, right = (self._value(kind, 0, columns, defined) for _ in range(2))
        return f"{left} {dice.choice(['=', '<', '>', '<=', '<>'])} {right}"

    def _value(
        self, kind: str, depth: int, columns: dict[str, list[str]], defined: dict[str, dict[str, list[str]]]
    ) -> str:
        dice = self._dice
        chance = dice.random()
        if kind == "text":
            column = self._column("text", columns)
            return dice.choice(
                [column, column, f"upper({column})", f"'{dice.choice(WORDS)}'", f"coalesce({column}, 'x')"]
            )
        column = self._column("int", columns)
        if chance < 0.1 and depth:
            inner, found = self._source(0, defined)
            return f"(SELECT max({self._column('int', found)}) FROM {inner})"
        if chance < 0.2 and depth:
            return f"row_number() OVER (ORDER BY {column}, {self._column('text', columns)}) * 0"
        choices = [column, column, f"{column} + 1", f"{column} % 7", str(dice.randint(0, 60)), f"abs({column})"]
        return dice.choice(
            [*choices, f"length({self._column('text', columns)})", f"CASE WHEN {column} > 5 THEN 1 ELSE 0 END"]
        )

    def _column(self, kind: str, columns: dict[str, list[str]]) -> str:
        if self._dice.random() < HOSTILE / 2:
            return self._dice.choice(HIDDEN_COLUMNS)
        return self._dice.choice(columns[kind]) if columns[kind] else {"int": "7", "text": "'y'"}[kind]


def _of(alias: str, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    return {kind: [f"{alias}.{name}" for name in found] for kind, found in columns.items()}


def judge(
    oracle: Oracle, count: int, seed: int, *, judged: Callable[[int], None] = lambda _: None
) -> tuple[int, int, int]:
    """How many gave the same, how many were refused, and of those how many that name nothing hidden. `judged` hears how
    many are done.
    """
    texts = Texts(seed)
    for number in range(count):
        judged(number)
        oracle.ask(texts.next())
        assert not oracle.leaks, "\n".join(oracle.leaks)
    # One that reads what is hidden in a part that nothing needs, the oracle answers.
    hidden = re.compile(r"\b(?:{})\b(?! AS \()".format("|".join([*HIDDEN_TABLES, *HIDDEN_COLUMNS])), re.IGNORECASE)
    oracle.honest_refused[:] = [text for text in oracle.honest_refused if not hidden.search(text.partition("\n")[0])]
    return oracle.equal, len(oracle.refused), len(oracle.honest_refused)


def main(dialect: str, count: int, seed: int) -> None:
    oracle = ORACLES[dialect]()
    try:
        with Progress() as progress:
            bar = progress.add_task(dialect, total=count)
            equal, refused, honest = judge(
                oracle, count, seed, judged=lambda number: progress.update(bar, completed=number + 1)
            )
    finally:
        oracle.close()
        stop_all()
    print(f"{dialect}, seed {seed}: {equal} equal, {refused} refused, of those {honest} honest, 0 leaks")  # noqa: T201
    print("\n".join(oracle.honest_refused[:10]))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
