"""Inputs: every kind gives equal calls in bounded memory, and a broken file stores nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest

from cdrkit import Store, open_store
from cdrkit.errors import CdrError, ConfigError, CorruptDataError, NotFoundError, SchemaError
from cdrkit.samples import asterisk_lines
from cdrkit.sources import detect

_numbers = itertools.count()
LINES = b"".join(asterisk_lines(60, days=1, seed=3)).splitlines(keepends=True)
WHOLE = b"".join(LINES)
OPTIONS: dict[str, Any] = {"format": "asterisk-csv", "timezone": "Europe/London"}


def new_store() -> Store:
    """Return an empty store in memory."""
    return open_store(f"memory://inputs-{next(_numbers)}")


def zstd(data: bytes) -> bytes:
    """Return *data* compressed by zstd."""
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as file:
        file.write(data)
    return packed.getvalue().to_pybytes()


def zipped(**members: bytes) -> bytes:
    """Return a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        for name, data in members.items():
            archive.writestr(f"folder/{name}.csv", data)
    return packed.getvalue()


def tarred(**members: bytes) -> bytes:
    """Return a tar archive, with a link in it that leads out of it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        link = tarfile.TarInfo("folder/link.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name, data in members.items():
            info = tarfile.TarInfo(f"../folder/{name}.csv")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


HALVES = {"a": b"".join(LINES[:20]), "b": b"".join(LINES[20:])}
PACKED: dict[str, bytes] = {
    "plain": WHOLE,
    "gzip": gzip.compress(WHOLE),
    "gzip of two members": gzip.compress(HALVES["a"]) + gzip.compress(HALVES["b"]),
    "bzip2": bz2.compress(WHOLE),
    "xz": lzma.compress(WHOLE),
    "zstd": zstd(WHOLE),
    "zstd of two frames": zstd(HALVES["a"]) + zstd(HALVES["b"]),
    "zip": zipped(**HALVES),
    "zip of gzip": zipped(a=gzip.compress(HALVES["a"]), b=HALVES["b"], empty=b""),
    "tar": tarred(**HALVES),
    "tar.gz": gzip.compress(tarred(**HALVES)),
    "tar.xz of gzip": lzma.compress(tarred(a=gzip.compress(HALVES["a"]), b=zstd(HALVES["b"]))),
}
FAR = ["plain", "gzip", "zstd", "zip", "tar.gz"]
CUT = [name for name in PACKED if name != "plain"]


class OnlyReads:
    """A file that can do nothing but read, some bytes at a time, as a socket does."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 777) if size >= 0 else 777)


@pytest.fixture(scope="module")
def plain() -> list[Any]:
    """Return the calls of the plain file."""
    store = new_store()
    assert store.ingest(WHOLE, **OPTIONS).added == len(LINES)
    return list(store.run())


def given_as(data: bytes, folder: Path) -> dict[str, Any]:
    """Return *data* as each kind of input."""
    path = folder / "Master.csv"  # whatever its name says
    path.write_bytes(data)
    fsspec.filesystem("memory").pipe(f"/given/{path.name}", data)
    return {
        "bytes": data,
        "path": path,
        "text": str(path),
        "url": "memory://given/Master.csv",
        "file": path.open("rb"),
        "stream": OnlyReads(data),
        "list": [path],
        "folder": folder,
        "glob": f"{folder}/M*.csv",
    }


@pytest.mark.parametrize("kind", PACKED)
def test_everything_is_read_alike(kind: str, tmp_path: Path, plain: list[Any]) -> None:
    """A file gives the same calls, however it is packed and handed over; the caller's own file stays open."""
    for name, given in given_as(PACKED[kind], tmp_path).items():
        store = new_store()
        report = store.ingest(given, **OPTIONS)
        assert (report.read, report.added, report.rejected) == (len(LINES), len(LINES), 0), name
        assert list(store.run()) == plain, name
        if name == "file":
            assert not given.closed
            given.close()


@pytest.fixture(scope="module")
def bucket(s3_options: dict[str, object]) -> str:
    """Return the URL of a folder in a bucket that has some of `PACKED`, and two halves beside them."""
    name = f"inputs-{next(_numbers)}"
    filesystem = fsspec.filesystem("s3", **s3_options)
    filesystem.mkdir(name)
    for kind in FAR:
        filesystem.pipe(f"{name}/cdr/packed/{kind}/Master.csv", PACKED[kind])
    for half, data in HALVES.items():
        filesystem.pipe(f"{name}/cdr/2026/{half}/Master.csv.gz", gzip.compress(data))
    filesystem.pipe(f"{name}/cdr/2026/a/notes.txt", LINES[0] + b"nothing of a switch\n")
    return f"s3://{name}/cdr"


