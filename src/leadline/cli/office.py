"""Makes Django ready for a command that works on the office. Decides nothing."""

from __future__ import annotations

import importlib.util
import os

from leadline.errors import ConfigError


def set_up_office(*, restoring: bool = False) -> None:
    """ConfigError where the workbench is not installed, its settings are wrong, its session key was lost, or a restore
    was stopped half-way and this is not the next one.
    """
    if importlib.util.find_spec("django") is None:
        raise ConfigError("the workbench is not installed", mend="pip install 'leadline[workbench]'")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadline.workbench.settings")
    import django

    django.setup()
    from leadline.workbench.office import check_secret
    from leadline.workbench.running import refuse_half_restored

    if restoring:
        return
    refuse_half_restored()
    check_secret()
