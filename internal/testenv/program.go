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

// module is what go.mod calls this module.
var module = strings.TrimSuffix(reflect.TypeFor[here]().PkgPath(), "/internal/testenv")

// Program builds rota into a folder and gives its path.
func Program(dir string) (string, error) {
	program := filepath.Join(dir, "rota")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", program, module+"/cmd/rota").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rota: %w\n%s", err, out)
	}
	return program, nil
}

// ProgramForLambda is Program as make lambda builds it.
func ProgramForLambda(dir string) (string, error) {
	program := filepath.Join(dir, "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda,lambda.norpc", "-ldflags", "-s -w", "-o", program, module+"/cmd/rota")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build rota for Lambda: %w\n%s", err, out)
	}
	return program, nil
}

// MainWithProgram is a package's TestMain that builds rota first, once for all
// tests, and tells its path.
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