@pytest.mark.s3
class TestBucket:
    """Files in a bucket are read as those of a folder."""

    @pytest.mark.parametrize("kind", FAR)
    def test_one_file(self, bucket: str, s3_options: dict[str, object], kind: str, plain: list[Any]) -> None:
        """A file is read by its URL, packed or not, and its format is detected."""
        url = f"{bucket}/packed/{kind}/Master.csv"
        store = new_store()
        assert detect(url, storage_options=s3_options).format == "asterisk-csv"
        report = store.ingest(url, storage_options=s3_options, **OPTIONS)
        assert (report.read, report.added, report.source) == (len(LINES), len(LINES), url)
        assert list(store.run()) == plain

    @pytest.mark.parametrize(
        "asked",
        ["2026/*/*.gz", "**/Master.csv.gz", "2026/[ab]/Master*", ["2026/a/Master.csv.gz", "2026/b"]],
        ids=str,
    )
    def test_several_files(
        self, bucket: str, s3_options: dict[str, object], asked: str | list[str], plain: list[Any]
    ) -> None:
        """A glob, a folder and a list of URLs are read, each file named by its URL."""
        given = f"{bucket}/{asked}" if isinstance(asked, str) else [f"{bucket}/{one}" for one in asked]
        store, done = new_store(), list[int]()
        report = store.ingest(
            given,
            storage_options=s3_options,
            progress=lambda read, _: done.append(read),
            **OPTIONS,
        )
        assert (report.inputs, report.read, report.rejected) == (2, len(LINES), 0)
        assert list(store.run()) == plain
        assert done[-1] == sum(len(gzip.compress(data)) for data in HALVES.values())

    def test_rejects(self, bucket: str, s3_options: dict[str, object]) -> None:
        """Rows that cannot be taken are named by the URL they are in, and can be written beside it."""
        report = new_store().ingest(f"{bucket}/2026", storage_options=s3_options, **OPTIONS)
        [reject] = report.rejects
        assert reject.input == f"{bucket}/2026/a/notes.txt"
        report.write_rejects(f"{bucket}/rejects.csv", raw=True, storage_options=s3_options)
        filesystem = fsspec.filesystem("s3", **s3_options)
        assert filesystem.cat(f"{bucket}/rejects.csv") == b"nothing of a switch\n"

    def test_options_of_the_environment(
        self, bucket: str, s3_options: dict[str, Any], plain: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The environment supplies the options that are not given."""
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_options["key"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_options["secret"])
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3_options["client_kwargs"]["endpoint_url"])
        store = new_store()
        store.ingest(f"{bucket}/2026/*/*.gz", **OPTIONS)
        assert list(store.run()) == plain

    def test_what_is_not_there(self, bucket: str, s3_options: dict[str, object]) -> None:
        """A file, a pattern or a bucket that is not there is an error that names it."""
        for url in (f"{bucket}/none.csv", f"{bucket}/*.none", "s3://no-such-bucket/*.csv"):
            with pytest.raises(NotFoundError) as caught:
                new_store().ingest(url, storage_options=s3_options, **OPTIONS)
            assert caught.value.url == url


@pytest.mark.parametrize("given", [WHOLE, io.BytesIO(WHOLE), {"uuid": "1"}, "local"])
def test_options_without_a_url(given: Any, tmp_path: Path) -> None:
    """Options for inputs without a filesystem, or on the local one, are refused."""
    path = tmp_path / "Master.csv"
    path.write_bytes(WHOLE)
    for ask in (lambda it: new_store().ingest(it, storage_options={"key": "k"}, **OPTIONS), detect_with_key):
        with pytest.raises(ConfigError, match="storage.options"):
            ask(path if given == "local" else given)


def detect_with_key(given: Any) -> None:
    """Detect a format with options that the input cannot use."""
    detect(given, storage_options={"key": "k"})


@pytest.mark.parametrize("kind", CUT)
def test_a_cut_off_file_stores_nothing(kind: str) -> None:
    """Packed data that was cut off anywhere is an error that says so, and nothing is stored."""
    data = PACKED[kind]
    for keep in (len(data) // 3, len(data) * 9 // 10, len(data) - (600 if kind == "tar" else 3)):
        store = new_store()
        if kind in ("gzip of two members", "zstd of two frames") and keep == len(data) // 3:
            keep = len(data) // 2
        with pytest.raises(CorruptDataError, match="cut off or damaged.*Nothing was stored"):
            store.ingest(data[: keep if kind != "tar" else keep // 512 * 512 - 512 * 20], **OPTIONS)
        assert not store.exists


@pytest.mark.parametrize("kind", CUT)
def test_damage_is_an_error_of_ours(kind: str) -> None:
    """A byte that was changed in packed data is noticed, or changes rows that are still all accounted for."""
    data = PACKED[kind]
    for at in range(20, len(data), max(len(data) // 7, 1)):
        damaged = data[:at] + bytes([data[at] ^ 0x5A]) + data[at + 1 :]
        store = new_store()
        try:
            report = store.ingest(damaged, **OPTIONS)
        except CdrError:
            assert not store.exists
        else:
            assert report.read == report.added + report.duplicates + report.conflicts + report.rejected


def test_globs_and_folders(tmp_path: Path) -> None:
    """A pattern matches part by part; a folder gives files that are not hidden; empty files are skipped."""
    for number, name in enumerate(["a.csv", "b.csv", "deep/c.csv", "deep/er/d.csv", "e.txt", ".hidden.csv"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(LINES[number])
    (tmp_path / "empty.csv").touch()
    for pattern, files in (
        ("*.csv", 3),  # a pattern that says so takes hidden ones
        ("[ab].csv", 2),
        ("deep/*.csv", 1),
        ("**/*.csv", 5),
        ("**", 6),
        ("d*/**/*.csv", 2),
        ("", 5),
    ):
        report = new_store().ingest(f"{tmp_path}/{pattern}", **OPTIONS)
        assert (report.inputs, report.added) == (files, files), pattern
    with pytest.raises(NotFoundError, match="No file matches"):
        new_store().ingest(f"{tmp_path}/*.pdf", **OPTIONS)
    with pytest.raises(NotFoundError, match="does not exist"):
        new_store().ingest(tmp_path / "nowhere", **OPTIONS)
    (tmp_path / "[ab].csv").write_bytes(LINES[7])
    assert new_store().ingest(tmp_path / "[ab].csv", **OPTIONS).read == 1  # a name that is there is a name


def test_rejects_name_their_input(tmp_path: Path) -> None:
    """Where there are several inputs, a reject says which one it is in; where there is one, it need not."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_bytes(LINES[0] + b"no,call\n")
    rejects = new_store().ingest(tmp_path, **OPTIONS).rejects
    assert [(reject.input, reject.row) for reject in rejects] == [
        (str(tmp_path / "a.csv"), 2),
        (str(tmp_path / "b.csv"), 2),
    ]
    assert [reject.input for reject in new_store().ingest(tmp_path / "a.csv", **OPTIONS).rejects] == [""]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_line_ends_and_encodings(end: bytes, encoding: str) -> None:
    """LF, CRLF and CR, UTF-8 with and without mark and Latin-1 give the same calls."""
    rows = [
        '"Zo\u00eb' + line.rstrip(b"\n").decode()[1:].encode("latin-1", "replace").decode("latin-1")
        for line in LINES
    ]
    plain, other = new_store(), new_store()
    plain.ingest("\n".join([*rows, ""]).encode(), **OPTIONS)
    data = end.join([*(row.encode(encoding.removesuffix("-sig")) for row in rows), b""])
    mark = b"\xef\xbb\xbf" if encoding == "utf-8-sig" else b""
    report = other.ingest(mark + data, encoding=encoding, **OPTIONS)
    assert (report.read, report.rejected) == (len(rows), 0)
    assert list(other.run()) == list(plain.run())
    assert {(call.account or "")[:3] for call in other.run()} == {"Zo\u00eb"}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (3, ConfigError, "is not an input"),
        ([3], ConfigError, "Item 1 has the type int"),
        ([], SchemaError, "nothing to read"),
        ([b"", b""], SchemaError, "nothing to read"),
        (io.StringIO("x"), ConfigError, "'rb'"),
        (zipped(), SchemaError, "nothing to read"),
        (gzip.compress(zipped(a=WHOLE)), ConfigError, "Unpack the outer file first"),
        (gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x")))), ConfigError, "Unpack it first"),
        ({"a": {1, 2}}, SchemaError, "Asterisk"),
        ("", ConfigError, "folder"),
    ],
    ids=itertools.count(),  # what is compressed has the time in it, and names of tests must not
)
def test_what_cannot_be_read(given: Any, error: type[CdrError], says: str) -> None:
    """An impossible or empty input is an error that names possible inputs."""
    store = new_store()
    with pytest.raises(error, match=says):
        store.ingest(given, **OPTIONS)
    assert not store.exists


