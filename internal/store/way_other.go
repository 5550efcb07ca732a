//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package store

import "io/fs"

// This system keeps owners and permissions elsewhere.
func checkOwner(string, fs.FileInfo) error { return nil }
func checkWay(string) error                { return nil }
