"""`python -m bakeoff` is `study`."""

from bakeoff.commands.cli import main

if __name__ == "__main__":
    main()
