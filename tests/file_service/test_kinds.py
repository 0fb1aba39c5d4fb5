"""What is found in files of each kind."""

import gzip
import io
import tarfile
from typing import Any, cast

import duckdb
import msgspec
import pytest
from PIL import Image

from file_service.findings import Findings, Limits, Unusable
from file_service.fitting import MOST_BYTES, clean
from file_service.names import unsafe_because
from file_service.tables.sample import harmless
from tests.file_service.conftest import Examine
from tests.file_service.hostile import tar_of, zip_of

CSV = b"""id,code,price,day,at,ok,name
1,01234,1.5,2026-01-01,2026-01-01T10:00:00Z,true,Ada
2,00001,-2.5,2026-01-02,2026-01-02T10:00:00Z,false,"Lovelace, Ada"
3,,4,2026-02-28,2026-01-03T10:00:00Z,true,Ada
"""


def columns(found: Findings) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in cast("list[dict[str, Any]]", found.profile["columns"])}


def artifact(found: Findings, name: str) -> bytes:
    return next(one.content for one in found.made if one.name == name)


def test_a_csv_is_known_by_its_columns(looked_at: Examine) -> None:
    found = looked_at("a.csv", CSV)

    known = columns(found)
    assert {name: column["type"] for name, column in known.items()} == {
        "id": "integer",
        "code": "text",
        "price": "number",
        "day": "date",
        "at": "timestamp",
        "ok": "boolean",
        "name": "text",
    }
    assert (found.profile["rows"], known["code"]["nulls"]) == (3, 1)
    assert (known["price"]["min"], known["price"]["max"], known["price"]["mean"]) == (-2.5, 4.0, 1.0)
    assert (known["day"]["min"], known["day"]["max"]) == ("2026-01-01", "2026-02-28")
    assert known["name"]["frequent"] == [{"value": "Ada", "count": 2}]


def test_a_value_unlike_the_first_rows_is_a_misfit_and_no_reason_to_reject(looked_at: Examine) -> None:
    found = looked_at("a.csv", b"n,m\n" + b"1,2\n" * 20_000 + b"x,2.5\n")

    assert [(one["type"], one["misfits"]) for one in columns(found).values()] == [("integer", 1)] * 2


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter"),
    [
        ("id;näme\n1;über\n".encode("cp1252"), "cp1252", ";"),
        ("id|näme\n1|über\n".encode(), "utf-8", "|"),
        ("id\tnäme\n1\tüber\n".encode("utf-16"), "utf-16", "\t"),
        ("\ufeffid,näme\r\n1,über\r\n2,\r\n".encode(), "utf-8-sig", ","),
        ("id,näme\n1,über\r\n".encode(), "utf-8", ","),
    ],
)
def test_a_csv_is_read_however_it_is_written(
    looked_at: Examine, content: bytes, encoding: str, delimiter: str
) -> None:
    found = looked_at("a.csv", content)

    assert (found.profile["encoding"], found.profile["delimiter"]) == (encoding, delimiter)
    assert list(columns(found)) == ["id", "näme"]
    assert columns(found)["näme"]["max"] == "über"


def test_columns_without_a_name_or_with_the_same_get_names_of_their_own(looked_at: Examine) -> None:
    assert list(columns(looked_at("a.csv", b"a,A,,a\n1,2,3,4\n"))) == ["a", "A_2", "column3", "a_3"]
    assert list(columns(looked_at("a.csv", b"1,2\n3,4\n"))) == ["column1", "column2"]


def test_a_sample_holds_nothing_that_a_spreadsheet_would_calculate(looked_at: Examine) -> None:
    found = looked_at("a.csv", b'=x,b\n"=cmd()",1\n@y,-2\n"\tz",+3\n')

    rows = artifact(found, "sample.csv").decode().splitlines()
    assert rows == ["'=x,b", "'=cmd(),1", "'@y,'-2", "'\tz,'+3"]
    assert harmless("a=b") == "a=b"


def test_json_lines_are_known_by_their_members(looked_at: Examine) -> None:
    found = looked_at("a.ndjson", b'{"a": 1, "b": "x", "c": {"d": [1]}}\n\n{"a": 2.5, "b": "01"}\n')

    known = columns(found)
    types = {name: column["type"] for name, column in known.items()}
    assert (found.profile["kind"], found.profile["rows"]) == ("jsonl", 2)
    assert types == {"a": "number", "b": "text", "c": "nested"}
    assert (known["a"]["max"], known["c"]["nulls"]) == (2.5, 1)


