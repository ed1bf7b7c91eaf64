"""Build the archives that the Lambda function runs from: `python scripts/package.py --help`, docs/packaging.md."""

import sys
from pathlib import Path

# Python looks beside a script for what it imports; the parts are named from the project's root, as the tests do.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.lambda_archives.build import main

if __name__ == "__main__":
    sys.exit(main())
