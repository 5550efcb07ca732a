package deploy

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"rota/internal/testenv"
)

// module is a folder of Terraform files: what it declares, by kind and name, and
// what it refers to.
type module struct {
	declared map[string]bool // "var.name", "local.x", "data.aws_region.this", "aws_sqs_queue.dead_letters"
	required map[string]bool // the variables without a default
	outputs  map[string]bool
	used     map[string]hcl.Range
	calls    map[string]*hclsyntax.Block
}

// modules reads all modules below terraform, by their folders.
func modules(t *testing.T) map[string]*module {
	t.Helper()
	all := map[string]*module{}
	parser := hclparse.NewParser()
	err := filepath.WalkDir("terraform", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(hclwrite.Format(text), text) {
			t.Errorf("%s is not formatted (try: terraform fmt)", path)
		}
		file, diags := parser.ParseHCL(text, path)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		folder := filepath.Dir(path)
		if all[folder] == nil {
			all[folder] = &module{
				declared: map[string]bool{}, required: map[string]bool{}, outputs: map[string]bool{},
				used: map[string]hcl.Range{}, calls: map[string]*hclsyntax.Block{},
			}
		}
		all[folder].read(file.Body.(*hclsyntax.Body))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (m *module) read(body *hclsyntax.Body) {
	for _, b := range body.Blocks {
		switch {
		case b.Type == "variable":
			m.declared["var."+b.Labels[0]] = true
			if b.Body.Attributes["default"] == nil {
				m.required[b.Labels[0]] = true
			}
		case b.Type == "output":
			m.outputs[b.Labels[0]] = true
		case b.Type == "module":
			m.declared["module."+b.Labels[0]] = true
			m.calls[b.Labels[0]] = b
		case b.Type == "locals":
			for name := range b.Body.Attributes {
				m.declared["local."+name] = true
			}
		case b.Type == "resource":
			m.declared[strings.Join(b.Labels, ".")] = true
		case len(b.Labels) == 2: // data, ephemeral
			m.declared[b.Type+"."+strings.Join(b.Labels, ".")] = true
		}
	}
	hclsyntax.VisitAll(body, func(node hclsyntax.Node) hcl.Diagnostics {
		if e, ok := node.(*hclsyntax.ScopeTraversalExpr); ok {
			m.use(e.Traversal)
		}
		return nil
	})
}

// use notes what a reference names: two parts of it, or three of data.
func (m *module) use(traversal hcl.Traversal) {
	parts := []string{traversal.RootName()}
	for _, step := range traversal[1:] {
		if name, ok := step.(hcl.TraverseAttr); ok {
			parts = append(parts, name.Name)
		}
	}
	length := 2
	if parts[0] == "data" || parts[0] == "ephemeral" {
		length = 3
	}
	if len(parts) >= length {
		m.used[strings.Join(parts[:length], ".")] = traversal.SourceRange()
	}
}

// own are the names that are no declarations: of a block's own, or of Terraform.
var own = map[string]bool{"each": true, "path": true, "count": true, "self": true, "terraform": true}

func TestTerraformRefersOnlyToWhatIsThere(t *testing.T) {
	all := modules(t)
	if len(all) < 4 {
		t.Fatalf("only %d modules", len(all))
	}
	for folder, m := range all {
		for name, at := range m.used {
			root, _, _ := strings.Cut(name, ".")
			if !own[root] && !m.declared[name] && !isBlockOwn(name) {
				t.Errorf("%s: %s is declared nowhere", at, name)
			}
		}
		for name, call := range m.calls {
			source, _ := call.Body.Attributes["source"].Expr.Value(nil)
			called := all[filepath.Join(folder, source.AsString())]
			if called == nil {
				t.Errorf("%s: module %s is at no %s", folder, name, source.AsString())
				continue
			}
			for argument := range call.Body.Attributes {
				if argument != "source" && argument != "for_each" && argument != "depends_on" && !called.declared["var."+argument] {
					t.Errorf("%s: module %s has no variable %s", folder, name, argument)
				}
			}
			for variable := range called.required {
				if call.Body.Attributes[variable] == nil {
					t.Errorf("%s: module %s lacks %s", folder, name, variable)
				}
			}
		}
	}
	function := all[filepath.Join("terraform", "function")]
	for _, output := range []string{"function_name", "function_arn", "role_name", "scheduler_role_arn", "dead_letter_queue_arn"} {
		if !function.outputs[output] { // what service-account's variable "function" is made of
			t.Errorf("the function has no output %s", output)
		}
	}
}

// isBlockOwn tells whether a name is that of a dynamic block's element.
func isBlockOwn(name string) bool {
	return strings.HasSuffix(name, ".value") || strings.HasSuffix(name, ".key")
}

func TestNoValueComesIntoTerraformsState(t *testing.T) {
	for folder, m := range modules(t) {
		for name := range m.declared {
			for _, kind := range []string{"aws_iam_access_key.", "random_password.", "random_string."} {
				if strings.HasPrefix(name, kind) {
					t.Errorf("%s: %s would keep a value in the state", folder, name)
				}
			}
		}
	}
	err := filepath.WalkDir("terraform", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, argument := range []string{"secret_string ", "password "} { // each has a write-only form
			if bytes.Contains(text, []byte("\n  "+argument)) {
				t.Errorf("%s: %s would be kept in the state", path, argument)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCheckov(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testenv.Checkov(t), "-d", ".", "--framework", "terraform", "cloudformation", "--compact", "--quiet", "--skip-download")
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Count(out, []byte("Passed checks")) != 2 {
		t.Errorf("%v:\n%s", err, out)
	}
}
