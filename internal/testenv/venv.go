package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// VenvProgram is the path of a program of the Python environment that
// hack/testenv.sh makes, such as "python", "aws" or "moto_server". It is looked
// for in ROTA_TEST_VENV, or in rota-test/venv in the user's cache folder.
func VenvProgram(t testing.TB, name string) string {
	t.Helper()
	return venvProgram(t, "", name)
}

// Checkov is the path of checkov, which has an environment of its own beside
// that of [VenvProgram].
func Checkov(t testing.TB) string {
	t.Helper()
	return venvProgram(t, "-checkov", "checkov")
}

func venvProgram(t testing.TB, suffix, name string) string {
	t.Helper()
	venv := os.Getenv("ROTA_TEST_VENV")
	if venv == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		venv = filepath.Join(cache, "rota-test", "venv")
	}
	program := filepath.Join(venv+suffix, "bin", name)
	if _, err := os.Stat(program); err != nil {
		Missing(t, name, "hack/testenv.sh")
	}
	return program
}
