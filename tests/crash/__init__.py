"""What must hold whatever happens: killed processes, failing services, full disks, damaged files, many at once.

Each module does a small sample of its runs by default, and all of them with ``CDRKIT_CRASH=full`` (``nox -s crash``).
"""
