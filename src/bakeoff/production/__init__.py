"""One production training run: chosen settings, a folder of its own, one worker."""
