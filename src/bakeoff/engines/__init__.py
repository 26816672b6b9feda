"""Engines run training jobs in worker processes.

protocol   the messages between the driver and a worker, and what an engine must offer
open       chooses and opens an engine; nothing else names a kind of engine
follow     runs jobs to their end, restarting those whose worker died
local      an engine of worker processes on this machine
ray        an engine of workers on the nodes of a Ray cluster, in files that begin with `ray_`:
           access (finds a cluster), look (asks it), gateway (the process that speaks to Ray),
           cluster (its nodes), supervisor (runs on a node), code (the user's), messages, settings
worker     the code that runs in a worker process
stopping   how the user or the system asks for a stop
"""
