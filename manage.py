#!/usr/bin/env python
"""Tollgate's command line. Finds or starts the services that a command needs before Django's settings ask for them."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from apps.core.embedded import ServiceError
from apps.core.env import env, path, text, whole
from apps.launch.environment import VARIABLES, Wishes, environment_for
from apps.launch.headstart import head_start


def main() -> int:
    """Run the command named on the command line; returns the exit code, where Django did not already leave."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        wishes = Wishes(
            data_dir=env("DATA_DIR", path, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".data")),  # noqa: PTH118, PTH120, PTH100 - env takes text
            host=env("HOST", text, "127.0.0.1"),
            port=env("PORT", whole, "8000"),
            egress_allow=env("EGRESS_ALLOW", text, ""),
            given={
                name: value
                for known in VARIABLES
                for name in (known, f"{known}_FILE")
                if (value := os.environ.get(name))
            },
        )
        with environment_for(sys.argv, wishes) as variables:
            os.environ.update(variables)
            if sys.argv[1:2] == ["up"]:
                head_start(env("DATABASE_URL", text))
            execute_from_command_line(sys.argv)
    except (ServiceError, ImproperlyConfigured) as error:
        sys.stderr.write(f"tollgate: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
