"""The command line, as `queryengine` and as `python -m queryengine`. Ctrl-C is quiet from the first import on."""

import os
import signal

INTERRUPTED = 130
"""ExitCode.CANCELLED, whose module takes long to import."""


def run() -> None:
    usual = signal.getsignal(signal.SIGINT)
    # A shell lets programs in the background ignore it.
    if usual is signal.default_int_handler:
        # A KeyboardInterrupt would end an import in a traceback, or get lost in a callback of the import system.
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    # Every process that we start is another program at once: gRPC has nothing to do at a fork, and would only log that.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    # Its own lines come beside ours, and any caller can cause them by a wrong header: they are for who looks into gRPC.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from queryengine.cli.main import app

    signal.signal(signal.SIGINT, usual)
    app()


if __name__ == "__main__":
    run()
