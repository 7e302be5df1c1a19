"""Other checkers, each asked about the same server over the same socket, configured as its documentation recommends."""
