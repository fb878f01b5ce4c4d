#!/bin/sh
# Keep a file up to date with the winner's config, from CI or cron:  ci.sh production.env
#
# EXPORT_URL is http://HOST/experiments/ID/export, EXPORT_TOKEN a token for it.
# Exit status 0: the file is current. Any other: the file is unchanged.
# $file.etag remembers the version, so that it is not fetched again.
set -eu
file=$1
trap 'rm -f "$file.new" "$file.head"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    printf '%s\n' "ci.sh: $1; $file is unchanged" >&2
    if [ -s "$file.new" ]; then cat "$file.new" >&2; fi
    exit 1
}

# Print the value of a header field from the headers that curl saved.
field() {
    tr -d '\r' <"$file.head" |
        awk -v name="$1:" 'tolower($1) == name { sub(/^[^:]*: */, ""); print }'
}

# printf is a shell builtin, so the token never appears on a command line.
status=$(
    {
        printf 'Authorization: Bearer %s\n' "$EXPORT_TOKEN"
        printf 'Accept-Encoding: identity\n' # else a proxy may compress it and lose the length
        if [ -f "$file" ] && [ -f "$file.etag" ]; then
            printf 'If-None-Match: %s\n' "$(cat "$file.etag")"
        fi
    } | curl --silent --show-error --fail-with-body --max-time 300 --header @- \
        --dump-header "$file.head" --output "$file.new" --write-out '%{http_code}' \
        "$EXPORT_URL?format=env"
) || fail "got no export"

case $status in
304) exit 0 ;;
200) ;;
*) fail "the answer was $status" ;;
esac

# Only an announced length proves that the file is complete; curl has compared it. Without
# one, the end of the connection looks like the end of the file.
touch "$file.new"
[ "$(field content-length)" = "$(($(wc -c <"$file.new")))" ] || fail "cannot prove that the file is complete"
[ -n "$(field repr-digest)" ] || fail "this is not an answer from the service"

rm -f "$file.etag"
mv "$file.new" "$file"
field etag >"$file.etag"
