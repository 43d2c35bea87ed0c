"""How people come to use the service: sign-ups, first steps, returns; never who."""
