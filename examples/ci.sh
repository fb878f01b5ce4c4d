#!/bin/sh
# Keep a file at the winner's config, in a CI job or by cron:  ci.sh production.env
#
# EXPORT_URL is http://HOST/experiments/ID/export, EXPORT_TOKEN a token for it.
# Exit status 0: the file is current. Any other: the file is what it was before.
# $file.etag remembers which version there is, so that it is not fetched again.
set -eu
file=$1
trap 'rm -f "$file.new" "$file.head"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    printf '%s\n' "ci.sh: $1; $file stays as it was" >&2
    if [ -s "$file.new" ]; then cat "$file.new" >&2; fi
    exit 1
}

# What a header field says, from what curl wrote down.
field() {
    tr -d '\r' <"$file.head" |
        awk -v name="$1:" 'tolower($1) == name { sub(/^[^:]*: */, ""); print }'
}

# printf is a part of the shell: the token is on no command line.
status=$(
    {
        printf 'Authorization: Bearer %s\n' "$EXPORT_TOKEN"
        printf 'Accept-Encoding: identity\n' # or a proxy may pack it and lose the length
        if [ -f "$file" ] && [ -f "$file.etag" ]; then
            printf 'If-None-Match: %s\n' "$(cat "$file.etag")"
        fi
    } | curl --silent --show-error --fail-with-body --max-time 300 --header @- \
        --dump-header "$file.head" --output "$file.new" --write-out '%{http_code}' \
        "$EXPORT_URL?format=env"
) || fail "no export"

case $status in
304) exit 0 ;;
200) ;;
*) fail "the answer was $status" ;;
esac

# Only an announced length proves that this is all. curl has compared it; without one,
# the end of the connection looks like the end of the file.
touch "$file.new"
[ "$(field content-length)" = "$(($(wc -c <"$file.new")))" ] || fail "no proof of the length"
[ -n "$(field repr-digest)" ] || fail "no answer of the service"

rm -f "$file.etag"
mv "$file.new" "$file"
field etag >"$file.etag"
