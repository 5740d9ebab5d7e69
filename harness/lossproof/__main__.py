"""`python -m lossproof`."""

from lossproof.cli import main

if __name__ == "__main__":
    main()
