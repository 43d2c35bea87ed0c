"""`python -m app.cli`: the command line where the script `vibebox` is not on the path."""

from app.cli.command import run

if __name__ == "__main__":
    run()
