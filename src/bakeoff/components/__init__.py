"""The tables of what a study can choose: optimizers, schedules, models, pruners, metrics, ..."""
