"""`python -m bakeoff` is `study`."""

from bakeoff.cli import main

if __name__ == "__main__":
    main()
