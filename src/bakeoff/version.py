"""The version of the package, stored with every study, checkpoint and export."""

__version__ = "0.1.0"
