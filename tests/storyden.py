"""Copies of a Storyden's database, servers on these copies, and requests of members and clients.

Used by tests/fixtures and tests/there-and-back; standard library only. The databases and manifests are in
../shared/contract/fixtures; `are_here` checks if they exist.
"""

import base64
import datetime
import hashlib
import http.client
import importlib
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURES = ROOT.parent / "shared" / "contract" / "fixtures"
ENGINES = ("sqlite", "postgres")

WEB = "http://localhost:13000"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_SCOPE = "openid profile offline_access"
REDIRECT = "https://dcr.example/cb"  # of registered clients in the fixture
DOCUMENT_REDIRECT = "https://cimd.example/callback"  # of clients with a metadata document
FULL_SCOPE = "openid profile email offline_access"
VERIFIER = "a" * 43 + "verifier-verifier"

# This server's tables, and its indexes on Storyden's tables, which only affect speed.
OURS = "auth_"
# Expiry of the fixture's live rows, and of its expired rows, after `fixture`.
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
LIVE, EXPIRED = ("2036-01-01 00:00:00+00:00", f"{TODAY - datetime.timedelta(days=1)} 00:00:00+00:00")
# Timeout in seconds, for a busy machine.
PATIENCE = 120
# Storyden's form of a time in SQLite, in UTC.
SQLITE_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,8}[1-9])?\+00:00")


def are_here():
    """Returns true if the databases exist."""
    return (FIXTURES / "storyden.sqlite3").is_file()


def fixture(name, port):
    """Reads a file of the fixture, shifted to the current date and to another port of the side server.

    The clean-up deletes what expired more than seven days ago, so the expired rows expire yesterday.
    The bytes have the length of the file's own: an SQLite file stays valid.
    """
    if str(FIXTURES) not in sys.path:
        sys.path.append(str(FIXTURES))
    data = importlib.import_module("fresh").fresh((FIXTURES / name).read_bytes(), TODAY)
    return data.replace(b"127.0.0.1:18090", b"127.0.0.1:%d" % port)


held_ports = []  # sockets of `free_port`


