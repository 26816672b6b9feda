"""The verbs for one configuration: `study train`, `export`, `verify-resume` and `profile`.

one_configuration   reduces a study to the one configuration that was chosen
folder              the folder of a run
run                 trains a run, or continues it
verify              checks that a killed run resumes with the same bits
machine_profile     measures the time of each part of a step, and compares numbers of workers
export              copies weights, with a description and the Python code to load them
loading_module      that Python code
network_source      the source code of a network, for that code
"""
