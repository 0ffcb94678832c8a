"""The source ``generic``, for any table of calls that a mapping describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import attrs

from cdrkit._model import check_zone
from cdrkit.errors import ConfigError
from cdrkit.sources.contract import SourceBatch
from cdrkit.sources.readers.encoding import check_encoding
from cdrkit.sources.readers.field_rule import FieldRule
from cdrkit.sources.readers.mapping import SourceMapping
from cdrkit.sources.readers.table import read_table

__all__ = ["FieldRule", "Generic", "SourceMapping"]


def _convert_mapping(value: SourceMapping | Mapping[str, Any] | str | Path) -> SourceMapping:
    if isinstance(value, SourceMapping):
        return value
    if isinstance(value, (str, Path)):
        return SourceMapping.load(value)
    if isinstance(value, Mapping):
        return SourceMapping.from_dict(value)
    raise ConfigError(
        f"The mapping is a {type(value).__name__}; give a SourceMapping, a dict, or a file's path."
    )


@attrs.frozen(kw_only=True)
class Generic:
    """A source that reads any table of calls that a `SourceMapping` describes.

    Example:
        >>> import io
        >>> from cdrkit.sources.generic import Generic
        >>> source = Generic(mapping={"fields": {"start": "when", "source": "a", "duration": "talked"}})
        >>> [batch] = source(io.BytesIO(b"when,a,talked,trunk\\n2026-11-22T09:00:00Z,2041,34,T1\\n"))
        >>> batch.frame["duration"][0], batch.frame["extra"][0]
        (34, '{"trunk":"T1"}')

    Args:
        mapping: The mapping: a `SourceMapping`, a dict, or the path of a JSON or TOML file.
        timezone: The IANA zone of times without an offset. It overrides the mapping's zone.
        encoding: The encoding of the text. It overrides the mapping's encoding.

    Raises:
        ConfigError: When the mapping or an option has an invalid value.
        StorageError: When the mapping's file cannot be read.
    """

    mapping: SourceMapping = attrs.field(converter=_convert_mapping)
    timezone: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_zone))
    encoding: str | None = attrs.field(default=None, converter=attrs.converters.optional(check_encoding))

    def __call__(self, stream: IO[bytes], /) -> Iterator[SourceBatch]:
        """Yield the calls of a table in row order, a few thousand per batch.

        Args:
            stream: The bytes of the table.

        Raises:
            SchemaError: When the stream is empty, lacks a required column, or is truncated.
            ConfigError: When times have no offset and no zone is given.
        """
        mapping = attrs.evolve(
            self.mapping,
            timezone=self.timezone or self.mapping.timezone,
            encoding=self.encoding or self.mapping.encoding,
        )
        yield from read_table(stream, mapping)
