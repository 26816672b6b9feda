"""What the verbs of `study` do; `cli` declares their arguments."""
