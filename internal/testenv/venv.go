package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// VenvProgram returns the path of a program, such as "python", "aws" or
// "moto_server", in the Python environment made by hack/testenv.sh. It looks in
// ROTA_TEST_VENV, or in rota-test/venv in the user's cache folder.
func VenvProgram(t testing.TB, name string) string {
	t.Helper()
	return venvProgram(t, "", name)
}

// Checkov returns the path of checkov, which has its own environment, separate
// from that of [VenvProgram].
func Checkov(t testing.TB) string {
	t.Helper()
	return venvProgram(t, "-checkov", "checkov")
}

func venvProgram(t testing.TB, suffix, name string) string {
	t.Helper()
	venv, err := venvFolder(suffix)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(venv, "bin", name)
	if _, err := os.Stat(program); err != nil {
		Missing(t, name, "hack/testenv.sh")
	}
	return program
}

// venvFolder returns the folder of one of the Python environments.
func venvFolder(suffix string) (string, error) {
	if venv := os.Getenv("ROTA_TEST_VENV"); venv != "" {
		return venv + suffix, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "rota-test", "venv"+suffix), nil
}
