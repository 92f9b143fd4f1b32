"""A pretend chain and a pretend Netts, for trying policies, for demos and for simulation.

It shares no logic with the daemon, so that it can disagree with it.
"""
