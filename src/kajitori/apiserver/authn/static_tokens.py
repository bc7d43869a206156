"""Static bearer tokens: a CSV file of token, user, uid and, quoted, the groups."""

import csv
import hashlib
from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration, read_file
from kajitori.apiserver.interfaces import User


class StaticTokens:
    """Knows digests only: what is compared by lookup tells nothing of the token, and memory holds none."""

    def __init__(self, users: dict[bytes, User]) -> None:
        self._users = users

    @staticmethod
    def read(path: Path) -> "StaticTokens":
        """Raises BadConfiguration."""
        try:
            text = read_file(path).decode()
        except UnicodeDecodeError as error:
            raise BadConfiguration(f"{path}: not UTF-8: save it as UTF-8 text") from error
        users: dict[bytes, User] = {}
        try:
            rows = list(enumerate(csv.reader(text.splitlines(), strict=True), 1))
        except csv.Error as error:
            raise BadConfiguration(f'{path}: not CSV ({error}): write token,user,uid,"group1,group2"') from error
        for line, row in rows:
            if not row:
                continue
            if len(row) < 3:
                raise BadConfiguration(f'{path}: line {line}: {len(row)} columns: write token,user,uid[,"groups"]')
            token, name, uid = (part.strip() for part in row[:3])
            if not token or not name:
                raise BadConfiguration(f"{path}: line {line}: empty token or user: give both")
            digest = _digest(token)
            if digest in users:
                raise BadConfiguration(f"{path}: line {line}: the token of an earlier line: give every user his own")
            groups = tuple(group.strip() for group in row[3].split(",")) if len(row) > 3 else ()
            users[digest] = User(name, groups, uid)
        return StaticTokens(users)

    def find(self, token: str) -> User | None:
        return self._users.get(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
