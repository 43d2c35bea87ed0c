"""What is wrong with an installation, asked on purpose: `vibebox doctor`, its page, its bundle.

Readiness (`app.web.health`) is asked every few seconds, and says up or down to anybody. The doctor
is asked by whoever runs the service, looks further, and says what is wrong and the next step. What
both look at stands in `looks`.
"""
