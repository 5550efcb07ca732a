#!/bin/sh
# The figures of docs/performance.md, with the machine that they were taken on.
# BENCH picks some of them by name, as `go test -bench` does.
set -eu
echo "machine: $(nproc) cores, $(awk -F': ' '/model name/{print $2; exit}' /proc/cpuinfo 2>/dev/null || uname -m), $(go version | cut -d' ' -f3)"
{
	go test -trimpath -timeout 30m -run '^$' -bench "${BENCH:-.}" -benchmem ./... 2>&1
	cd client/bench && go test -trimpath -run '^$' -bench "${BENCH:-.}" -benchmem . 2>&1 # next to AWS's own cache
} |
	awk '/^(FAIL|--- FAIL|panic:)/ { failed = 1 } !/^(goos|goarch|cpu|PASS|ok|\?)/ { print; fflush() } END { exit failed }'
