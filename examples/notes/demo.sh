#!/bin/sh
# Puts the notes application on the running cluster and waits until its page answers. The last line is its URL.
# Needs `kajitori` on PATH. NOTES_DATABASE=outside leaves the database to you: see external-database/.
set -eu
cd "$(dirname "$0")"
kubectl() { kajitori kubectl "$@"; }
say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

say "images (built once, then cached)"
web=$(kajitori image build web/image.toml)
database=$(kajitori image build database/image.toml)
kajitori image load "$web" "$database"

say "manifests"
kubectl apply -f manifests/settings.yaml >&2
if ! kubectl -n notes get secret notes-tls >/dev/null 2>&1; then
    keys=$(mktemp -d)
    trap 'rm -rf "$keys"' EXIT
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=notes.localhost \
        -addext subjectAltName=DNS:notes.localhost -keyout "$keys/key" -out "$keys/certificate" 2>/dev/null
    kubectl -n notes create secret tls notes-tls --cert "$keys/certificate" --key "$keys/key" >&2
fi
if [ "${NOTES_DATABASE:-inside}" = outside ]; then
    kubectl apply -f external-database/database.yaml >&2
else
    kubectl apply -f manifests/database.yaml >&2
fi
kubectl apply -f manifests/web.yaml -f manifests/ingress.yaml >&2

say "waiting until every pod is Ready"
[ "${NOTES_DATABASE:-inside}" = outside ] || kubectl -n notes rollout status statefulset/database --timeout 180s >&2
kubectl -n notes rollout status deployment/web --timeout 180s >&2
kubectl -n notes get pods,services,ingress -o wide >&2

port=${HTTP_PORT:-80}
[ "$port" = 80 ] && url=http://notes.localhost/ || url=http://notes.localhost:$port/
curl --silent --show-error --fail --retry 20 --retry-delay 1 --retry-all-errors --max-time 10 \
    --resolve "notes.localhost:$port:127.0.0.1" "$url" >/dev/null
printf '%s\n' "$url"