def free_port():
    """Reserves a port until this program ends.

    On Linux a socket that is bound and does not listen keeps the port from every program that asks for
    a free one, and still lets a server with SO_REUSEADDR listen there, again and again. Other systems do
    not allow the second socket; there the port is merely free at this moment.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = held.getsockname()[1]
    if sys.platform == "linux":
        held_ports.append(held)
    else:
        held.close()
    return port


# ---- databases ------------------------------------------------------------------------------


class Sqlite:
    """A copy of the SQLite file in a directory."""

    engine = "sqlite"

    def __init__(self, folder, other_port):
        self.file = folder / "data.db"
        self.file.write_bytes(fixture("storyden.sqlite3", other_port))
        self.url = f"sqlite://{self.file}?_pragma=foreign_keys(1)"

    def rows(self, sql):
        """Returns the rows of a query as dictionaries."""
        with sqlite3.connect(self.file, timeout=PATIENCE) as db:
            db.row_factory = sqlite3.Row
            found = [dict(row) for row in db.execute(sql)]
        db.close()
        return found

    def run(self, sql):
        """Runs statements directly on the database."""
        with sqlite3.connect(self.file, timeout=PATIENCE) as db:
            db.execute("pragma foreign_keys = on")
            db.executescript(f"begin immediate; {sql}; commit;")
        db.close()

    def tables(self):
        """Lists Storyden's tables."""
        sql = "select name from sqlite_master where type = 'table' and name not like 'sqlite\\_%' escape '\\'"
        return sorted(row["name"] for row in self.rows(sql) if not row["name"].startswith(OURS))

    def time_columns(self):
        """Yields each table and column with times."""
        columns = ((table, self.rows(f"pragma table_info({table})")) for table in self.tables())
        return [(table, row["name"]) for table, rows in columns for row in rows if row["type"].lower() == "datetime"]

    def time_texts(self):
        """Lists all stored times: table, column, text."""
        found = set()
        for table, column in self.time_columns():
            rows = self.rows(f"select distinct cast({column} as text) as text from {table} where {column} is not null")
            found |= {(table, column, row["text"]) for row in rows}
        return found

    def move_times(self, minutes):
        """Rewrites all times for another time zone; live rows expire soon, expired rows expired recently."""
        zone = datetime.timezone(datetime.timedelta(minutes=minutes))
        ends = near_ends()

        def moved(text):
            at, nanoseconds = instant(text), re.search(r"(\.\d+)", text)
            at = ends.get(at, at).astimezone(zone)
            return f"{at:%Y-%m-%d %H:%M:%S}{nanoseconds[1] if nanoseconds else ''}" + re.sub(r"(..)$", r":\1", f"{at:%z}")

        with sqlite3.connect(self.file) as db:
            db.create_function("moved", 1, moved)
            for table, column in self.time_columns():
                db.execute(f"update {table} set {column} = moved({column}) where {column} is not null")
        db.close()

    def schema(self):
        """Returns the schema of Storyden's tables: tables, indexes, views, triggers and file settings."""
        mine = "tbl_name not like 'auth\\_%' escape '\\' and name not like 'auth\\_%' escape '\\'"
        objects = self.rows(f"select type, name, tbl_name, coalesce(sql, '') as sql from sqlite_master where {mine}")
        texts = {f"{row['type']} {row['name']}": f"{row['tbl_name']}: {row['sql']}" for row in objects}
        for pragma in ("journal_mode", "user_version", "application_id", "encoding", "page_size", "auto_vacuum"):
            texts[pragma] = str(self.rows(f"pragma {pragma}")[0][pragma])
        return texts

    def stored(self, table):
        """Returns the stored rows of a table."""
        return self.rows(f"select * from {table}")

    def drop_ours(self):
        """Drops all tables of this server."""
        ours = self.rows("select name from sqlite_master where type = 'table' and name like 'auth\\_%' escape '\\'")
        self.run("; ".join(f"drop table {row['name']}" for row in ours))

    def faults(self):
        """Runs the integrity check.

        In julianday() SQLite 3.40 rounds a fraction of .9995 and more up, and 3.51 does not. An index with this
        function, written by the server, may therefore lack rows for the SQLite of Python.
        """
        dated = self.rows("select name from sqlite_master where type = 'index' and sql like '%julianday(%'")
        dated = {row["name"] for row in dated}
        broken = [row["integrity_check"] for row in self.rows("pragma integrity_check")]
        broken = [line for line in broken if not ("missing from index" in line and line.split()[-1] in dated)]
        dangling = [f"points at nothing: {row}" for row in self.rows("pragma foreign_key_check")]
        beside = [f"left behind: {file.name}" for file in self.file.parent.glob("data.db-*")]
        return [line for line in broken if line != "ok"] + dangling + beside

    def drop(self):
        """Nothing to do: the caller deletes the directory."""


