#!/bin/sh
# `make demo`: jobs of every kind through two workers, for real, in a temporary home.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
cd "$home"

q() { "$python" "$here/queuectl.py" --home "$home" "$@"; }

show() {
    printf '\n$ queuectl.py %s\n' "$*"
    q "$@" 2>&1
}

# add OPTIONS COMMAND: shown as one would type it
add() {
    options=$1
    printf "%s queuectl.py add '%s' %s\n" '$' "$2" "$options"
    # shellcheck disable=SC2086
    q add "$2" $options --quiet
}

echo "A queue in $home: nine jobs, two workers, until nothing is left."
echo
add "--id hello" "echo Hello World"
add "--id today" "date; uname"
add "--id nap" "sleep 0.3; echo slept"
# shellcheck disable=SC2016
add "--id flaky" 'test $QUEUECTL_ATTEMPT -eq 3 && echo third time lucky'
add "--id hopeless --max-retries 1" "echo no such luck >&2; exit 7"
add "--id stuck --timeout 0.5 --max-retries 0" "sleep 60"
add "--id urgent --priority 10" "echo I go first"
add "--id later --delay 2s" "echo I waited"
printf '%s\n' '$ queuectl.py add --id plain -- printf "%s\n" "no shell" needed'
q add --quiet --id plain -- printf '%s\n' "no shell" needed

show list
printf '\n$ queuectl.py worker start --count 2 --drain --backoff-base 1\n'
q worker start --count 2 --drain --backoff-base 1 2>&1

show list
show logs plain
show show flaky
show dlq list
show status
echo
completed=$(q list --state completed --json | grep -c '"id"')
dead=$(q list --dlq --json | grep -c '"id"')
[ "$completed" = 7 ] && [ "$dead" = 2 ] || {
    echo "demo: expected 7 completed and 2 dead jobs, found $completed and $dead" >&2
    exit 1
}
echo "As expected: 7 jobs completed, 2 in the dead letter queue. The temporary home is removed."
