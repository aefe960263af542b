"""`python -m mdapp` is the `mdapp` command."""

from mdapp.cli.main import main

if __name__ == "__main__":
    main()
