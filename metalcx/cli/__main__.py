"""`python -m metalcx.cli` is the command `metalcx`."""

from metalcx.cli import main

if __name__ == "__main__":
    main()
