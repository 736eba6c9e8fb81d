"""ClickHouse's HTTP interface in front of ClickHouse as a library, for tests. Run as a process of its own:

    python clickhouse_front.py PORT USER PASSWORD [CONFIG]

The engine is the real one; it parses, plans, runs, kills and limits. Only its server's front door is missing in the
library, and that is here: query, parameters, settings, database, query id, streamed chunks, error codes, an error in
the middle of a stream, credentials, the summary, and the end of a query whose client has gone. The library has no query
ids, so a query carries its own in front of its log comment, and queries about query ids are told to look there.
"""

import base64
import hmac
import json
import re
import select
import sys
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import chdb

NOT_SETTINGS = {"query", "query_id", "database", "wait_end_of_query", "client_protocol_version", "session_id", "role"}
NOT_SETTINGS |= {"buffer_size", "default_format", "user", "password", "quota_key", "compress", "decompress"}
STATUS = {62: 400, 47: 404, 60: 404, 81: 404, 164: 403, 497: 403, 516: 403, 159: 408, 202: 503}
QUERY_ID = "splitByChar('|', Settings['log_comment'])[1]"
ABOUT_QUERIES = re.compile(r"\s*kill\s|.*\bsystem\s*\.\s*processes\b", re.IGNORECASE | re.DOTALL)
FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*$", re.IGNORECASE)
TOTALS = re.compile(r"\bWITH\s+TOTALS\b", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")
SCHEMA_END = 8
END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
TAG = "QETESTFRONTENDTAG"
WATCH_SECONDS = 0.05
DATABASE = ":memory:"
"""Of all connections. A configuration, which may name users and their row policies, is a part of its name."""


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class EngineError(Exception):
    """An error of the engine, by its text."""

    def __init__(self, cause: object) -> None:
        text = str(cause).removeprefix("Streaming query failed: ")
        super().__init__(text)
        found = CODE.search(text)
        self.code = int(found.group(1)) if found else 1001


class Running:
    """The queries that have a client, so that one whose client leaves is killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: dict[int, tuple[object, str]] = {}
        self._poll = select.poll()
        self._control = chdb.connect(DATABASE)
        threading.Thread(target=self._watch, daemon=True).start()

    def add(self, sock, comment: str) -> None:
        with self._lock:
            self._sockets[sock.fileno()] = (sock, comment)
            self._poll.register(sock.fileno(), select.POLLRDHUP)

    def remove(self, number: int) -> None:
        with self._lock:
            if self._sockets.pop(number, None) is not None:
                self._poll.unregister(number)

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(WATCH_SECONDS)
            with self._lock:
                gone = [self._sockets[number][1] for number, event in self._poll.poll(0) if event]
            for comment in gone:
                self._control.query(f"KILL QUERY WHERE Settings['log_comment'] = {literal(comment)} ASYNC")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Front"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._reply(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        kind = self.headers.get("Content-Type") or ""
        if kind.startswith("multipart/form-data"):
            given |= dict(form_fields(kind, body))
            body = b""
        sql = (given.get("query", "") + "\n" + body.decode()).strip()
        query_id = given.get("query_id") or f"front-{id(given)}"
        if not self._is_allowed():
            text = "Code: 516. DB::Exception: default: Authentication failed: password is incorrect, or there is no "
            self._fail(EngineError(text + "user with such name. (AUTHENTICATION_FAILED)"), query_id)
            return
        try:
            self._run(sql, given, query_id)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _is_allowed(self) -> bool:
        word = (self.headers.get("Authorization") or "").removeprefix("Basic ")
        expected = base64.b64encode(f"{self.server.user}:{self.server.password}".encode()).decode()
        return hmac.compare_digest(word, expected)

    def _run(self, sql: str, given: dict[str, str], query_id: str) -> None:
        found = FORMAT.search(sql)
        form = found.group(1) if found else "TabSeparated"
        if found:
            sql = sql[: found.start()]
        if ABOUT_QUERIES.match(sql):
            sql = re.sub(r"\bquery_id\b", QUERY_ID, sql)
        comment = f"{query_id}|{given.pop('log_comment', '')}"
        connection = chdb.connect(DATABASE)
        number = self.connection.fileno()
        self.server.running.add(self.connection, comment)
        try:
            try:
                zone = prepare(connection, given, comment)
                if form != "ArrowStream":
                    answer = connection.query(sql, form)
                    headers = {"X-ClickHouse-Summary": summary(answer)}
                    self._reply(200, bytes(answer.bytes()), {**common(query_id, form, zone), **headers})
                    return
                if TOTALS.search(sql):
                    self._whole(connection, sql, common(query_id, form, zone))
                    return
                stream = connection.send_query(sql, form)
            except RuntimeError as cause:
                self._fail(EngineError(cause), query_id)
                return
            with stream:
                self._stream(connection, sql, stream, common(query_id, form, zone))
        finally:
            self.server.running.remove(number)
            connection.close()

    def _stream(self, connection, sql: str, stream, headers: dict[str, str]) -> None:
        """Chunks as they come. Headers leave with the first one, so that an error before it has a status."""
        started = False
        try:
            for chunk in stream:
                data = bytes(chunk.bytes())
                if not started:
                    started = True
                    self._begin({**headers, "X-ClickHouse-Summary": summary(chunk)})
                    self._chunk(data.removesuffix(END))
                else:
                    self._chunk(without_schema(data).removesuffix(END))
        except RuntimeError as cause:
            failed = EngineError(cause)
            if not started:
                self._fail(failed, headers["X-ClickHouse-Query-Id"])
                return
            # As ClickHouse does: the text, its length, and the end of the connection without the last chunk.
            text = str(failed)
            self._chunk(f"\r\n__exception__\r\n{TAG}\r\n{text}\n{len(text)} {TAG}\r\n__exception__\r\n".encode())
            self.close_connection = True
            return
        if not started:
            # The library writes nothing for a stream without rows, but columns for a query without rows.
            self._begin(headers)
            self._chunk(bytes(connection.query(sql, "ArrowStream").bytes()).removesuffix(END))
        self._chunk(END)
        self.wfile.write(b"0\r\n\r\n")

    def _whole(self, connection, sql: str, headers: dict[str, str]) -> None:
        """The library cannot stream a result with totals. As one answer it leaves them out, as a server does."""
        data = bytes(connection.query(sql, "ArrowStream").bytes())
        self._begin(headers)
        self._chunk(data)
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Transfer-Encoding": "chunked", "X-ClickHouse-Exception-Tag": TAG}.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _fail(self, failed: EngineError, query_id: str) -> None:
        headers = {"X-ClickHouse-Exception-Code": str(failed.code), "X-ClickHouse-Query-Id": query_id}
        self._reply(STATUS.get(failed.code, 500), f"{failed}\n".encode(), headers)

    def _reply(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def common(query_id: str, form: str, zone: str) -> dict[str, str]:
    return {"X-ClickHouse-Query-Id": query_id, "X-ClickHouse-Format": form, "X-ClickHouse-Timezone": zone}


def form_fields(kind: str, body: bytes) -> Iterator[tuple[str, str]]:
    message = BytesParser(EmailMessage).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    for part in message.iter_parts():
        yield str(part.get_param("name", header="content-disposition")), part.get_payload(decode=True).decode()


def prepare(connection, given: dict[str, str], comment: str) -> str:
    """Database, parameters and settings of a request; the one that forbids settings last."""
    if given.get("database"):
        connection.query(f"USE `{given['database']}`")
    # Parameters are no part of a query's size on a server; here they come in one.
    connection.query("SET max_query_size = 100000000")
    sets = {"log_comment": comment}
    sets |= {name: value for name, value in given.items() if name not in NOT_SETTINGS and name != "readonly"}
    connection.query("SET " + ", ".join(f"{name} = {literal(value)}" for name, value in sets.items()))
    zone = str(connection.query("SELECT timezone()", "TabSeparated")).strip()
    if given.get("readonly", "0") != "0":
        connection.query(f"SET readonly = {int(given['readonly'])}")
    return zone


def summary(answer) -> str:
    counted = {"read_rows": answer.storage_rows_read(), "read_bytes": answer.storage_bytes_read()}
    return json.dumps({name: str(value) for name, value in counted.items()})


def without_schema(data: bytes) -> bytes:
    """A self-contained Arrow stream without its first message."""
    return data[SCHEMA_END + int.from_bytes(data[4:8], "little") :]


class Front(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.running = Running()
        super().__init__(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    if len(sys.argv) > 4:
        DATABASE += f"?config-file={sys.argv[4]}"
    Front(int(sys.argv[1]), sys.argv[2], sys.argv[3]).serve_forever()
