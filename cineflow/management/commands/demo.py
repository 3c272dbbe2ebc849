"""`manage.py demo`: starts CineFlow, walks the integration checklist over HTTP, and prints the acceptance record."""

import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from cineflow import acceptance, stack
from cineflow.acceptance import Line, Record, Site, Walk
from cineflow.acceptance.client import Api
from cineflow.acceptance.record import as_markdown, padded
from cineflow.acceptance.shapes import Run
from cineflow.acceptance.walk import Verdict

_BAR = 28


@dataclass(frozen=True, kw_only=True)
class Target:
    """The server that is walked. `ours`: started here, on our data folder."""

    api: Api
    environment: str
    ours: bool
