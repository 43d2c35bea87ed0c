"""Takes what users' programs tell of themselves, says whose it is, and hands it on."""
