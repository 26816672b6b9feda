"""Compare optimizers and schedules for a PyTorch model: equal budgets, an honest verdict."""

__version__ = "0.1.0"
