#!/bin/sh
# PostgreSQL in the foreground; the first start makes the cluster, with the Secret's password.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA.new"
    password=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" > "$password"
    initdb --pgdata "$PGDATA.new" --username notes --pwfile "$password" --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8
    rm -f "$password"
    printf "host all all all scram-sha-256\n" >> "$PGDATA.new/pg_hba.conf"
    postgres --single -D "$PGDATA.new" postgres <<SQL
CREATE DATABASE notes
SQL
    mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -c unix_socket_directories=/tmp -c shared_buffers=32MB
