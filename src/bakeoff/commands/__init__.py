"""The command `study`: one module per verb in `verbs`, and what the verbs share."""
