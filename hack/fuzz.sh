#!/bin/sh
# Runs every fuzz target of the module for the given time (default 10s).
set -eu
time="${1:-10s}"
for dir in $(go list -f '{{.Dir}}' ./...); do
	for target in $(grep -hos '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | awk '{print $2}'); do
		echo "fuzz $target in ${dir#"$PWD"/}"
		(cd "$dir" && go test -trimpath -run '^$' -fuzz "^$target\$" -fuzztime "$time" . | tail -n 1)
	done
done
