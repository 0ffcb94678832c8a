"""Translation of filesystem errors into `StorageError` and its subclasses."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Final

from cdrkit.errors import (
    AccessDeniedError,
    CdrError,
    ConfigError,
    NotFoundError,
    StorageError,
    UnavailableError,
)

__all__ = ["READ_ONLY", "translate_errors"]

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: The errors of a filesystem or folder that may not be written.
READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
#: The packages below fsspec's object stores that raise exceptions of their own.
_OBJECT_STORES: Final = frozenset({"botocore", "aiobotocore", "aiohttp"})


@contextlib.contextmanager
def translate_errors(url: str, action: str) -> Iterator[None]:
    """Convert filesystem errors raised in a ``with`` block to a `StorageError`.

    The subclass of `StorageError` depends on the error.

    Args:
        url: The file or folder, for the message.
        action: The verb of the message: ``read``.
    """
    try:
        yield
    except CdrError:
        raise
    except FileNotFoundError as exc:
        raise NotFoundError(f"Cannot {action} {url}: it does not exist.", url=url) from exc
    except IsADirectoryError as exc:
        raise StorageError(
            f"Cannot {action} {url}: {exc.strerror or exc}. Give the path of a file.", url=url
        ) from exc
    except NotADirectoryError as exc:
        file = _find_file_above(url)
        reason = f"{file} is a file, not a folder" if file else exc.strerror or exc
        raise StorageError(f"Cannot {action} {url}: {reason}.", url=url) from exc
    except (TimeoutError, ConnectionError) as exc:
        raise UnavailableError(
            f"Cannot {action} {url}: the service does not answer ({exc}). Try again.", url=url
        ) from exc
    except UnicodeError as exc:
        raise StorageError(f"Cannot {action} {url!r}: this is not a valid file name.", url=url) from exc
    except ImportError as exc:
        raise ConfigError(
            f"Cannot {action} {url}: {exc}. Install the package that the message names."
        ) from exc
    except OSError as exc:
        raise _translate_os_error(exc, url, action) from exc
    except TypeError as exc:  # s3fs checks its options when it first connects
        raise ConfigError(
            f"Cannot {action} {url}: {exc}. Check that the filesystem supports the storage options."
        ) from exc
    except Exception as exc:
        if type(exc).__module__.partition(".")[0] not in _OBJECT_STORES:
            raise
        if "Credential" in type(exc).__name__:
            raise AccessDeniedError(
                f"Cannot {action} {url}: {exc}. Give credentials in the storage options or the environment.",
                url=url,
            ) from exc
        raise UnavailableError(f"Cannot {action} {url}: {exc}. Try again.", url=url) from exc


def _find_file_above(path: str) -> str | None:
    """If a parent of *path* is a local file, return its path; otherwise None.

    The search goes upward from *path*. Nothing can exist below a file.
    """
    while (above := os.path.dirname(path)) != path:
        if os.path.isfile(path := above):
            return path
    return None


def _translate_os_error(exc: OSError, url: str, action: str) -> StorageError:
    if exc.errno in _FULL:
        return StorageError(
            f"Cannot {action} {url}: {exc.strerror}. Nothing was changed. Make room and try again.", url=url
        )
    if isinstance(exc, PermissionError) or exc.errno in READ_ONLY:
        return AccessDeniedError(
            f"Cannot {action} {url}: {exc.strerror or exc}. Check its permissions.", url=url
        )
    return StorageError(f"Cannot {action} {url}: {exc.strerror or exc}.", url=url)
