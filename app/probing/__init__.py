"""The synthetic user from outside: goes the way of a developer, by the public address.

It knows the service by its API alone. What is done from inside (the account, the record of rounds)
is `app.domain.probe`'s matter, and `rounds` joins the two.
"""
