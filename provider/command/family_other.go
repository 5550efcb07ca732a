//go:build !unix

package command

import (
	"os"
	"os/exec"
)

// This system has no process groups: only the program itself is ended.

func ownGroup(*exec.Cmd) {}

func signalFamily(p *os.Process, _ string, _ bool) error { return p.Kill() }
