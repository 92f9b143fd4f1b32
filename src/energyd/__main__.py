"""`python -m energyd` is the command `energyd`."""

from energyd.cli.main import main

if __name__ == "__main__":
    main()
