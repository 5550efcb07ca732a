package deploy

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

// What would keep a value in Terraform's state; each has a form that does not.
var kept = []string{`resource "aws_iam_access_key"`, `resource "random_password"`, `resource "random_string"`, "\n  secret_string ", "\n  password "}

// TestNoValueComesIntoTerraformsState looks at the files alone; deploy/opentofu
// looks into states and plans.
func TestNoValueComesIntoTerraformsState(t *testing.T) {
	read := 0
	err := filepath.WalkDir("terraform", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" {
			return err
		}
		text, err := os.ReadFile(path)
		read++
		for _, way := range kept {
			if bytes.Contains(text, []byte(way)) {
				t.Errorf("%s: %s would be kept in the state", path, way)
			}
		}
		return err
	})
	if err != nil || read < 10 {
		t.Errorf("%d files were read: %v", read, err)
	}
}

func TestCheckov(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testenv.Checkov(t), "-d", ".", "--framework", "terraform", "cloudformation", "--compact", "--quiet", "--skip-download")
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Count(out, []byte("Passed checks")) != 2 {
		t.Errorf("%v:\n%s", err, out)
	}
}
