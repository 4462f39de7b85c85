"""Fetches MNIST: `python -m model.data`."""

import sys

from model.data.mnist import main

if __name__ == "__main__":
    sys.exit(main())
