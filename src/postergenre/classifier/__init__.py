"""The classifier: a network, its loss, scores and optimiser, and the checkpoint contract.

Import from ``contract`` what reads checkpoints (no Lightning) and from ``module`` what trains.
"""
