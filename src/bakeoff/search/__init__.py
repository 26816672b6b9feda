"""Decides which trial runs next, with which hyperparameters, and which trials stop."""
