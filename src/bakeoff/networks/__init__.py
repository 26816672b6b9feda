"""Networks that a study file can name. They import nothing of bakeoff."""
