"""Hostile statements for DuckDB, from a grammar over every function that it has; the same for the same seed."""

import random
from collections.abc import Iterator

import duckdb

PLACES = (
    "SELECT {call} AS a",
    "SELECT {call}::VARCHAR || {mark} AS a",
    "FROM {call}",
    "SELECT * FROM (VALUES (1, {mark})) AS t(n, s) WHERE {call} IS NOT NULL",
    "SELECT s FROM (VALUES (1, {mark})) AS t(n, s) ORDER BY {call}",
    "SELECT count(*) FROM range(3) AS t(n) GROUP BY {call}",
    "SELECT sum(n) OVER (PARTITION BY {call}) FROM range(3) AS t(n)",
    "SELECT list_transform([1, 2], lambda x: {call})",
    "WITH x AS MATERIALIZED (SELECT {call} AS c, {mark} AS m) FROM x",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < 3 AND {call} IS NULL) FROM x",
    "SELECT (SELECT {call})",
    "FROM (VALUES ({mark})) AS t(s), LATERAL (SELECT {call} AS c)",
    "PIVOT (SELECT {mark} AS s, 1 AS n) ON s USING count(n)",
    "PIVOT (SELECT {mark} AS s, {call} AS n) ON s USING first(n)",
    "UNPIVOT (SELECT {call}::VARCHAR AS a, {mark} AS b) ON a, b",
    "EXPLAIN ANALYZE SELECT {call}, {mark}",
    "EXPLAIN SELECT {call}, {mark}",
    "DESCRIBE SELECT {call} AS a",
    "SUMMARIZE SELECT {call} AS a",
    "SELECT {mark} UNION ALL SELECT {call}::VARCHAR",
    "SELECT (1).{call}",
)
STATEMENTS = (
    "SET VARIABLE stolen = {mark}",
    "SET SESSION default_order = 'DESC'",
    "SET GLOBAL log_query_path = '/tmp/hostile'",
    "PRAGMA enable_profiling = 'json'",
    "CALL enable_logging()",
    "CALL {call}",
    "CREATE TEMP TABLE stolen AS SELECT {mark}",
    "CREATE OR REPLACE MACRO stolen() AS {mark}",
    "CREATE TYPE stolen AS ENUM ({mark})",
    "PREPARE stolen AS SELECT {mark}",
    "EXECUTE stolen",
    "ATTACH ':memory:' AS stolen",
    "COPY (SELECT {mark}) TO '/tmp/hostile'",
    "EXPLAIN ANALYZE CREATE TABLE stolen AS SELECT {mark}",
    "FROM query('SELECT ' || {text})",
    "FROM query_table('duckdb_logs')",
    "FROM duckdb_logs",
    "FROM pg_settings",
    "FROM '/proc/self/environ'",
    "SELECT getvariable('stolen')",
    "FROM stolen",
    "SELECT error({mark})",
    "SELECT CAST({mark} AS INTEGER)",
    "SELECT {mark}",
)
TEXTS = (
    "'SELECT setseed(0.5)'",
    "'select set' || 'seed(0.5)'",
    "'json'",
    "'query'",
    "'duckdb_logs'",
    "'/etc/passwd'",
    "'/proc/self/environ'",
    "'TimeZone'",
    "'stolen'",
    "'sum'",
    "'%Y-%m-%d'",
    "'(a|b)*'",
    "'{\"a\": [1, 2]}'",
    "'\\x00\\xff'::BLOB",
)
VALUES = (
    "0.5",
    "0",
    "1",
    "-1",
    "7",
    "100",
    "NULL",
    "true",
    "1e300",
    "'nan'::DOUBLE",
    "170141183460469231731687303715884105727::HUGEINT",
    "DATE '2024-02-29'",
    "TIMESTAMP '2024-02-29 12:00:00.123456'",
    "TIMESTAMPTZ '2024-02-29 12:00:00+00'",
    "TIME '12:00'",
    "INTERVAL '1 month 2 days'",
    "[1, 2, 3]",
    "[]",
    "['a', NULL]",
    "[[1], [2]]",
    "{'x': 1, 'y': 'b'}",
    "MAP {'a': 1}",
    "1::BIT",
    "uuid()",
    "(1, 2)",
    "lambda x: x + 1",
    "lambda x, y: x || y",
    "union_value(a := 1)",
    "'{}'::JSON",
    "1::VARIANT",
    "'happy'::ENUM('sad', 'happy')",
    "[1, 2, 3]::INTEGER[3]",
    "*",
    "n",
)
OF_TYPE = {
    "BOOLEAN": ("true", "false"),
    "DATE": ("DATE '2024-02-29'",),
    "TIME": ("TIME '12:00'",),
    "TIMESTAMP": ("TIMESTAMP '2024-02-29 12:00:00.123456'",),
    "TIMESTAMP WITH TIME ZONE": ("TIMESTAMPTZ '2024-02-29 12:00:00+00'",),
    "INTERVAL": ("INTERVAL '1 month 2 days'",),
    "DOUBLE": ("0.5", "-1", "7"),
    "FLOAT": ("0.5", "7"),
    "DECIMAL": ("1.5", "0.25"),
    "JSON": ("'{\"a\": [1, 2]}'::JSON",),
    "BLOB": ("'\\x00\\xff'::BLOB", "{mark}::BLOB"),
    "BIT": ("'0101'::BIT",),
    "UUID": ("uuid()",),
    "VARIANT": ("{mark}::VARIANT",),
    "LAMBDA": ("lambda x: x", "lambda x, y: x"),
    "VARCHAR": ("{mark}", "{mark}", "'a'", "'day'", "'sum'"),
    "MAP": ("MAP {'a': 1}", "MAP {{mark}: 1}"),
    "STRUCT": ("{'x': {mark}}",),
}
"""Arguments that a function takes, by the type of the parameter; any other is a whole number."""
NAMED = ("format", "seed", "type", "name", "query", "storage", "level", "filename")
ARGUMENTS_MAX = 4
DEPTH_MAX = 2