def test_parquet_is_told_by_its_bytes(looked_at: Examine, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("made") / "a.parquet"
    with duckdb.connect() as connection:
        rows = "SELECT i AS id, [i] AS list, 'n' || i % 2 AS name FROM range(100) t(i)"
        connection.execute(f"COPY ({rows}) TO '{path}'")

    found = looked_at("whatever.csv", path.read_bytes())

    assert (found.profile["kind"], found.profile["rows"]) == ("parquet", 100)
    assert [one["type"] for one in columns(found).values()] == ["integer", "nested", "text"]


def test_an_image_gets_upright_thumbnails_without_what_the_camera_wrote(looked_at: Examine) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    target = io.BytesIO()
    Image.new("RGB", (1500, 1000)).save(target, "JPEG", exif=exif)

    found = looked_at("a", target.getvalue())

    assert (found.profile["width"], found.profile["height"]) == (1000, 1500)
    for side, size in ((512, (341, 512)), (128, (85, 128))):
        with Image.open(io.BytesIO(artifact(found, f"thumbnail-{side}.webp"))) as thumbnail:
            assert (thumbnail.size, dict(thumbnail.getexif())) == (size, {})


@pytest.mark.parametrize("mode", ["P", "1", "L", "LA", "RGBA", "I;16"])
def test_an_image_of_any_mode_gets_a_thumbnail(looked_at: Examine, mode: str) -> None:
    target = io.BytesIO()
    Image.new(mode, (300, 200)).save(target, "PNG")

    found = looked_at("a.png", target.getvalue())

    assert len(found.made) == 3


def test_frames_are_counted(looked_at: Examine) -> None:
    frames = [Image.new("RGB", (20, 20), (50 * number, 0, 0)) for number in range(5)]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])

    assert looked_at("a.gif", target.getvalue()).profile["frames"] == 5


def test_a_text_is_counted_across_the_pieces_that_it_is_read_in(looked_at: Examine) -> None:
    content = "ein Wört\n".encode() * 500_000 + b"x" * 5_000_000

    found = looked_at("a.txt", content)

    assert (found.profile["lines"], found.profile["words"]) == (500_001, 1_000_001)
    assert (found.profile["longest_line"], found.profile["encoding"]) == (5_000_000, "utf-8")


def test_an_archive_is_listed_and_its_dangers_named(looked_at: Examine) -> None:
    link: dict[str, object] = {"type": tarfile.SYMTYPE, "linkname": "../../etc/passwd"}
    files: list[tuple[str, bytes, dict[str, object]]]
    files = [(name, b"x", {}) for name in ("a/ok.txt", "../up", "in.zip")]
    content = tar_of(*files, ("a/link", b"", link))

    found = looked_at("a.tgz", gzip.compress(content))

    listed = msgspec.json.decode(artifact(found, "listing.json"))["entries"]
    assert [one.get("unsafe") is not None for one in listed] == [False, True, False, True]
    assert (found.profile["entries"], found.profile["unsafe_entries"]) == (4, 2)
    assert (found.profile["nested_archives"], found.profile["unpacked_bytes"]) == (1, 3)


def test_a_zip_is_listed(looked_at: Examine) -> None:
    found = looked_at("a.docx", zip_of({"a.txt": b"x" * 100, "/etc/passwd": b"y"}))

    assert (found.profile["entries"], found.profile["unsafe_entries"]) == (2, 1)


@pytest.mark.parametrize(
    ("name", "link", "is_unsafe"),
    [
        ("a/b.txt", None, False),
        ("a/../../b", None, True),
        ("C:\\b", None, True),
        ("..\\b", None, True),
        ("a\n", None, True),
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("b", "/c", True),
    ],
)
def test_a_name_is_told_to_be_dangerous(name: str, link: str | None, is_unsafe: bool) -> None:  # noqa: FBT001 - a case of the table
    assert (unsafe_because(name, link) is not None) == is_unsafe


def test_what_the_client_says_does_not_count_against_the_bytes(looked_at: Examine) -> None:
    found = looked_at("a.csv", zip_of({"a": b"x"}), declared="text/csv")

    assert found.profile["kind"] == "archive"


def test_a_declared_type_tells_a_table_from_a_text(looked_at: Examine) -> None:
    assert (
        looked_at("a", b"just words\nno table\n", declared="text/csv; charset=utf-8").profile["kind"] == "csv"
    )


def test_a_profile_fits_into_its_event_and_is_whole_in_its_artifact(looked_at: Examine) -> None:
    names = [f"{n:0200}" for n in range(80)]
    content = (
        ",".join(f"c{name[1:]}" for name in names) + "\n" + ",".join(f"x{name[1:]}" for name in names) + "\n"
    ).encode()

    found = looked_at("a.csv", content)

    shown = len(columns(found))
    assert len(msgspec.json.encode(found.profile)) <= MOST_BYTES
    assert shown + cast("int", found.profile["columns_left_out"]) == 80
    assert len(msgspec.json.decode(artifact(found, "profile.json"))["columns"]) == 80


def test_a_profile_has_nothing_that_a_database_refuses() -> None:
    assert clean({"a\0": [float("nan"), "\ud800", 1]}) == {"a\ufffd": ["nan", "?", 1]}


def test_a_table_larger_than_its_memory_goes_to_disk_or_says_so(looked_at: Examine) -> None:
    content = b"a,b\n" + b"".join(b"%d,%s\n" % (n, b"x" * 50) for n in range(50_000))
    limits = Limits(query_memory_bytes=1024 * 1024, query_spill_bytes=0, query_threads=1)

    with pytest.raises(Unusable, match="FILE_QUERY_MEMORY"):
        looked_at("a.csv", content, limits=limits)


def test_progress_is_told_in_bytes_of_the_file(looked_at: Examine) -> None:
    told: list[tuple[float, float, str]] = []

    looked_at("a.txt", b"word\n" * 2_000_000, told=told)

    done = [step[0] for step in told]
    assert done == sorted(done)
    assert {step[1] for step in told} == {10_000_000}
    assert told[-1][2].endswith("% of 10.0 MB: counting")
