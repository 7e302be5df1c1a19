"""Asking services whether they are alive: the engine that dials, the wheel that says when, the cache of what was heard.

Only `engine.py` and `dial.py` open sockets. Everything outside (clock, network, chance) is the injected environment.
"""
