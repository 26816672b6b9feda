"""Reads the data that people have: registered sets, folders, tables, texts and arrays."""
