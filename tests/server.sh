# shellcheck shell=bash disable=SC2034,SC2154 # sourced: the script sets server, and reads issuer and home
# A running server for test scripts, on SQLite or in a new PostgreSQL database. A script that sources this file
# defines `die`, sets `server` to the binary, and always calls `clean_up` at its end.
#
# Must run with bash 3.2 (macOS): no associative arrays, no mapfile, and no expansion of an empty array.

say() { printf '%s\n' "$*"; }

# Runs a command with the real date, also with TEST_DATE: package registries have certificates that expire.
on_real_date() { env -u LD_PRELOAD "$@"; }

# ---- server ---------------------------------------------------------------------------------

home=""       # directory of the data, the log and the test data
server_pid="" # process of the running server
database=""   # name of the PostgreSQL database
settings=()   # complete environment of the server and its commands

# Runs a command of the binary with the settings of the server and a clean environment.
auth() { env -i "${settings[@]}" "$server" "$@"; }

# Starts the server on a free port and waits until it is ready. Arguments: further settings.
start_server() {
  local port try
  # The issuer contains the port, so the server cannot choose it: try random ports below the ephemeral range.
  for try in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + RANDOM % 12000))
    issuer=http://localhost:$port
    settings=(PATH="$PATH" HOME="$home" DATA_DIR="$home/data" LISTEN_ADDR="127.0.0.1:$port"
      PUBLIC_API_ADDRESS="$issuer" "$@")
    # exec: server_pid is the server, not a subshell.
    (exec env -i "${settings[@]}" "$server" serve) >"$home/server.log" 2>&1 &
    server_pid=$!
    if server_is_ready; then return; fi
    grep -q 'cannot be listened on' "$home/server.log" || server_failed
    say "port $port is taken (try $try)"
  done
  server_failed
}

server_is_ready() {
  # Up to two minutes, for a busy machine.
  local try
  for try in $(seq 1200); do
    if auth healthcheck >/dev/null 2>&1 && kill -0 "$server_pid" 2>/dev/null; then return; fi
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.1
  done
  stop_server
  return 1
}

server_failed() {
  cat "$home/server.log" >&2
  die "the server failed to start"
}

stop_server() {
  [ -n "$server_pid" ] || return 0
  kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=""
}

# ---- PostgreSQL -----------------------------------------------------------------------------

psql_quietly() { psql "$TEST_POSTGRES_URL" -q -X -v ON_ERROR_STOP=1 -c "$1"; }

# Creates a database with the name prefix $1.
create_database() {
  local name=$1_$$
  psql_quietly "create database $name" || die "TEST_POSTGRES_URL: cannot create a database"
  database=$name
}

drop_database() {
  [ -n "$database" ] || return 0
  psql_quietly "drop database $database with (force)" || say "the database $database was not dropped" >&2
  database=""
}

# TEST_POSTGRES_URL with the name of the new database.
database_url() {
  local url=${TEST_POSTGRES_URL%%\?*} query=${TEST_POSTGRES_URL#"${TEST_POSTGRES_URL%%\?*}"}
  case "$url" in *://*/*) url=${url%/*} ;; esac
  say "$url/$database$query"
}

# Stops the server and deletes its data.
clean_up() {
  stop_server
  drop_database
  [ -z "$home" ] || rm -rf "$home"
  home=""
}
