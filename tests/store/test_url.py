"""Reading a database's URL: any password survives, and none is ever shown."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import UsageError
from search.store.storage import open_storage
from search.store.url import PASSWORD, PASSWORD_FILE, names_password, parse_url, redacted

passwords = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)


@given(passwords)
def test_an_encoded_password_is_read_as_it_was_meant(password: str) -> None:
    url = parse_url(f"postgresql://me:{quote(password, safe='')}@host:5432/studies")
    assert (url.username, url.password, url.host, url.port, url.database) == ("me", password, "host", 5432, "studies")


@given(st.text("abc@/:#?.,-_!$&", min_size=1, max_size=20))
def test_an_unencoded_password_is_read_as_it_was_meant_or_refused(password: str) -> None:
    try:
        url = parse_url(f"postgresql://me:{password}@host/studies")
    except UsageError:
        assert "@" in password
        return
    assert (url.password, url.host, url.database) == (password, "host", "studies")


@given(st.text("ab@/:#%4025", min_size=1, max_size=20))
def test_percent_signs_are_never_guessed_at(password: str) -> None:
    """Whatever is accepted has one reading: encoded throughout, or not at all."""
    try:
        read = parse_url(f"postgresql://me:{password}@host/studies").password
    except UsageError:
        return
    assert read in (password, unquote(password))


@pytest.mark.parametrize("password", ["p@ss", "a/b", "a:b", "a#b", "100%", "@/:#%", "p@ss/w:rd#1%", "@", "%zz"])
def test_the_passwords_that_people_have(password: str) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = parse_url(f"{scheme}://me:{password}@db.example:5433/studies")
        assert (url.drivername, url.password, url.port) == ("postgresql+psycopg", password, 5433)


@given(st.text(max_size=60))
def test_no_text_is_more_than_refused(text: str) -> None:
    for read in (parse_url, names_password):
        with suppress(UsageError):
            read(text)


@given(
    st.text("secret@/:#%40", min_size=1, max_size=30), st.sampled_from(["host/db", "host:x/db", "", "h@h/d", "[::1]/d"])
)
def test_a_password_is_never_in_a_message(password: str, place: str) -> None:
    password = f"hush{password}hush"
    try:
        said = redacted(parse_url(f"postgresql://me:{password}@{place}"))
    except UsageError as error:
        said = str(error)
    assert "hush" not in said


def test_the_password_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n", encoding="utf-8")
    assert parse_url("postgresql://me@host/db").password is None
    monkeypatch.setenv(PASSWORD_FILE, str(tmp_path / "secret"))
    assert parse_url("postgresql://me@host/db").password == "from the file"
    monkeypatch.setenv(PASSWORD, "p@ss")
    assert parse_url("postgresql://me@host/db").password == "p@ss"
    assert parse_url("postgresql://me:mine@host/db").password == "mine"
    assert parse_url("sqlite:///x.db").password is None


def test_sqlite_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_url("sqlite:///a b/{x}.db").database == str(tmp_path / "a b/{x}.db")
    assert parse_url("sqlite:///a%20b.db").database == str(tmp_path / "a b.db")
    with pytest.raises(UsageError, match="takes no options"):
        parse_url("sqlite:///what?.db")
    assert parse_url("sqlite:////tmp/x.db").database == "/tmp/x.db"


def test_whether_a_password_is_in_a_url() -> None:
    assert names_password("postgresql://me:p@ss@host/db")
    assert not names_password("postgresql://me@host/db")
    assert not names_password("sqlite:///x.db")
    assert not names_password("nonsense")


@pytest.mark.parametrize("name", ["a b", "{x}", "50%", "ü", "a'b", "a#b"])
def test_a_file_may_be_called_anything(name: str, tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/{name}.db", create=True)
    assert (tmp_path / f"{name}.db").is_file()
    open_storage(redacted(parse_url(f"sqlite:///{tmp_path}/{name}.db")), create=False)