class Hostile:
    """Statements that hold the mark of a tenant wherever a text may stand."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        with duckdb.connect(":memory:") as connection:
            found = connection.execute("SELECT function_name, parameter_types FROM duckdb_functions() ORDER BY ALL")
            overloads = found.fetchall()
        self.functions = sorted({name for name, _ in overloads})
        self._signatures: dict[str, list[list[str | None]]] = {}
        for name, types in overloads:
            self._signatures.setdefault(name, []).append(types)

    def statements(self, marks: tuple[str, ...]) -> Iterator[tuple[int, str]]:
        """Endless: whose turn it is, and a statement with that mark. Every function comes before one comes again."""
        number = 0
        while True:
            names = list(self.functions)
            self._random.shuffle(names)
            for name in names:
                turn = number % len(marks)
                yield turn, self._statement(name, f"'{marks[turn]}{number}'")
                number += 1

    def _statement(self, name: str, mark: str) -> str:
        templates = STATEMENTS if self._random.random() < 0.1 else PLACES
        template = self._random.choice(templates)
        parts = {"call": self._call(name, mark, 0), "mark": mark, "text": self._random.choice(TEXTS)}
        for key, value in parts.items():
            template = template.replace("{" + key + "}", value)
        return template

    def _call(self, name: str, mark: str, depth: int) -> str:
        spelled = self._random.choice(('"{}"', '"{}"', 'main."{}"', 'system.main."{}"', '"{}" /* a */ ')).format(
            self._random.choice((name, name, name.upper()))
        )
        if self._random.random() < 0.6:
            types = self._random.choice(self._signatures[name])[:ARGUMENTS_MAX]
            arguments = [self._of_type(each or "ANY", mark, depth) for each in types]
        else:
            count = self._random.choice((0, 1, 1, 2, 2, 3, ARGUMENTS_MAX))
            arguments = [self._argument(mark, depth) for _ in range(count)]
        if self._random.random() < 0.1:
            arguments.append(f"{self._random.choice(NAMED)} := {self._argument(mark, depth)}")
        return f"{spelled}({', '.join(arguments)})"

    def _of_type(self, type_name: str, mark: str, depth: int) -> str:
        if type_name.endswith("[]"):
            return f"[{self._of_type(type_name[:-2], mark, depth)}]"
        if type_name in ("ANY", "T", "K", "V"):
            return self._argument(mark, depth)
        kind = next((each for each in OF_TYPE if type_name == each or type_name.startswith(f"{each}(")), "")
        return self._random.choice(OF_TYPE.get(kind, ("3", "1", "0"))).replace("{mark}", mark)

    def _argument(self, mark: str, depth: int) -> str:
        kind = self._random.random()
        if kind < 0.15 and depth < DEPTH_MAX:
            return self._call(self._random.choice(self.functions), mark, depth + 1)
        if kind < 0.35:
            return mark
        return self._random.choice(TEXTS if kind < 0.55 else VALUES)
