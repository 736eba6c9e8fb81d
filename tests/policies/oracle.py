"""The oracle of row and column policies: a database that holds only what the principal may see.

A text that runs must give what the same text gives there. Whatever else it gives is a leak, also when it is less.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from queryengine.domain.errors import QueryEngineError
from queryengine.domain.row_policy import RelationPolicy, RowPolicy, SecuredText
from queryengine.engines.kit.row_security.reserved import PREFIX

HERE: Final = Path(__file__).parent
HIDDEN: Final = "SECRET"
"""In every value that is hidden, and nowhere else."""
TENANT, SUBJECT, REGIONS = "acme", "ann", ["eu", "us"]
SALT: Final = "salt"

Row = tuple[Any, ...]

COLUMNS: Final = {
    "orders": "id INTEGER, tenant TEXT, customer_id INTEGER, amount INTEGER, qty INTEGER, status TEXT, note TEXT, "
    "card TEXT, created TEXT",
    "customers": "id INTEGER, tenant TEXT, name TEXT, email TEXT, salary INTEGER, region TEXT, country TEXT",
    "countries": "code TEXT, name TEXT",
    "ledger": "id INTEGER, tenant TEXT, amount INTEGER",
    "secrets": "k INTEGER, v TEXT",
    "single": "k INTEGER",
    "Odd Name": '"Sel ect" INTEGER, owner TEXT',
}
STATUSES: Final = ("open", "closed", "open", "1")


def full() -> dict[str, list[Row]]:
    """Everything, of three tenants."""
    orders, customers = list[Row](), list[Row]()
    for number in range(1, 25):
        tenant = ("acme", "globex", "acme", "initech")[number % 4]
        own = tenant == TENANT
        status = STATUSES[number % 4] if own else f"hidden {HIDDEN}"
        amount = number * 7 % 90 if own else 9999
        card = f"4{number % 3 + 1}11222233330{number % 3 + 1}{number % 3 + 1}" if number % 5 else "short"
        orders.append(
            (
                number,
                tenant,
                number % 6 + 1,
                amount,
                number % 4,
                status,
                f"private {HIDDEN}",
                card,
                f"2024-01-0{number % 9 + 1}",
            )
        )
    for number in range(1, 13):
        tenant = ("acme", "globex")[number % 3 == 0]
        region = ("eu", "us", "asia")[number % 3 if tenant == TENANT else 0] if number != 11 else "asia"
        seen = tenant == TENANT and region in REGIONS
        name = f"Name{number}" if seen else HIDDEN
        customers.append(
            (number, tenant, name, f"{HIDDEN}{number}@example.org", 1234 * number, region, ("de", "fr")[number % 2])
        )
    return {
        "orders": orders,
        "customers": customers,
        "countries": [("de", "Germany"), ("fr", "France"), ("xx", "Nowhere")],
        "ledger": [(1, "acme", 666), (2, "globex", 667)],
        "secrets": [(1, HIDDEN), (2, f"{HIDDEN} 2")],
        "single": [(1,), (2,), (6,)],
        "Odd Name": [(1, "ann"), (2, "bob"), (3, "ann")],
    }


def seen(hashed: Callable[[str], str]) -> dict[str, list[Row]]:
    """What is left of it for the principal; computed here, by nothing of what is tested."""
    rows = full()
    orders = [
        (number, customer, amount, qty, status, None, last4(card), created)
        for number, tenant, customer, amount, qty, status, _, card, created in rows["orders"]
        if tenant == TENANT
    ]
    customers = [
        (number, name, hashed(email), salary // 1000 * 1000, region, country)
        for number, tenant, name, email, salary, region, country in rows["customers"]
        if tenant == TENANT and region in REGIONS
    ]
    odd = [(number,) for number, owner in rows["Odd Name"] if owner == SUBJECT]
    return {"orders": orders, "customers": customers, "countries": rows["countries"], "Odd Name": odd}


def last4(card: str) -> str:
    return "****" if len(card) < 8 else f"****{card[-4:]}"


def sha256(value: str) -> str:
    return hashlib.sha256(f"{SALT}{value}".encode()).hexdigest()


def names(table: str) -> list[str]:
    return [column.strip().rpartition(" ")[0].strip('"') for column in COLUMNS[table].split(",")]


def policy(schema: str, *, email: str = "hash", salary: str = "salary - salary % 1000") -> RowPolicy:
    def relation(table: str, rows: str = "", hidden: Sequence[str] = (), **masks: str) -> RelationPolicy:
        return RelationPolicy(
            path=(schema, table),
            columns=tuple(names(table)),
            rule="own" if rows else "",
            rows=rows,
            masks=masks,
            hidden=frozenset(hidden),
        )

    return RowPolicy(
        schema=schema,
        relations=(
            relation("orders", "tenant = {tenant}", ["tenant"], card="last4", note="null"),
            relation(
                "customers",
                "tenant = {tenant} AND region IN ({claims.regions})",
                ["tenant"],
                email=email,
                salary=salary,
            ),
            relation("countries"),
            relation("Odd Name", "owner = {subject}", ["owner"]),
        ),
        closed=((schema, "ledger"),),
        values={"tenant": TENANT, "subject": SUBJECT, "claims.regions": REGIONS},
        hash_salt=SALT,
    )


@dataclass
class Oracle:
    """One dialect: a database with everything, and one with what is seen."""

    schema: str
    policy: RowPolicy
    secured: Callable[[str, RowPolicy], SecuredText]
    run_full: Callable[[str], list[Row]]
    run_seen: Callable[[str], list[Row]]
    close: Callable[[], None]
    run_again: Callable[[str], list[Row]] | None = None
    """As `run_seen`, without the engine's optimizer, whose mistakes are not ours. It knows what is seen alone, too."""
    names_full: Callable[[str], list[str]] | None = None
    """The names of the columns of a text that runs, which show nothing of the policy."""
    honest_refused: list[str] = field(default_factory=list)
    """What is refused although the same text runs on what is seen."""
    refused: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    equal: int = 0

    def ask(self, sql: str, *, is_honest: bool = True) -> None:
        """Judge a text. Of one that is not honest nobody needs to know what it would give."""
        sql = sql.replace("{schema}", self.schema)
        try:
            secured = self.secured(sql, self.policy).sql
        except QueryEngineError as cause:
            self._note_refusal(sql, cause, self._expected(sql)[0] if is_honest else None)
            return
        expected, words = self._expected(sql)
        try:
            found = self.run_full(secured)
        except Exception as cause:
            if HIDDEN in str(cause):
                self.leaks.append(f"{sql}\n    error: {cause}")
            self._note_refusal(sql, cause, expected)
            return
        if expected is not None and _bag(found) != _bag(expected) and self.run_again is not None:
            expected = self.run_again(sql)
        if expected is None or _bag(found) != _bag(expected):
            self.leaks.append(f"{sql}\n    found {found[:5]}\n    not   {(expected or words)[:5]}")
        elif self.names_full is not None and PREFIX in (shown := str(self.names_full(secured))):
            self.leaks.append(f"{sql}\n    a column is called {shown[:300]}")
        elif PREFIX in str(found) or (HIDDEN in str(found) and HIDDEN not in sql):
            self.leaks.append(f"{sql}\n    found what is hidden: {found[:5]}")
        else:
            self.equal += 1

    def _expected(self, sql: str) -> tuple[list[Row] | None, str]:
        """The rows that a text gives on what is seen; None, and why, where it gives none."""
        try:
            return self.run_seen(sql), ""
        except Exception as cause:
            return None, str(cause).partition("\n")[0]

    def _note_refusal(self, sql: str, cause: Exception, expected: list[Row] | None) -> None:
        text = f"{sql}\n    {str(cause).partition(chr(10))[0]}"
        self.refused.append(text)
        if expected is not None:
            self.honest_refused.append(text)


