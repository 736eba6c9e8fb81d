"""A process confined as a worker of an engine is, in which code of the tests runs with an engine that refuses nothing.

Started by test_confinement.py: the role's header as JSON comes first, then Python that sets `found`.
"""

import json
import os
import sys

from queryengine.workers.confinement import Confinement


def main() -> None:
    header, code = json.loads(sys.argv[1]), sys.argv[2]
    confinement = Confinement.of_engine(header)
    names: dict[str, object] = {}
    exec("import os, socket, sqlite3, subprocess, threading, duckdb, pyarrow", names)
    confinement.give_up_calls()
    try:
        exec(code, names)
        answer: list[object] = ["ok", names.get("found")]
    except Exception as cause:
        answer = [type(cause).__name__, str(cause)]
    sys.stdout.write(json.dumps([confinement.holds, *answer]))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
