"""The verbs for one configuration: `study train`, `gate`, `export`, `verify-resume`, `profile`.

one_configuration   reduces a study to the one configuration that was chosen
folder              the folder of a run
run                 trains a run, or continues it
gate                compares current code with a stored baseline on the same seeds
gate_file           the file of a baseline, and git
gate_runs           trains seeds, and keeps those that are done
gate_facts          what scores depend on, and whether they can be compared
verify              checks that a killed run resumes with the same bits
machine_profile     measures the time of each part of a step, and compares numbers of workers
export              copies weights, with a description and the Python code to load them
loading_module      that Python code
network_source      the source code of a network, for that code
"""
