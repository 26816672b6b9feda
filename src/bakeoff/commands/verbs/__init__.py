"""One file per verb of `study`, which holds its arguments, its help and what it does.

The verb has the file's name, with `-` for `_`, and so does the function that runs it. The
function's docstring is the help: its first line, a blank line and an example. `list_` ends with an
underscore, which the verb does not have, because `list` is a built-in function.
"""
