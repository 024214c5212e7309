#!/bin/sh
# Installs what tests and benchmarks need beyond Python, where that is allowed (root and apt-get). Never fails: what is
# missing is printed, and the tests that need it say that they skip. Nothing that is installed here is started.
set -u

missing() {
    [ -x /usr/lib/postgresql/15/bin/postgres ] || echo postgresql-15
    command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || echo pgbouncer
}

# Debian starts what it installs; a 101 from policy-rc.d forbids it (invoke-rc.d(8)). One that is there already stays.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT INT TERM
}

install() {
    export DEBIAN_FRONTEND=noninteractive
    options='-q -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2'
    timeout 300 apt-get $options update
    for package in "$@"; do # one by one: what one distribution lacks must not stop the others
        timeout 600 apt-get $options install -y --no-install-recommends "$package"
    done
}

wanted=$(missing)
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    log=$(mktemp)
    forbid_services
    # shellcheck disable=SC2086
    install $wanted >"$log" 2>&1
    [ -z "$(missing)" ] || tail -n 5 "$log"
    rm -f "$log"
fi

for package in $(missing); do
    echo "not installed: $package (tests that need it are skipped)"
done
exit 0
