"""Arrow without NumPy: nothing in the command line needs it, and it takes longer to import than all the rest."""

import sys


def import_arrow() -> None:
    """Import pyarrow as where NumPy is not installed, which it supports. Does nothing where one of them is there."""
    if "pyarrow" in sys.modules or "numpy" in sys.modules:
        return
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        import pyarrow.compute  # noqa: F401
    finally:
        del sys.modules["numpy"]
