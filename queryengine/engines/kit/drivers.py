"""What to install for an engine whose driver does not come with this package."""

from importlib.metadata import requires


def install_command(extra: str) -> str:
    """The pip command that brings the drivers which an extra of this package names.

    It names the drivers themselves, as it then works however this package was installed: it need not be on an index.
    """
    ours = (requirement.partition(";") for requirement in requires("queryengine") or ())
    # An extra of a driver brings the server, too, which is here already.
    drivers = [
        name.strip()
        for name, _, marker in ours
        if f'extra == "{extra}"' in marker and not name.startswith("queryengine[")
    ]
    return "pip install " + " ".join(f"'{driver}'" for driver in drivers)
