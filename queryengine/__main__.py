"""`python -m queryengine`: the command line."""

from queryengine.cli.main import run

if __name__ == "__main__":
    run()
