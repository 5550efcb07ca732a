package ci

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

const root = "../../.."

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func workflows(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, ".github/workflows/*"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for i, path := range found {
		found[i] = strings.TrimPrefix(path, root+"/")
	}
	return found
}

func lint(t *testing.T, path string, text []byte) []string {
	t.Helper()
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{WorkingDir: root})
	if err != nil {
		t.Fatal(err)
	}
	found, err := linter.Lint(path, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	for _, p := range found {
		problems = append(problems, p.Error())
	}
	return problems
}

func TestTheWorkflowsAreValid(t *testing.T) {
	for _, path := range workflows(t) {
		for _, problem := range lint(t, path, read(t, path)) {
			t.Error(problem)
		}
	}
	if len(lint(t, "broken.yml", []byte("on: push\njobs: {a: {runs-on: ubuntu-24.04, needs: [b], steps: [{run: make}]}}\n"))) == 0 {
		t.Error("a job that needs one that isn't there is taken for valid")
	}
}

// An action is named by its commit, with the version beside it. A tag can be moved.
func TestTheActionsArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`^\s*(- )?uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	for _, path := range workflows(t) {
		for line := range strings.Lines(string(read(t, path))) {
			if strings.Contains(line, "uses:") && !pinned.MatchString(strings.TrimRight(line, "\n")) {
				t.Errorf("%s: not pinned: %s", path, line)
			}
		}
	}
}

// Each make target that a script calls is in the Makefile.
func TestTheTargetsExist(t *testing.T) {
	makefile := read(t, "Makefile")
	target := regexp.MustCompile(`\bmake((?: [a-z][a-z-]*)+)`)
	called := 0
	for _, path := range append(workflows(t), ".gitlab-ci.yml", ".ci/run") {
		for line := range strings.Lines(string(read(t, path))) {
			line, _, _ = strings.Cut(line, "#")
			if strings.Contains(line, "apt-get install") {
				continue // make is a package, too
			}
			for _, call := range target.FindAllStringSubmatch(line, -1) {
				for _, name := range strings.Fields(call[1]) {
					called++
					if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `:`).Match(makefile) {
						t.Errorf("%s: make %s: there's no such target", path, name)
					}
				}
			}
		}
	}
	if called < 5 {
		t.Errorf("only %d calls were found", called)
	}
}

type gitlabJob struct {
	Stage  string   `yaml:"stage"`
	Needs  []string `yaml:"needs"`
	Script []string `yaml:"script"`
}

// gitlabJobs reads a .gitlab-ci.yml: its stages and its jobs.
func gitlabJobs(text []byte) (stages []string, jobs map[string]gitlabJob, err error) {
	var all map[string]yaml.Node
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, nil, err
	}
	jobs = map[string]gitlabJob{}
	for key, node := range all {
		switch key {
		case "stages":
			err = node.Decode(&stages)
		case "default", "variables", "workflow", "include":
		default:
			var job gitlabJob
			err = node.Decode(&job)
			jobs[key] = job
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return stages, jobs, nil
}

// gitlabProblems are what GitLab would refuse, of what can be told without it.
func gitlabProblems(text []byte) []string {
	stages, jobs, err := gitlabJobs(text)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	if len(jobs) == 0 {
		problems = append(problems, "no jobs")
	}
	for name, job := range jobs {
		if !slices.Contains(stages, job.Stage) {
			problems = append(problems, fmt.Sprintf("%s: there's no stage %q", name, job.Stage))
		}
		if len(job.Script) == 0 {
			problems = append(problems, name+": no script")
		}
		for _, other := range job.Needs {
			needed, found := jobs[other]
			if !found {
				problems = append(problems, fmt.Sprintf("%s: needs %q, which isn't a job", name, other))
			} else if slices.Index(stages, needed.Stage) > slices.Index(stages, job.Stage) {
				problems = append(problems, fmt.Sprintf("%s: needs %q, which runs later", name, other))
			}
		}
	}
	return problems
}

func TestTheGitLabPipelineIsValid(t *testing.T) {
	text := read(t, ".gitlab-ci.yml")
	for _, problem := range gitlabProblems(text) {
		t.Error(problem)
	}
	for old, broken := range map[string]string{"stage: test": "stage: tests", "needs: [release]": "needs: [releases]", "stages: [test, release]": "stages: [test, release"} {
		changed := bytes.Replace(text, []byte(old), []byte(broken), 1)
		if bytes.Equal(changed, text) || len(gitlabProblems(changed)) == 0 {
			t.Errorf("%s instead of %s is taken for valid", broken, old)
		}
	}
}
