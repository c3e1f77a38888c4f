"""Repositories, commits, branches and tags in SQLite. A commit is one transaction: all its files are there or none.

Every commit lists all its files, so a reader who holds a commit's id sees one state whatever is pushed meanwhile.
"""

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..web import Refusal
from .names import COMMIT, MAIN, RepoId

_TABLES = """
CREATE TABLE IF NOT EXISTS repos (
    id TEXT PRIMARY KEY, private INTEGER NOT NULL, created TEXT NOT NULL, downloads INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS commits (
    sha TEXT NOT NULL, repo TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE, parent TEXT,
    title TEXT NOT NULL, message TEXT NOT NULL, created TEXT NOT NULL, PRIMARY KEY (repo, sha));
CREATE TABLE IF NOT EXISTS files (
    repo TEXT NOT NULL, sha TEXT NOT NULL, path TEXT NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    git_oid TEXT NOT NULL, lfs INTEGER NOT NULL, PRIMARY KEY (repo, sha, path),
    FOREIGN KEY (repo, sha) REFERENCES commits (repo, sha) ON DELETE CASCADE) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_blob ON files (blob);
CREATE TABLE IF NOT EXISTS refs (
    repo TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL,
    sha TEXT NOT NULL, PRIMARY KEY (repo, kind, name));
"""
BUSY_S = 30.0


@dataclass(frozen=True)
class Repo:
    id: str
    private: bool
    created: str
    downloads: int


@dataclass(frozen=True)
class File:
    """A file of a commit; `lfs` says whether clients upload it by itself or inside the commit."""

    path: str
    blob: str
    size: int
    git_oid: str
    lfs: bool

    @property
    def oid(self) -> str:
        """The content's name as clients know it: git's for small files, the sha256 for large ones."""
        return self.blob if self.lfs else self.git_oid


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    title: str
    message: str
    created: str


@dataclass(frozen=True)
class Change:
    """What a commit does: files that are new or replaced, by path; paths and folders that go."""

    files: Mapping[str, File]
    deleted: frozenset[str]
    deleted_folders: tuple[str, ...]

    def applied(self, before: Mapping[str, File]) -> dict[str, File]:
        """The files after it."""
        left = {
            path: file
            for path, file in before.items()
            if path not in self.deleted and not path.startswith(self.deleted_folders or ("\0",))
        }
        return left | dict(self.files)