class Postgres:
    """A new database on the server at TEST_POSTGRES_URL, filled from the dump."""

    engine = "postgres"

    def __init__(self, folder, other_port):
        self.server = os.environ["TEST_POSTGRES_URL"]
        self.name = f"fixture_{os.getpid()}_{other_port}"
        base, mark, query = self.server.partition("?")
        self.url = base.rsplit("/", 1)[0] + "/" + self.name + mark + query
        dump = folder / "fixture.sql"
        dump.write_bytes(fixture("storyden.pg.sql", other_port))
        psql(self.server, "-c", f"create database {self.name}")
        psql(self.url, "-1", "-f", str(dump))

    def rows(self, sql):
        """Returns the rows of a query as dictionaries."""
        lines = psql(self.url, "-A", "-t", "-c", f"select row_to_json(x) from ({sql}) x").splitlines()
        return [json.loads(line) for line in lines]

    def run(self, sql):
        """Runs statements directly on the database."""
        psql(self.url, "-1", "-c", sql)

    def tables(self):
        """Lists Storyden's tables."""
        sql = "select tablename as name from pg_tables where schemaname = 'public'"
        return sorted(row["name"] for row in self.rows(sql) if not row["name"].startswith(OURS))

    def time_texts(self):
        """Empty: PostgreSQL stores instants and not text."""
        return set()

    def move_times(self, _):
        """Live rows expire soon, expired rows expired recently; instants have no time zone."""
        sql = "select table_name, column_name from information_schema.columns where table_schema = 'public' and data_type like 'timestamp%'"
        for row in self.rows(sql):
            table, column = row["table_name"], row["column_name"]
            for old, new in near_ends().items():
                self.run(f"update {table} set {column} = '{new.isoformat()}' where {column} = '{old.isoformat()}'")

    def schema(self):
        """Returns the schema of Storyden's tables: the sorted statements of pg_dump."""
        dump = subprocess.run(
            ["pg_dump", "--schema-only", "--no-owner", "--no-privileges", f"--exclude-table={OURS}*", self.url],
            check=True, capture_output=True, text=True,
        ).stdout
        # Newer versions add a random token to the dump.
        lines = [line for line in dump.splitlines() if not line.startswith(("--", "\\"))]
        statements = filter(None, (text.strip() for text in "\n".join(lines).split(";\n")))
        statements = [text for text in statements if not text.startswith(f"CREATE INDEX {OURS}")]
        return {statement.split("(")[0]: statement for statement in statements}

    def stored(self, table):
        """Returns the rows of a table; JSON as bytes, to distinguish JSON null from NULL."""
        of_table = f"from information_schema.columns where table_schema = 'public' and table_name = '{table}'"
        columns = self.rows(f"select column_name as name, data_type as type {of_table}")
        as_text = {column["name"] for column in columns if column["type"] == "jsonb"}
        chosen = ", ".join(f"{c['name']}::text" if c["name"] in as_text else f'"{c["name"]}"' for c in columns)
        rows = self.rows(f"select {chosen} from {table}")
        compact = lambda text: json.dumps(json.loads(text), separators=(",", ":")).encode()
        return [{n: compact(v) if n in as_text and v is not None else v for n, v in row.items()} for row in rows]

    def drop_ours(self):
        """Drops all tables of this server."""
        ours = self.rows("select tablename as name from pg_tables where tablename like 'auth\\_%'")
        self.run("drop table " + ", ".join(row["name"] for row in ours))

    def faults(self):
        """Not needed for PostgreSQL."""
        return []

    def drop(self):
        """Drops the database."""
        psql(self.server, "-c", f"drop database if exists {self.name} with (force)")


def psql(url, *arguments):
    """Runs psql and returns its output."""
    ran = subprocess.run(["psql", url, "-q", "-X", "-v", "ON_ERROR_STOP=1", *arguments], capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"psql: {ran.stderr.strip()}")
    return ran.stdout


def instant(text):
    """Parses a time of either engine, with microseconds."""
    day, clock, fraction, offset = re.fullmatch(r"(\S{10})[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?([+-]\d\d:\d\d)", text).groups()
    return datetime.datetime.fromisoformat(f"{day}T{clock}.{(fraction or '')[:6]:0<6}{offset}")


def near_ends():
    """Replaces the fixture's expiries by times that a text comparison misorders in most time zones."""
    now = datetime.datetime.now(datetime.timezone.utc)
    half_an_hour = datetime.timedelta(minutes=30)
    return {instant(LIVE): now + half_an_hour, instant(EXPIRED): now - half_an_hour}


def created(database):
    """Returns all rows of Storyden's tables with a creation time, by table and id."""
    found = {}
    for table in database.tables():
        for row in database.rows(f"select * from {table}"):
            if "id" in row and "created_at" in row:
                found[table, row["id"]] = row
    return found


FORMS = (
    ("a time", SQLITE_TIME),
    ("a time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")),  # PostgreSQL's form
    ("an id", re.compile(r"[0-9a-v]{20}")),
    ("a SHA-256", re.compile(r"[0-9a-f]{64}")),
    ("an Argon2id hash", re.compile(r"\$argon2id\$v=19\$m=65536,t=1,p=\d+\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}")),
    ("no text", re.compile("")),
)


def form_of(value):
    """Classifies the form of a stored value."""
    if isinstance(value, str):
        return next((name for name, form in FORMS if form.fullmatch(value)), "text")
    if isinstance(value, bytes):
        document = json.loads(value)
        compact = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() == value
        return f"{'' if compact else 'spaced '}JSON {type(document).__name__}"
    return type(value).__name__


def hash_of(secret):
    """Returns the stored hash of a code or token."""
    return hashlib.sha256(secret.encode()).hexdigest()


# ---- server ---------------------------------------------------------------------------------


