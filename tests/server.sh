# shellcheck shell=bash disable=SC2034,SC2154 # sourced: who does sets server, and reads issuer and home
# A listening server for scripts, on SQLite or in a PostgreSQL database of its own. Who sources this
# defines `die`, sets `server` to the binary, and calls `clean_up` however it ends.
#
# It also has to run with the bash 3.2 of macOS: no associative arrays, no mapfile, and an empty
# array is never expanded.

say() { printf '%s\n' "$*"; }

# Runs a command with the date of this machine, whatever TEST_DATE of tests/run is: registries have
# certificates that expire.
on_real_date() { env -u LD_PRELOAD "$@"; }

# ---- the server -----------------------------------------------------------------------------

home=""       # a folder for the data, the log and what was set up, while there is one
server_pid="" # the server, while it runs
database=""   # the PostgreSQL database, while there is one
settings=()   # the whole environment of the server and of its commands

# Runs the server's binary with its settings and nothing of the environment of whoever runs this.
auth() { env -i "${settings[@]}" "$server" "$@"; }

# Starts it on a free port and waits until it is ready; the arguments are further settings.
start_server() {
  local port try
  # A server cannot know its issuer before its port, so one is tried after the other. These lie
  # below the ports that systems give to outgoing connections.
  for try in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + RANDOM % 12000))
    issuer=http://localhost:$port
    settings=(PATH="$PATH" HOME="$home" DATA_DIR="$home/data" LISTEN_ADDR="127.0.0.1:$port"
      PUBLIC_API_ADDRESS="$issuer" "$@")
    # exec: the process of this id is the server itself.
    (exec env -i "${settings[@]}" "$server" serve) >"$home/server.log" 2>&1 &
    server_pid=$!
    if server_is_ready; then return; fi
    grep -q 'cannot be listened on' "$home/server.log" || server_failed
    say "port $port is taken (try $try)"
  done
  server_failed
}

server_is_ready() {
  # A state is waited for, on a busy machine as well: two minutes and more.
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
  die "the server does not start"
}

stop_server() {
  [ -n "$server_pid" ] || return 0
  kill "$server_pid" 2>/dev/null || true
  wait "$server_pid" 2>/dev/null || true
  server_pid=""
}

# ---- PostgreSQL -----------------------------------------------------------------------------

psql_quietly() { psql "$TEST_POSTGRES_URL" -q -X -v ON_ERROR_STOP=1 -c "$1"; }

# Creates a database whose name begins with $1.
create_database() {
  local name=$1_$$
  psql_quietly "create database $name" || die "TEST_POSTGRES_URL: no database can be created there"
  database=$name
}

drop_database() {
  [ -n "$database" ] || return 0
  psql_quietly "drop database $database with (force)" || say "the database $database is left behind" >&2
  database=""
}

# TEST_POSTGRES_URL with the database of this run in place of its own.
database_url() {
  local url=${TEST_POSTGRES_URL%%\?*} query=${TEST_POSTGRES_URL#"${TEST_POSTGRES_URL%%\?*}"}
  case "$url" in *://*/*) url=${url%/*} ;; esac
  say "$url/$database$query"
}

# Takes away what a server left.
clean_up() {
  stop_server
  drop_database
  [ -z "$home" ] || rm -rf "$home"
  home=""
}
