#!/usr/bin/env bash
# Runs every fuzz target for some seconds, as many at once as there are processors.
#
# usage: scripts/fuzz.sh SECONDS [TARGET…]     SEVENFOLD_FUZZ_BUILD: build folder (build/fuzz)
#
# New inputs are kept in SEVENFOLD_FUZZ_BUILD/corpus, what crashes in …/crashes; the seeds in
# fuzz/corpus are only read. Run one crash again with build/fuzz/bin/TARGET FILE.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS [TARGET…]}
shift
build=${SEVENFOLD_FUZZ_BUILD:-build/fuzz}
[ $# -gt 0 ] || set -- $(cd fuzz && printf '%s\n' *_fuzz.cc | sed 's/\.cc$//')

run_one() {
    local target=$1 name=${1%_fuzz} seeds=()
    local corpus=$build/corpus/$name crashes=$build/crashes log=$build/$target.log
    mkdir -p "$corpus" "$crashes"
    [ ! -d "fuzz/corpus/$name" ] || seeds=("fuzz/corpus/$name")
    if "$build/bin/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$crashes/$target-" \
        "$corpus" "${seeds[@]}" >"$log" 2>&1; then
        echo "passed: $target ($(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs)"
    else
        echo "FAILED: $target"
        grep -a -v -E '^#[0-9]+|NEW_FUNC' "$log" | tail -n 40
        return 1
    fi
}
export -f run_one
export build seconds
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c 'run_one {}'
