"""The console: pages at `/` for the developer in front of VibeBox, on top of the public API.

The pages hold nothing of anybody's: they are shells that one small script fills through
`/api/v1`, as whoever has signed in. So they need no login to be served, and the rules of who may
see what stand in one place.
"""
