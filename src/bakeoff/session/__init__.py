"""Runs a study from its settings to its end.

run_settings   where a study runs and which resources it uses
checkpoint_place  where the runs of a study store their checkpoints
checks         checks of data, packages and settings before anything is created
measuring      trains the model for a few steps in a worker
descriptions   protocol and environment of a study as text for its report
timing         measures how long the parts of a study take
rehearsal      trains a few short runs as a study would
looks          decides at a declared look whether more seeds are needed
repeats        drives the repeats of a study: search, then confirmation
display        chooses how progress is shown: `progress` on a terminal and in logs,
               `notebook_progress` in a notebook
refresh        keeps the dashboard's figures up to date
study          starts or continues a study
"""
