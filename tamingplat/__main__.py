"""``python -m tamingplat`` is the command ``tamingplat``."""

from tamingplat.cli import main

if __name__ == "__main__":
    main()