class Beside:
    """A copy of the fixture with manifest and side server, and one server at a time on the copy."""

    def __init__(self, binary, engine):
        self.binary, self.engine = str(pathlib.Path(binary).resolve()), engine
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="storyden-auth-beside."))
        self.side = Side()
        self.database, self.server = None, None
        name = "manifest.pg.json" if engine == "postgres" else "manifest.sqlite.json"
        self.manifest = json.loads(fixture(name, self.side.port))

    def __enter__(self):
        try:
            self.database = {"sqlite": Sqlite, "postgres": Postgres}[self.engine](self.folder, self.side.port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        self.side.stop()
        if self.database:
            self.database.drop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self, port, **further):
        """Returns the environment: that of the fixture's Storyden, and OAUTH_PROFILE."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "DATABASE_URL": self.database.url,
            "LISTEN_ADDR": f"127.0.0.1:{port}",
            "PUBLIC_API_ADDRESS": f"http://localhost:{port}",
            "PUBLIC_WEB_ADDRESS": WEB,
            "JWT_SECRET": "0123456789abcdef0123456789abcdef",
            "EMAIL_PROVIDER": "mock",
            "RATE_LIMIT": "1000000",
            "OAUTH_ENABLED": "true",
            "OAUTH_PROFILE": "storyden",
            "OAUTH_SIGNING_KEY_BASE64": (FIXTURES / "signing-key.b64").read_text().strip(),
            "OAUTH_DYNAMIC_REGISTRATION_ENABLED": "true",
            **further,
        }

    def start(self, **further):
        """Starts a server in a new directory and waits until it is ready."""
        self.server = Server(self, free_port(), further)
        return self.server

    def stop(self):
        """Stops the server and returns its log."""
        said = self.server.stop() if self.server else ""
        self.server = None
        return said

    def command(self, *arguments, accepted=(0,), **further):
        """Runs a command and returns its output; fails on an exit status that is not accepted."""
        environment = self.settings(free_port(), **further)
        ran = subprocess.run([self.binary, *arguments], env=environment, cwd=self.folder, capture_output=True, text=True)
        if ran.returncode not in accepted:
            raise RuntimeError(f"{' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout


class Server:
    """A server process, and requests to it."""

    def __init__(self, beside, port, further):
        self.port, self.issuer, self.manifest = port, f"http://localhost:{port}", beside.manifest
        self.log = beside.folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [beside.binary, "serve"], env=beside.settings(port, **further), cwd=beside.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + PATIENCE
        while self.get("/readyz").status != 200:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server does not start:\n{self.stop()}")
            time.sleep(0.05)
        self.key = self.get("/api/oauth/jwks").json["keys"][0]

    def stop(self):
        """Sends SIGTERM and returns the log."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.log.read_text(errors="replace")

    # Requests. `cookie` is a session and `bearer` an access key of the manifest, or a value.

    def send(self, method, path, headers=None, body=None, cookie=None, bearer=None, basic=None):
        sent = dict(headers or {})
        if cookie:
            sent["Cookie"] = "storyden-session=" + self.manifest["sessions"].get(cookie, {}).get("cookie", cookie)
        if bearer:
            sent["Authorization"] = "Bearer " + self.manifest["access_keys"].get(bearer, {}).get("secret", bearer)
        if basic:
            pair = ":".join(urllib.parse.quote_plus(half) for half in basic)
            sent["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {}
            for name, value in answer.getheaders():
                name = name.lower()
                # Each cookie has a separate Set-Cookie header (RFC 6265 §3).
                found[name] = f"{found[name]}\n{value}" if name in found and name == "set-cookie" else value
            return Answer(answer.status, found, answer.read())
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, {}, repr(error).encode())
        finally:
            connection.close()

    def get(self, path, query=None, **who):
        return self.send("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""), **who)

    def json(self, method, path, value, **who):
        return self.send(method, path, {"Content-Type": "application/json"}, json.dumps(value), **who)

    def form(self, path, fields, **who):
        sent = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.send("POST", path, sent, urllib.parse.urlencode(fields), **who)

    # Requests of clients and members.

    def token(self, fields, **who):
        return self.form("/api/oauth/token", fields, **who)

    def refresh(self, client_id, refresh_token, secret=None):
        fields = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": refresh_token}
        return self.token(fields | ({"client_secret": secret} if secret else {}))

    def authorize(self, client_id, redirect_uri=REDIRECT, scope=FULL_SCOPE, **who):
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        query = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "scope": scope,
                 "state": "st", "prompt": "consent", "code_challenge": challenge, "code_challenge_method": "S256"}
        return self.get("/api/oauth/authorize", query, **who)

    def consent(self, request_id, **who):
        return self.get("/api/oauth/authorize/consent", {"request_id": request_id}, **who)

    def decide(self, request_id, decision, **who):
        return self.json("POST", "/api/oauth/authorize/consent", {"request_id": request_id, "decision": decision}, **who)

    def code(self, client_id, redirect_uri=REDIRECT, scope=FULL_SCOPE, **who):
        """Approves a code flow; returns the code, or None."""
        request_id = self.authorize(client_id, redirect_uri, scope, **who).sent("request_id")
        return self.decide(request_id, "approve", **who).sent("code") if request_id else None

    def exchange(self, client_id, code, redirect_uri=REDIRECT, secret=None, verifier=VERIFIER, basic=False):
        fields = {"grant_type": "authorization_code", "code": code or "", "redirect_uri": redirect_uri, "code_verifier": verifier}
        if basic:
            return self.token(fields, basic=(client_id, secret))
        return self.token(fields | {"client_id": client_id} | ({"client_secret": secret} if secret else {}))

    def device(self, client_id="storyden-cli", scope=DEVICE_SCOPE):
        return self.form("/api/oauth/device_authorization", {"client_id": client_id, "scope": scope})

    def poll(self, client_id, device_code):
        return self.token({"grant_type": DEVICE_GRANT, "client_id": client_id, "device_code": device_code})

    def open_device(self, user_code, **who):
        return self.get("/api/oauth/device/consent", {"user_code": user_code}, **who)

    def decide_device(self, user_code, decision, **who):
        return self.json("POST", "/api/oauth/device/consent", {"user_code": user_code, "decision": decision}, **who)

    def sign_in(self, handle, password):
        return self.json("POST", "/api/auth/password/signin", {"identifier": handle, "token": password})

    def userinfo(self, access_token):
        return self.get("/api/oauth/userinfo", bearer=access_token)

    def claims(self, token):
        """Verifies a token with the server's key and returns the claims, or None."""
        head, _, signature = token.rpartition(".")
        number = int.from_bytes(unbase64(signature), "big")
        modulus, exponent = (int.from_bytes(unbase64(self.key[name]), "big") for name in ("n", "e"))
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(head.encode()).digest()
        size = (modulus.bit_length() + 7) // 8
        padded = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest  # RFC 8017 §9.2
        if pow(number, exponent, modulus) != int.from_bytes(padded, "big"):
            return {}
        return json.loads(unbase64(head.split(".")[1]))


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Answer:
    """A response, with helpers for tests."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __getitem__(self, member):
        value = self.json
        return value.get(member) if isinstance(value, dict) else None

    @property
    def location(self):
        return self.headers.get("location") or self["location"] or ""

    def sent(self, name):
        """Returns a parameter of the redirect target."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.location).query)).get(name)

    @property
    def scope(self):
        return set((self["scope"] or "").split())

    @property
    def cookie(self):
        found = re.search(r"^storyden-session=([^;]+)", self.headers.get("set-cookie", ""), re.MULTILINE)
        return found[1] if found else None

    def __str__(self):
        where = f" to {self.location}" if self.location else ""
        return f"{self.status}{where} {self.body[:300].decode(errors='replace')}".strip()


# ---- side server ----------------------------------------------------------------------------


class Side:
    """The server at 127.0.0.1:18090 in the fixture: metadata documents of two clients."""

    def __init__(self):
        documents = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                document = documents.get(self.path)
                self.send_response(200 if document else 404)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(document or b"{}")

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_port
        assert self.port >= 10000, "the port of a copy has as many digits as the port of the fixture"
        self.clients = [f"http://127.0.0.1:{self.port}/cimd/{name}.json" for name in ("app", "another")]
        for client_id in self.clients:
            documents[urllib.parse.urlsplit(client_id).path] = json.dumps({
                "client_id": client_id, "client_name": "Fixture CIMD app", "token_endpoint_auth_method": "none",
                "redirect_uris": [DOCUMENT_REDIRECT], "response_types": ["code"],
                "grant_types": ["authorization_code", "refresh_token"],
                "scope": "openid profile offline_access READ_PUBLISHED_THREADS",
            }).encode()
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Stops the server."""
        self.http.shutdown()
        self.http.server_close()
