"""What to paste while the demo runs. A test runs each of them as it is printed."""

from dataclasses import dataclass
from typing import Final

DEFAULT_ADDRESS: Final = "127.0.0.1:8815"


@dataclass(frozen=True, slots=True)
class Example:
    title: str
    lines: tuple[str, ...]


_DELAYS: Final = (
    "SELECT carrier, count(*) AS flights, round(avg(arr_delay), 1) AS mean_delay "
    "FROM flights GROUP BY carrier ORDER BY mean_delay DESC LIMIT 5"
)
_ALL: Final = "SELECT * FROM flights"
_TO: Final = (
    "SELECT name, count(*) AS flights FROM flights JOIN airlines USING (carrier) "
    "WHERE dest = $dest GROUP BY name ORDER BY flights DESC"
)
_TPCH: Final = (
    "SELECT o_orderpriority AS priority, count(*) AS orders, sum(o_totalprice) AS price "
    "FROM orders GROUP BY priority ORDER BY priority"
)


def examples(address: str, program: str) -> list[Example]:
    """For a server at this address, and a command line that is called by this name."""
    server = "" if address == DEFAULT_ADDRESS else f" --server {address}"
    target = "" if address == DEFAULT_ADDRESS else repr(address)
    submit = (
        '{"sql": "SELECT * FROM airlines ORDER BY carrier", "wait_timeout": "5s", '
        '"result": {"inline_format": "PAGE_FORMAT_ROWS"}}'
    )
    return [
        Example("the tables", (f'{program} sql{server} "SHOW TABLES"',)),
        Example("who is late", (f'{program} sql{server} "{_DELAYS}"',)),
        Example("a parameter", (f"{program} sql{server} '{_TO}' -p dest=SFO",)),
        Example("all rows, to a file", (f'{program} sql{server} "{_ALL}" -o flights.parquet',)),
        Example("the other engine", (f'{program} sql{server} --engine tpch "{_TPCH}"',)),
        Example("what ran", (f"{program} ps{server} --all",)),
        Example(
            "any language, by grpcurl",
            (f"grpcurl -plaintext -d '{submit}' {address} queryengine.v1.QueryService/Submit",),
        ),
        Example(
            "Python: Arrow batches as they come",
            (
                "from queryengine.client import Client",
                f"client = Client({target})",
                'batches = list(client.query("SELECT origin, dest, distance FROM flights"))',
                "print(sum(batch.num_rows for batch in batches))",
                "client.close()",
            ),
        ),
    ]


def guide(address: str, program: str, folder: str) -> str:
    """What the demo prints once it is up."""
    lines = ["", "Paste these in another terminal:"]
    for example in examples(address, program):
        lines += ["", f"  # {example.title}", *(f"  {line}" for line in example.lines)]
    lines += [
        "",
        f"This server is for trying only: its data and results are in {folder}, which goes when it stops.",
        "Stop it with Ctrl-C.",
    ]
    return "\n".join(lines)
