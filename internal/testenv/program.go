package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

type here struct{}

// module is this module's path in go.mod.
var module = strings.TrimSuffix(reflect.TypeFor[here]().PkgPath(), "/internal/testenv")

// Program builds rota into a folder and returns its path.
func Program(dir string) (string, error) {
	program := filepath.Join(dir, "rota")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", program, module+"/cmd/rota").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rota: %w\n%s", err, out)
	}
	return program, nil
}

// ProgramForLambda is like Program, but builds as make lambda does.
func ProgramForLambda(dir string) (string, error) {
	program := filepath.Join(dir, "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda,lambda.norpc", "-ldflags", "-s -w", "-o", program, module+"/cmd/rota")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rota for Lambda: %w\n%s", err, out)
	}
	return program, nil
}

// MainWithProgram is a TestMain that first builds rota once for all tests of a
// package, and sets program to its path.
func MainWithProgram(m *testing.M, program *string) int {
	dir, err := os.MkdirTemp("", "rota-program-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		*program, err = Program(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
