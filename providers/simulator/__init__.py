"""A video provider on loopback, for development and tests: real MP4s, scripted faults, a ledger.

README.md beside this file lists the directives a prompt may carry and the control endpoints.
"""