BOMB = """
import gzip, resource
import cdrkit

data = gzip.compress(bytes(200 << 20), 9)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store = cdrkit.open_store("memory://bomb")
try:
    report = store.ingest(data, format="asterisk-csv", timezone="UTC")
    print(report.read)
except cdrkit.errors.CdrError as exc:
    print(type(exc).__name__)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_a_bomb_is_bounded() -> None:
    """A small file that unpacks to very much costs no more memory than any other: its one line is too long."""
    done = subprocess.run(
        [sys.executable, "-c", BOMB], capture_output=True, text=True, check=True, timeout=120
    )
    error, megabytes = done.stdout.split()
    assert error == "SchemaError"
    assert int(megabytes) < 150


def test_documents(tmp_path: Path) -> None:
    """An iterable may mix files, bytes and dicts; it is read once, one after the other."""

    def documents() -> Iterator[Any]:
        for n in range(9):
            yield {"variables": {"uuid": f"{n}", "start_epoch": str(1784707200 + n)}}

    store = new_store()
    report = store.ingest(documents(), format="freeswitch-json")
    assert (report.inputs, report.added) == (9, 9)
    (tmp_path / "one.json").write_text('{"variables": {"uuid": "x", "start_epoch": "1784707200"}}')
    mixed = [
        tmp_path / "one.json",
        b'{"variables": {"uuid": "y", "start_epoch": "1784707200"}}',
        *documents(),
    ]
    assert store.ingest(mixed, format="freeswitch-json").added == 2
    assert (
        store.ingest(
            {"variables": {"uuid": "z", "start_epoch": "1784707200"}}, format="freeswitch-json"
        ).added
        == 1
    )
