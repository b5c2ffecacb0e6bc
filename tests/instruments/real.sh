#!/bin/sh
# make real: the tests in tests/real, which need programs that not every host has. What is missing is installed where
# that may be (apt-get, as root or with sudo that asks nothing), and what is left out is said at the end, by name.
# REAL_FILES="tests/real/test_x.py" runs some of them; REAL_INSTALL=no installs nothing.
set -u
cd "$(dirname "$0")/../.." || exit 3
# PROGRAM:PACKAGE of Debian and its kin
WANTED=${REAL_WANTED:-"chromium:chromium promtool:prometheus prometheus-node-exporter:prometheus-node-exporter parallel:parallel
zsh:zsh fish:fish tmux:tmux man:man-db pdftoppm:poppler-utils"}
PATH=$PATH:/usr/sbin:/usr/local/bin

missing() {
    for pair in $WANTED; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || echo "$pair"
    done
}

if [ -n "$(missing)" ] && [ "${REAL_INSTALL:-yes}" = yes ]; then
    packages=$(missing | sed 's/.*://')
    root=
    [ "$(id -u)" = 0 ] || root="sudo -n"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "no apt-get here: what is missing stays missing"
    elif [ -n "$root" ] && ! sudo -n true 2>/dev/null; then
        echo "not root, and sudo would ask: what is missing stays missing"
    else
        echo "installing:" $packages
        # Services that packages would start are no business of a test: policy-rc.d is asked, and says no.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            printf '#!/bin/sh\nexit 101\n' | $root tee $policy >/dev/null && $root chmod 755 $policy && made=yes
        fi
        $root apt-get update -q >/dev/null 2>&1
        for package in $packages; do
            DEBIAN_FRONTEND=noninteractive $root apt-get install -y -q --no-install-recommends "$package" \
                >/dev/null 2>&1 </dev/null || echo "could not be installed: $package"
        done
        [ "${made:-no}" = no ] || $root rm -f $policy
    fi
fi

log=$(mktemp) || exit 3
trap 'rm -f "$log"' EXIT
${PYTHON:-python3} -m pytest -q -p no:cacheprovider -rs ${REAL_FILES:-tests/real} 2>&1 | tee "$log"
echo
if [ -n "$(missing)" ]; then
    echo "not here:" $(missing | sed 's/:.*//')
fi
# Of pytest's summary: SKIPPED [2] tests/real/test_x.py:10: not installed: promtool
if grep -q '^SKIPPED' "$log"; then
    echo "left out:"
    sed -n 's/^SKIPPED \[\([0-9]*\)\] \([^:]*\)[:0-9]*: \(.*\)/\1 \2 (\3)/p' "$log" |
        awk '{ count = $1; $1 = ""; sum[$0] += count } END { for (what in sum) print "  " sum[what] what }' | sort -k 2
else
    echo "nothing was left out"
fi
# The code of pytest, which the pipe hides: its last line tells.
tail -n 1 "$log" | grep -Eq '(failed|error)' && exit 1
tail -n 1 "$log" | grep -Eq '(passed|skipped)'
