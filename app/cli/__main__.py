"""`python -m app.cli`: the command line where the script `vibebox` is not on the path."""

from app.cli import main

if __name__ == "__main__":
    main(prog_name="vibebox")
