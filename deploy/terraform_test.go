package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// answered are the findings that docs/aws.md answers.
var answered = regexp.MustCompile("(?m)^\\| `(CKV2?_AWS_[0-9]+)` \\|")

// TestCheckov runs it without a single exception in the files, and compares what
// it finds with what docs/aws.md answers.
func TestCheckov(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testenv.Checkov(t), "-d", ".", "--framework", "terraform", "cloudformation", "--compact", "--quiet", "--skip-download", "-o", "json")
	out, err := cmd.Output()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	var reports []struct {
		Results struct {
			Failed []struct {
				ID       string `json:"check_id"`
				File     string `json:"file_path"`
				Resource string
			} `json:"failed_checks"`
		}
		Summary struct{ Passed, Skipped int }
	}
	if err := json.Unmarshal(out, &reports); err != nil || len(reports) != 2 {
		t.Fatalf("%d reports, %v:\n%s", len(reports), err, out)
	}
	page, err := os.ReadFile("../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]bool{} // whether checkov found it
	for _, m := range answered.FindAllStringSubmatch(string(page), -1) {
		answers[m[1]] = false
	}
	for _, r := range reports {
		if r.Summary.Passed == 0 || r.Summary.Skipped > 0 {
			t.Errorf("%d checks passed, %d were skipped", r.Summary.Passed, r.Summary.Skipped)
		}
		for _, f := range r.Results.Failed {
			if _, ok := answers[f.ID]; !ok {
				t.Errorf("%s of %s in %s isn't answered in docs/aws.md", f.ID, f.Resource, f.File)
			}
			answers[f.ID] = true
		}
	}
	for id, found := range answers {
		if !found {
			t.Errorf("docs/aws.md answers %s, which checkov doesn't find", id)
		}
	}
}
