"""Compare optimizers and schedules for a PyTorch model, with equal budgets and an honest verdict."""

__version__ = "0.1.0"
