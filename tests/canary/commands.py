"""`python -m tests.canary.commands "provider check --all" …`: commands one after the other, come what may."""

import os
import sys
import traceback

import django
from django.core.management import call_command

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.canary.settings")
    django.setup()
    for line in sys.argv[1:]:
        print(f"$ {line}", flush=True)
        try:
            call_command(*line.split())
        except (Exception, SystemExit):  # noqa: BLE001 - its words are what is looked at
            traceback.print_exc()
