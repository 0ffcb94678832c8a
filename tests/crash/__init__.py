"""Tests of failures: killed processes, failing services, full disks, damaged files, many processes at once.

Each module does a small sample of its runs by default, and all of them with ``CDRKIT_CRASH=full`` (``nox -s crash``).
"""