def _bag(rows: Sequence[Row]) -> Counter[str]:
    """Rows without their order; numbers by their value."""
    return Counter(str([_plain(value) for value in row]) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    try:
        return f"{float(value):.9g}"
    except (TypeError, ValueError):
        return str(value)


def texts(kind: str, *files: str) -> Iterator[str]:
    """Of a kind, `honest` or `hostile`: one a line."""
    for file in files:
        current = ""
        for line in (HERE / file).read_text(encoding="utf-8").splitlines():
            if line.startswith("-- ") and line[3:] in ("honest", "hostile"):
                current = line[3:]
            elif line and current == kind:
                yield line


REFUSED_PERCENT_MAX: Final = 3
"""Of honest texts."""


def judge_by_hand(oracle: Oracle, *files: str, every: int = 1) -> None:
    """Raises AssertionError for a text that gives what it should not, and when too many honest ones are refused. With
    `every` it asks of the texts of all dialects only one in so many, for a server that takes long for each.
    """

    def chosen(kind: str) -> list[str]:
        return [sql for file in files for sql in list(texts(kind, file))[:: every if file == "common.sql" else 1]]

    honest = chosen("honest")
    try:
        for sql in honest:
            oracle.ask(sql)
        refused = list(oracle.honest_refused)
        for sql in chosen("hostile"):
            oracle.ask(sql, is_honest=False)
    finally:
        oracle.close()
    assert not oracle.leaks, "\n".join(oracle.leaks)
    assert len(refused) * 100 < REFUSED_PERCENT_MAX * len(honest), "\n".join(refused)
