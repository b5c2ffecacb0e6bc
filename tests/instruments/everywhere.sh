#!/bin/sh
# `make test-all`: the tests on every Python that is found, and the storage tests and the demo on every SQLite given.
#
#   PYTHONS="python3.8 /opt/python3.14/bin/python3"   in place of those on PATH and in pyenv's folder
#   SQLITES="/opt/sqlite-3.7.17 /opt/sqlite-3.26.0"   folders that hold a libsqlite3.so.0; run by the first Python
#
# Warnings are errors, in the tests and in every process that they start. Ends with a line per
# combination; exit status 1 if any failed. What each said is in .tools/everywhere.
set -u
cd "$(dirname "$0")/../.."
logs=.tools/everywhere
mkdir -p "$logs"
rm -f "$logs"/*
STORAGE="states claiming crowds growth migrating retrying times unique pruning check log_of_another"

# The real file behind a command's name, if it is Python and runs (pyenv's shims often do not).
real() { "$1" -c 'import sys; print(sys.executable)' 2>/dev/null; }

find_pythons() {
    for minor in 8 9 10 11 12 13 14 15 16; do
        found=$(real "python3.$minor" || true)
        for folder in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.$minor.*; do
            [ -n "$found" ] || found=$(real "$folder/bin/python3.$minor" || true)
        done
        if [ -n "$found" ]; then echo "$found"; fi
    done
}

find_old_pythons() {
    for version in 2.7 3.6 3.7; do
        for folder in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*; do
            if [ -x "$folder/bin/python$version" ]; then echo "$folder/bin/python$version"; fi
        done
    done
}

# attempt NAME COMMAND...: run it, keep what it says, and note a line for the end
attempt() {
    name=$1
    shift
    began=$(date +%s)
    echo "== $name"
    if "$@" >"$logs/$name.log" 2>&1; then verdict=ok; else verdict=FAILED; fi
    said=$(grep -E '[0-9]+ (passed|failed|error)|^As expected|^refused' "$logs/$name.log" | tail -n 1)
    [ $verdict = ok ] || tail -n 15 "$logs/$name.log"
    printf '%-6s  %-24s  %4d s  %s\n' $verdict "$name" $(($(date +%s) - began)) "$said" | tee -a "$logs/summary"
}

all_tests() { make -s test-long PYTHON="$1" PYTEST_FLAGS="-W error"; }

storage_tests() {
    files=
    for one in $STORAGE; do files="$files $(echo tests/*/test_$one.py)"; done
    make -s pytest PYTHON="$1" || return 1
    # shellcheck disable=SC2086
    LD_LIBRARY_PATH=$2 PYTHONPATH=.tools/$(version "$1" | cut -d. -f1,2) \
        "$1" -m pytest -q -p no:cacheprovider -W error $files
}

demo() { LD_LIBRARY_PATH=$2 make -s demo PYTHON="$1"; }

is_refused() {
    said=$("$1" -B queuectl.py add true 2>&1)
    [ $? = 3 ] && [ "${said#queuectl: error: this is Python}" != "$said" ] && [ "$(echo "$said" | wc -l)" = 1 ] &&
        echo "refused: $said"
}

version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'; }

pythons=${PYTHONS-$(find_pythons)}
first=
for python in $pythons; do
    first=${first:-$python}
    attempt "python-$(version "$python")" all_tests "$python"
done
for python in $(find_old_pythons); do
    attempt "python-$(version "$python")" is_refused "$python"
done
first=${first:-$(real python3)}  # PYTHONS="" runs the SQLites alone
for folder in ${SQLITES-}; do
    name=sqlite-$(LD_LIBRARY_PATH=$folder "$first" -c 'import sqlite3; print(sqlite3.sqlite_version)') ||
        name=sqlite-in-$(basename "$folder")
    attempt "$name" storage_tests "$first" "$folder"
    attempt "$name-demo" demo "$first" "$folder"
done
echo
cat "$logs/summary"
! grep -q '^FAILED' "$logs/summary"
