"""Which trial runs next, with what, and which one stops."""
