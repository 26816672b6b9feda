"""The version of the package, stored with every study, checkpoint and export."""

__version__ = "0.2.0"

REPOSITORY = "https://github.com/bakeoff-authors/bakeoff"
"""Where the source is. `pyproject.toml` names it too."""
