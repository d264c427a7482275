"""`python -m keras_se` is `keras-se`."""

import sys

from .cli import main

sys.exit(main())
