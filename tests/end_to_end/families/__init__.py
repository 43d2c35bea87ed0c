"""The steps by which each family moves, and what is not moved by anything yet.

A step says which series it moves and by how much; every other series of an event must stand still.
"""
