"""The networks that can be named in a study file. They import nothing of bakeoff."""
