"""`energyd doctor`: asks everything that energyd depends on, changes nothing, and says what to do.

probes.py asks and collects facts, findings.py says what they mean.
"""
