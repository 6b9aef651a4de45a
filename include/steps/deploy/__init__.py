"""
The deploy step: the packaged model beside the old one, checks, then traffic.

Belongs here: what only this step does. Does not belong here: roll-out and promotion (``include.governance``). Only
the CLI imports it.
"""
