"""Lets `python -m bakeoff` run the command `study`."""

from bakeoff.commands.cli import main

if __name__ == "__main__":
    main()
