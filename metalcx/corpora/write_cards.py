"""Write the cards of published corpora: ``python -m metalcx.corpora.write_cards datasets/cards``."""

from __future__ import annotations

import argparse

from metalcx.corpora._cards import write_cards


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m metalcx.corpora.write_cards", description=__doc__)
    parser.add_argument("folder", help="cards in it are replaced")
    for path in write_cards(parser.parse_args(arguments).folder):
        print(path)


if __name__ == "__main__":
    main()
