"""All texts by hand against the oracle: `python tests/policies/by_hand.py spark trino` judges on two dialects."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from databases import ORACLES  # noqa: E402
from oracle import judge_by_hand  # noqa: E402

from tests.servers.server import stop_all  # noqa: E402


def main(dialects: list[str]) -> None:
    try:
        for dialect in dialects:
            oracle = ORACLES[dialect]()
            judge_by_hand(oracle, "common.sql", f"{dialect}.sql")
            print(f"{dialect}: {oracle.equal} equal, {len(oracle.refused)} refused, 0 leaks")  # noqa: T201
    finally:
        stop_all()


if __name__ == "__main__":
    main(sys.argv[1:])
