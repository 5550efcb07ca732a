//go:build !unix

package daemon

// maxOpenFiles is how many files and connections the process may have open: here
// nothing says.
func maxOpenFiles() int { return 1 << 20 }
