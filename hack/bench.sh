#!/bin/sh
# The figures of docs/performance.md, with the machine that they were taken on.
set -eu
echo "machine: $(nproc) cores, $(awk -F': ' '/model name/{print $2; exit}' /proc/cpuinfo 2>/dev/null || uname -m), $(go version | cut -d' ' -f3)"
go test -trimpath -timeout 90m -run '^$' -bench . -benchmem ./... 2>&1 | grep -Ev '^(goos|goarch|cpu|PASS|ok|\?)' || true