class Database:
    """ROOT/hub.sqlite. One connection a thread; writers queue for each other, readers see the last commit."""

    def __init__(self, root: Path):
        self._path = root / "hub.sqlite"
        self._local = threading.local()
        with self._write() as db:
            db.executescript(_TABLES)

    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._local, "db"):
            self._local.db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            self._local.db.execute("PRAGMA journal_mode = WAL")
            self._local.db.execute("PRAGMA synchronous = FULL")
            self._local.db.execute("PRAGMA foreign_keys = ON")
        connection: sqlite3.Connection = self._local.db
        return connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        if db.in_transaction:  # executescript ends it
            db.execute("COMMIT")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection().execute(query, values).fetchall()

    # repositories

    def create_repo(self, repo: RepoId, *, private: bool) -> bool:
        """Make an empty repository with a first commit; False if it is there already."""
        with self._write() as db:
            if db.execute("SELECT 1 FROM repos WHERE lower(id) = lower(?)", (str(repo),)).fetchone():
                return False
            db.execute("INSERT INTO repos VALUES (?, ?, ?, 0)", (str(repo), private, _now()))
            self._insert(db, repo, None, {}, title="Initial commit", message="", ref=("branch", MAIN))
            return True

    def delete_repo(self, repo: RepoId) -> None:
        with self._write() as db:
            db.execute("DELETE FROM repos WHERE id = ?", (str(repo),))

    def set_private(self, repo: RepoId, private: bool) -> None:
        with self._write() as db:
            db.execute("UPDATE repos SET private = ? WHERE id = ?", (private, str(repo)))

    def repo(self, repo: RepoId) -> Repo | None:
        rows = self._rows("SELECT id, private, created, downloads FROM repos WHERE id = ?", str(repo))
        return Repo(rows[0][0], bool(rows[0][1]), rows[0][2], rows[0][3]) if rows else None

    def repos(self) -> list[Repo]:
        """All, newest first."""
        rows = self._rows("SELECT id, private, created, downloads FROM repos ORDER BY created DESC, id")
        return [Repo(row[0], bool(row[1]), row[2], row[3]) for row in rows]

    def count_download(self, repo: RepoId) -> None:
        with self._write() as db:
            db.execute("UPDATE repos SET downloads = downloads + 1 WHERE id = ?", (str(repo),))

    # revisions

    def refs(self, repo: RepoId) -> list[tuple[str, str, str]]:
        """(kind, name, sha); kind is "branch", "tag" or "pr"."""
        return self._rows("SELECT kind, name, sha FROM refs WHERE repo = ? ORDER BY kind, name", str(repo))

    def resolve(self, repo: RepoId, revision: str) -> Commit | None:
        """The commit that a branch, a tag, "refs/pr/N" or a full commit id names."""
        rows = self._rows(
            "SELECT sha FROM refs WHERE repo = ? AND name = ?", str(repo), revision.removeprefix("refs/heads/")
        )
        sha = rows[0][0] if rows else revision if COMMIT.fullmatch(revision) else None
        found = self._rows(
            "SELECT sha, parent, title, message, created FROM commits WHERE repo = ? AND sha = ?", str(repo), sha
        )
        return Commit(*found[0]) if found else None

    def history(self, repo: RepoId, sha: str) -> list[Commit]:
        """A commit and those before it, newest first."""
        rows = self._rows(
            """WITH RECURSIVE line (sha, parent, title, message, created, depth) AS (
                SELECT sha, parent, title, message, created, 0 FROM commits WHERE repo = ?1 AND sha = ?2
                UNION ALL SELECT c.sha, c.parent, c.title, c.message, c.created, line.depth + 1
                FROM commits c JOIN line ON c.repo = ?1 AND c.sha = line.parent)
            SELECT sha, parent, title, message, created FROM line ORDER BY depth""",
            str(repo),
            sha,
        )
        return [Commit(*row) for row in rows]

    def add_ref(self, repo: RepoId, kind: str, name: str, sha: str) -> bool:
        """Make a branch or tag; False if the name is taken."""
        with self._write() as db:
            if db.execute("SELECT 1 FROM refs WHERE repo = ? AND name = ?", (str(repo), name)).fetchone():
                return False
            db.execute("INSERT INTO refs VALUES (?, ?, ?, ?)", (str(repo), kind, name, sha))
            return True

    def delete_ref(self, repo: RepoId, kind: str, name: str) -> bool:
        with self._write() as db:
            done = db.execute("DELETE FROM refs WHERE repo = ? AND kind = ? AND name = ?", (str(repo), kind, name))
            return done.rowcount > 0

    # files and commits

    def files(self, repo: RepoId, sha: str) -> dict[str, File]:
        """The files of a commit by path, in the order of their paths."""
        rows = self._rows(
            "SELECT path, blob, size, git_oid, lfs FROM files WHERE repo = ? AND sha = ? ORDER BY path", str(repo), sha
        )
        return {row[0]: File(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows}

    def file(self, repo: RepoId, sha: str, path: str) -> File | None:
        query = "SELECT path, blob, size, git_oid, lfs FROM files WHERE repo = ? AND sha = ? AND path = ?"
        rows = self._rows(query, str(repo), sha, path)
        return File(rows[0][0], rows[0][1], rows[0][2], rows[0][3], bool(rows[0][4])) if rows else None

    def blobs(self) -> set[str]:
        """Every content that a commit names."""
        return {row[0] for row in self._rows("SELECT DISTINCT blob FROM files")}

    def commit(
        self,
        repo: RepoId,
        branch: str,
        change: Change,
        *,
        title: str,
        message: str,
        parent: str | None,
        as_pull_request: bool = False,
    ) -> tuple[Commit, int | None]:
        """Put a change on a branch, or beside it as a pull request; gives the commit and the request's number.

        Args:
            parent: the commit that its author knew as the branch's last; None for whichever is.

        Raises:
            Refusal: 404, no such branch; 412, `parent` is not the branch's last commit.
        """
        with self._write() as db:
            found = db.execute(
                "SELECT sha FROM refs WHERE repo = ? AND kind IN ('branch', 'pr') AND name = ?", (str(repo), branch)
            ).fetchone()
            if found is None:
                raise Refusal(404, f"{repo} has no branch {branch}; make it first.", code="RevisionNotFound")
            head = str(found[0])
            if parent is not None and parent != head:
                raise Refusal(
                    412,
                    f"{repo} has changed: its last commit is {head[:12]}, not {parent[:12]}; load it again and repeat.",
                )
            before = self.files(repo, head)
            files = change.applied(before)
            if files == before and not as_pull_request:
                found_commit = self.resolve(repo, head)
                assert found_commit is not None
                return found_commit, None
            number = self._next_request(db, repo) if as_pull_request else None
            kind = "branch" if not branch.startswith("refs/pr/") else "pr"
            ref = (kind, branch) if number is None else ("pr", f"refs/pr/{number}")
            return self._insert(db, repo, head, files, title=title, message=message, ref=ref), number

    def merge(self, repo: RepoId, number: int) -> Commit:
        """Move the main branch to a pull request's commit.

        Raises:
            Refusal: 404, no such request; 409, main has changed since it was made.
        """
        with self._write() as db:
            name = f"refs/pr/{number}"
            found = db.execute(
                "SELECT sha FROM refs WHERE repo = ? AND kind = 'pr' AND name = ?", (str(repo), name)
            ).fetchone()
            if found is None:
                raise Refusal(404, f"{repo} has no pull request {number}.")
            line = [commit.sha for commit in self.history(repo, found[0])]
            main = self.resolve(repo, MAIN)
            if main is None or main.sha not in line:
                raise Refusal(409, f"{repo} has changed since pull request {number} was made; make it anew from main.")
            db.execute(
                "UPDATE refs SET sha = ? WHERE repo = ? AND kind = 'branch' AND name = ?", (found[0], str(repo), MAIN)
            )
            db.execute("DELETE FROM refs WHERE repo = ? AND kind = 'pr' AND name = ?", (str(repo), name))
            merged = self.resolve(repo, found[0])
            assert merged is not None
            return merged

    def _next_request(self, db: sqlite3.Connection, repo: RepoId) -> int:
        names = db.execute("SELECT name FROM refs WHERE repo = ? AND kind = 'pr'", (str(repo),)).fetchall()
        return 1 + max((int(name.rpartition("/")[2]) for (name,) in names), default=0)

    def _insert(
        self,
        db: sqlite3.Connection,
        repo: RepoId,
        parent: str | None,
        files: Mapping[str, File],
        *,
        title: str,
        message: str,
        ref: tuple[str, str],
    ) -> Commit:
        created = _now()
        content = [
            str(repo),
            parent,
            title,
            message,
            created,
            sorted((file.path, file.blob) for file in files.values()),
        ]
        sha = hashlib.sha1(json.dumps(content).encode(), usedforsecurity=False).hexdigest()
        db.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?)", (sha, str(repo), parent, title, message, created))
        db.executemany("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)", _rows_of(repo, sha, list(files.values())))
        db.execute("INSERT OR REPLACE INTO refs VALUES (?, ?, ?, ?)", (str(repo), *ref, sha))
        return Commit(sha, parent, title, message, created)


def _rows_of(repo: RepoId, sha: str, files: Sequence[File]) -> list[tuple[Any, ...]]:
    return [(str(repo), sha, file.path, file.blob, file.size, file.git_oid, file.lfs) for file in files]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
