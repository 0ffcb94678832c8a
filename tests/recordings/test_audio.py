"""Audio properties, compared with `soxi` and `ffprobe` where they are installed."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdrkit import CallRecord, Recording
from cdrkit._recordings.locator import make_locator

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
#: How each file is made of the same tone: what to call, and the arguments between input and output.
MADE: dict[str, tuple[str, list[str]]] = {
    "pcm16.wav": ("sox", ["-e", "signed", "-b", "16"]),
    "pcm8.wav": ("sox", ["-e", "unsigned", "-b", "8"]),
    "stereo.wav": ("sox", ["-c", "2", "-r", "16000"]),
    "mulaw.wav": ("sox", ["-e", "mu-law"]),
    "alaw.wav": ("sox", ["-e", "a-law"]),
    "gsm.wav": ("sox", ["-e", "gsm-full-rate"]),
    "raw.gsm": ("sox", []),
    "raw.ul": ("sox", []),
    "raw.al": ("sox", []),
    "cbr.mp3": ("ffmpeg", ["-b:a", "32k", "-write_xing", "0", "-id3v2_version", "0"]),
    "cbr-tagged.mp3": ("ffmpeg", ["-b:a", "64k", "-metadata", "title=A call", "-write_id3v1", "1"]),
    "vbr.mp3": ("ffmpeg", ["-q:a", "5"]),
    "vbr-without-header.mp3": ("ffmpeg", ["-q:a", "5", "-write_xing", "0", "-id3v2_version", "0"]),
    "stereo-44100.mp3": ("ffmpeg", ["-ac", "2", "-ar", "44100", "-b:a", "128k"]),
    "mpeg2.mp3": ("ffmpeg", ["-ar", "16000", "-q:a", "6"]),
    "call.opus": ("ffmpeg", ["-c:a", "libopus", "-b:a", "16k"]),
    "stereo.ogg": ("ffmpeg", ["-ac", "2", "-c:a", "libopus"]),
    "vorbis.ogg": ("ffmpeg", ["-c:a", "libvorbis"]),
    "raw.g722": ("ffmpeg", ["-ar", "16000", "-c:a", "g722"]),
}
#: What ffprobe calls each codec's container, as cdrkit does.
CONTAINERS = {
    "wav": "wav",
    "mp3": "mp3",
    "ogg": "ogg",
    "gsm": "gsm",
    "g722": "g722",
    "mulaw": "ulaw",
    "alaw": "alaw",
}


def recording_of(path: Path) -> Recording:
    """Return the recording in a file."""
    found = make_locator(None, root=path.parent)
    return found.find(CallRecord(call_id="1", start=START, recording=path.name))


def run(*command: str | Path) -> str:
    """Return what a command prints."""
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


@functools.cache
def sox_formats() -> list[str]:
    """Return the formats that sox knows here; Debian has MP3 in a package of its own."""
    return run("sox", "--help").partition("AUDIO FILE FORMATS:")[2].partition("\n")[0].split()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of sounds made by sox and ffmpeg; skip without them."""
    for command in ("sox", "soxi", "ffmpeg", "ffprobe"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    folder = tmp_path_factory.mktemp("made")
    tone = folder / "tone.wav"
    # Noise of changing loudness keeps an encoder of changing bit rate busy; 7.3 s is no whole number of any frame.
    run("sox", "-n", "-r", "8000", "-c", "1", "-b", "16", "-R", tone,
        "synth", "7.3", "pinknoise", "vol", "0.3", "synth", "7.3", "sine", "amod", "0.7")  # fmt: skip
    for name, (command, options) in MADE.items():
        if command == "sox":
            run("sox", tone, *options, folder / name)
        else:
            run("ffmpeg", "-v", "error", "-i", tone, *options, folder / name)
    return folder


@functools.cache
def probed(path: Path) -> tuple[str, int, int, float]:
    """Return what ffprobe says: container, channels, samples a second, seconds."""
    stated = ["-f", "gsm"] if path.suffix == ".gsm" else []
    raw = {".ul": "mulaw", ".al": "alaw"}.get(path.suffix)
    if raw:
        stated = ["-f", raw, "-ar", "8000"]
    text = run("ffprobe", "-v", "error", *stated, "-of", "json", "-show_format", "-show_streams", path)
    said = json.loads(text)
    stream = said["streams"][0]
    seconds = float(said["format"].get("duration") or stream["duration"])
    if path.name == "vbr-without-header.mp3":  # ffprobe guesses from the first frames, unless it counts them
        counted = run("ffprobe", "-v", "error", "-count_packets", "-of", "csv=p=0", "-show_entries",
                      "stream=nb_read_packets", path)  # fmt: skip
        seconds = int(counted) * 576 / int(stream["sample_rate"])
    return said["format"]["format_name"], stream["channels"], int(stream["sample_rate"]), seconds


@pytest.mark.parametrize("name", MADE)
def test_as_ffprobe_says(made: Path, name: str) -> None:
    """Format, channels, rate and length equal those of ffprobe."""
    recording = recording_of(made / name)
    container, channels, rate, seconds = probed(made / name)
    assert recording.format == CONTAINERS[container]
    assert (recording.channels, recording.sample_rate) == (channels, rate)
    assert recording.duration == pytest.approx(seconds, abs=0.05)
    assert recording.duration == pytest.approx(
        7.3, abs=0.25
    )  # MP3 has up to three frames more: delay and padding
    assert recording.state == "complete"


@pytest.mark.parametrize("name", [name for name in MADE if name.endswith((".wav", ".mp3", "vorbis.ogg"))])
def test_as_soxi_says(made: Path, name: str) -> None:
    """The same for soxi, of what it knows the length of."""
    path = made / name
    if path.suffix[1:] not in sox_formats():
        pytest.skip(f"sox does not know {path.suffix[1:]} here")
    recording = recording_of(path)
    assert recording.channels == int(run("soxi", "-c", path))
    assert recording.sample_rate == int(run("soxi", "-r", path))
    assert recording.duration == pytest.approx(float(run("soxi", "-D", path)), abs=0.11)


def test_real_samples(samples: Path) -> None:
    """Prompts of Asterisk and a recording of a real switch: as soxi and ffprobe say."""
    if shutil.which("soxi") is None or shutil.which("ffprobe") is None:
        pytest.skip("soxi or ffprobe is not installed")
    files = sorted((samples / "audio").iterdir())
    assert files
    for path in files:
        recording = recording_of(path)
        container, channels, rate, seconds = probed(path)
        assert recording.format == CONTAINERS[container], path
        assert (recording.channels, recording.sample_rate) == (channels, rate), path
        assert recording.duration == pytest.approx(seconds, abs=0.05), path
        if container != "gsm" and container in sox_formats():  # soxi reports no length of GSM
            assert recording.duration == pytest.approx(float(run("soxi", "-D", path)), abs=0.05), path
        assert recording.state == "complete", path


@pytest.mark.parametrize(
    "name", ["pcm16.wav", "gsm.wav", "cbr-tagged.mp3", "vbr.mp3", "vbr-without-header.mp3", "call.opus"]
)
def test_cut_off(made: Path, tmp_path: Path, name: str) -> None:
    """A file that was cut off in its middle says so, and plays about as long as what is left."""
    data = (made / name).read_bytes()
    half = tmp_path / name
    half.write_bytes(data[: len(data) // 2 + 1])
    recording = recording_of(half)
    assert recording.state == "incomplete"
    assert recording.duration is not None
    assert 2.2 < recording.duration < 5.2


@pytest.mark.parametrize("name", sorted(MADE))
def test_any_beginning(made: Path, tmp_path: Path, name: str) -> None:
    """Any first part of a file is read without an error, and is never longer than the whole."""
    data = (made / name).read_bytes()
    for length in (*range(80), *range(80, min(len(data), 3000), 97)):
        piece = tmp_path / name
        piece.write_bytes(data[:length])
        recording = recording_of(piece)
        assert recording.state == ("empty" if length == 0 else recording.state)
        assert (recording.duration or 0) <= 7.6


class TestWithoutCommands:
    """What needs no other program: files made byte by byte."""

    def mp3(self, *bit_rates: int) -> bytes:
        """Return frames of MPEG-1 layer III, 32 kHz, mono: 36 ms each, of these bit rates in kbit/s."""
        rates = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        return b"".join(
            bytes([0xFF, 0xFB, rates.index(rate) << 4 | 0x08, 0xC0]).ljust(144 * rate * 1000 // 32000, b"\0")
            for rate in bit_rates
        )

    def properties(self, folder: Path, name: str, data: bytes) -> tuple[str | None, float | None, str]:
        """Return format, length and state of a file of *data*."""
        (folder / name).write_bytes(data)
        recording = recording_of(folder / name)
        seconds = recording.duration
        return recording.format, None if seconds is None else round(seconds, 3), recording.state

    def test_constant_bit_rate(self, tmp_path: Path) -> None:
        """With equal frames, the length follows from the size."""
        assert self.properties(tmp_path, "a.mp3", self.mp3(*[32] * 100)) == ("mp3", 3.6, "complete")

    def test_changing_bit_rate(self, tmp_path: Path) -> None:
        """Frames that differ are counted, over more than one piece of the file."""
        data = self.mp3(*[32, 320, 64, 128] * 100)
        assert len(data) > 65_536
        assert self.properties(tmp_path, "a.mp3", data) == ("mp3", 14.4, "complete")
        assert self.properties(tmp_path, "a.mp3", data[:-5]) == ("mp3", 14.364, "incomplete")

    def test_tags(self, tmp_path: Path) -> None:
        """Tags before and behind the sound are no sound."""
        data = self.mp3(*[32] * 100)
        tag = b"ID3\4\0\0" + bytes([0, 0, 39, 16]) + b"\xff\xfb" * 2504
        assert self.properties(tmp_path, "a.bin", tag + data + b"TAG".ljust(128, b"\0")) == (
            "mp3",
            3.6,
            "complete",
        )

    def test_counted_frames(self, tmp_path: Path) -> None:
        """What a Xing header counts is believed as far as the bytes are there."""
        frames = self.mp3(*[32, 320] * 50)
        head = bytearray(self.mp3(64))
        size = len(head) + len(frames)
        head[21:37] = b"Xing" + (3).to_bytes(4, "big") + (100).to_bytes(4, "big") + size.to_bytes(4, "big")
        assert self.properties(tmp_path, "a.mp3", bytes(head) + frames) == ("mp3", 3.6, "complete")
        kind, seconds, state = self.properties(tmp_path, "a.mp3", (bytes(head) + frames)[: size // 2])
        assert (kind, state) == ("mp3", "incomplete")
        assert seconds == pytest.approx(1.8, abs=0.01)

    @pytest.mark.parametrize(
        ("name", "data", "state"),
        [
            ("a.gsm", b"\xd2" * 33, "complete"),
            ("a.gsm", b"\xd2" * 34, "incomplete"),
            ("a.ul", b"\xff" * 7, "complete"),
            ("a.flac", b"fLaC", "complete"),
            ("a.ogg", b"OggS", "incomplete"),
            ("a.mp3", b"nothing of the kind", "incomplete"),
            ("a.wav", b"RIFF", "incomplete"),
            ("a.wav", b"", "empty"),
        ],
    )
    def test_states(self, tmp_path: Path, name: str, data: bytes, state: str) -> None:
        """A file is empty, incomplete or complete; one that is not there is missing."""
        (tmp_path / name).write_bytes(data)
        assert recording_of(tmp_path / name).state == state
        (tmp_path / name).unlink()
        assert recording_of(tmp_path / name).state == "missing"
