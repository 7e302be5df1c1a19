"""End to end: the real command on real sockets, asked through its outside contract only."""
