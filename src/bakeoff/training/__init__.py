"""One training run: prepared, trained epoch by epoch, checkpointed, tested."""
