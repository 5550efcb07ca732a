package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
)

// marked returns the processes that have the variable in their environment:
// children that left the program's process group, as setsid makes them do.
// Only what this user may look at is found.
func marked(variable string) []int {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, path := range all {
		environment, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(environment, []byte(variable)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
