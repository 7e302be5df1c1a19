"""Many cores: the monitors of one service spread over several prober processes (`looksalive run --workers N`).

`sharded.py` is what the runtime sees in the place of the monitors, `shard.py` one worker as the main process sees it;
`prober.py` is what runs in a worker; `wire.py` is what the two say to each other.
"""
