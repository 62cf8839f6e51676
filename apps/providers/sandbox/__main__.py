"""python -m apps.providers.sandbox: the sandbox without Django, up in a quarter of a second."""

import sys

from apps.providers.sandbox.command import main

sys.exit(main())
