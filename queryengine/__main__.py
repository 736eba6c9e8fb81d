"""The command line, as `queryengine` and as `python -m queryengine`. Ctrl-C is quiet from the first import on."""

import os
import signal
import sys

FAILED, INTERRUPTED = 1, 130
"""ExitCode.FAILED and CANCELLED, whose module takes long to import."""


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
    try:
        app()
    except OSError as error:
        if error.filename is not None or not _standard_output_fails():
            raise
        sys.stderr.write(f"error: cannot write to standard output: {error.strerror or error}\n")
        sys.exit(FAILED)


def _standard_output_fails() -> bool:
    """Whether nothing can be written to it, as on a full disk. What is left in it is dropped then, for the end of the
    process would try again.
    """
    try:
        # What failed before is not kept, so that a flush alone may go well.
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return True
    return False


if __name__ == "__main__":
    run()
