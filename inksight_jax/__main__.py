"""`python -m inksight_jax` is the command `inksight-jax`."""

import sys

from inksight_jax.cli.main import main

sys.exit(main())
