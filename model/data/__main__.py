"""Fetches MNIST: `python -m model.data`."""

from model.data.mnist import main

if __name__ == "__main__":
    main()
