#!/bin/sh
# Plants small bugs, one at a time, in the named packages and files, or else in
# the files that differ from main, and shows those that no test notices: first by
# the package's own tests, then by the simulator and by the part of the crash
# matrix that needs no server. The first argument is the time limit.
set -eu
limit="$1"
shift
if [ "$#" -eq 0 ]; then
	base=$(git merge-base HEAD main)
	set -- $(git diff --name-only --diff-filter=d "$base" -- '*.go' | grep -v '_test\.go$' || true)
	if [ "$#" -eq 0 ]; then
		echo "nothing has changed since main: name a package (PKG=./rotation) or files (FILES='rotation/retire.go')"
		exit 0
	fi
fi
exec go run -trimpath ./internal/tools/mutate -limit "$limit" -equivalent hack/equivalent-mutants.txt ${NEED:+-need "$NEED"} ${OWN:+-own "$OWN"} \
	-then 'SIMULATE_SEEDS=4 -run ^TestTheRulesHold$ ./internal/simulate' \
	-then '-run ^TestIAMKeysThroughEveryFault$ ./internal/crash -args -cell dies' \
	"$@"
