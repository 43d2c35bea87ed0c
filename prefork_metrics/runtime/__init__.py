"""What each process of the service tells of itself: CPU, memory, garbage, lag, saturation.

Every process starts a `Runtime` of its own after fork, the master too. All metrics are written by
one thread of it (see `publisher`); everything else here only reads and notes.
"""
