package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The API versions of ExternalSecrets: that of the first operator, which was archived in
// 2022, and those of its successor.
const (
	apiOldExternalSecrets = "kubernetes-client.io/v1" //nolint:gosec // an API's name
	groupExternalSecrets  = "external-secrets.io"
)

// converter is one use of rota convert external-secret.
type converter struct {
	store, storeKind, version, refresh string // its flags

	warnings, errs []error
	reads          *backend // what the store has to read, as the first document has it
}

// externalSecretConversion is rota convert external-secret.
func externalSecretConversion() provider.Conversion {
	c := &converter{storeKind: "ClusterSecretStore", version: "v1", refresh: "1h"}
	return provider.Conversion{
		Name:    "external-secret",
		Summary: "Rewrite ExternalSecrets of kubernetes-client.io for External Secrets",
		Help: `Rewrites ExternalSecrets of the first operator (apiVersion kubernetes-client.io/v1,
archived in 2022) for External Secrets, and prints them with everything else that's
in the files. - is standard input, so this converts what a cluster has:

  kubectl get externalsecrets.kubernetes-client.io -A -o yaml |
    rota convert external-secret --store rota -

backendType secretsManager and systemManager are converted. What has no equivalent
is a warning on stderr, and what can't be converted is an error with its file and
line: that ExternalSecret is left out, the others are printed, and the exit code isn't 0.`,
		Options: []provider.Option{
			{Name: "store", Value: &c.store, Usage: "the `name` of the store to read from"},
			{Name: "store-kind", Value: &c.storeKind, Usage: "its `kind`: ClusterSecretStore or SecretStore"},
			{Name: "api-version", Value: &c.version, Usage: "the `version` of external-secrets.io to write: v1, or v1beta1 for older clusters"},
			{Name: "refresh-interval", Value: &c.refresh, Usage: "how often External Secrets reads, as a `duration` such as 1h; 0 for once"},
		},
		Validate: c.validate,
		Convert: func(files []provider.ConversionFile) ([]byte, []error, error) {
			text := c.convert(files)
			return text, c.warnings, errors.Join(c.errs...)
		},
	}
}

func (c *converter) validate() error {
	switch {
	case !goodName(c.store):
		return rota.WithRemedies(errors.New("--store: the name of a store is needed"), rota.Command("--store rota"))
	case c.storeKind != "ClusterSecretStore" && c.storeKind != "SecretStore":
		return rota.WithRemedies(fmt.Errorf("--store-kind %s: no such kind", c.storeKind), rota.Command("--store-kind ClusterSecretStore", "--store-kind SecretStore"))
	case c.version != "v1" && c.version != "v1beta1":
		return rota.WithRemedies(fmt.Errorf("--api-version %s: no such version", c.version), rota.Command("--api-version v1", "--api-version v1beta1"))
	}
	if d, err := time.ParseDuration(c.refresh); err != nil || d < 0 {
		return rota.WithRemedies(fmt.Errorf("--refresh-interval %s: not a duration of Kubernetes", c.refresh), rota.Command("--refresh-interval 1h"))
	}
	return nil
}

// at is a place in a file.
type at struct {
	path string
	line int // of the document's beginning, less one
}

func (a at) error(n *yaml.Node, err error) error {
	return &provider.FileError{Path: a.path, Line: a.line + max(n.Line, 1), Column: max(n.Column, 1), Err: err}
}

func (c *converter) refuse(a at, n *yaml.Node, hint, format string, args ...any) {
	c.errs = append(c.errs, a.error(n, rota.WithRemedies(fmt.Errorf(format, args...), rota.Outside(hint))))
}

func (c *converter) warn(a at, n *yaml.Node, hint, format string, args ...any) {
	c.warnings = append(c.warnings, a.error(n, rota.WithRemedies(fmt.Errorf(format, args...), rota.Outside(hint))))
}

// separator begins a document. No block of text can have such a line.
var separator = regexp.MustCompile(`(?m)^---(?:[ \t].*)?\r?$\n?`)

// convert is the text of all files, of which only what's converted has changed, and
// without what can't be.
func (c *converter) convert(files []provider.ConversionFile) []byte {
	var out bytes.Buffer
	for _, f := range files {
		begins := [][]int{{0, 0}}
		begins = append(begins, separator.FindAllIndex(f.Text, -1)...)
		for i, b := range begins {
			end := len(f.Text)
			if i+1 < len(begins) {
				end = begins[i+1][0]
			}
			head, body := f.Text[b[0]:b[1]], f.Text[b[1]:end]
			if len(bytes.TrimSpace(body)) == 0 {
				continue
			}
			converted := c.document(at{f.Path, bytes.Count(f.Text[:b[1]], []byte("\n"))}, body)
			if converted == nil {
				continue
			}
			if inline := bytes.TrimSpace(bytes.TrimPrefix(head, []byte("---"))); len(inline) > 0 {
				out.Write(head) // a comment, or what isn't on a line of its own
			} else if out.Len() > 0 || len(head) > 0 {
				out.WriteString("---\n")
			}
			out.Write(converted)
			if !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
				out.WriteByte('\n')
			}
		}
	}
	return out.Bytes()
}

// document converts one document: an ExternalSecret, or a List as kubectl prints it.
// Everything else is left as it is, to the byte. It returns nil for a document that's
// left out.
func (c *converter) document(a at, text []byte) []byte {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		place := &yaml.Node{}
		message := err.Error()
		if e, ok := errors.AsType[*yaml.LoadError](err); ok {
			place.Line, place.Column, message = e.Mark.Line, e.Mark.Column, e.Message
		}
		c.refuse(a, place, "correct it; render a template first, such as with helm template", "not YAML: %s", message)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return text
	}
	root, before := doc.Content[0], len(c.errs)
	changed := c.object(a, root)
	switch items := child(root, "items"); {
	case len(c.errs) == before && !changed:
		return text
	case len(c.errs) > before && (items == nil || len(items.Content) == 0):
		return nil
	}
	out, err := yaml.Dump(&doc, yaml.WithV3Defaults(), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		c.refuse(a, &doc, "split the file", "it can't be written: %v", err)
	}
	return out
}

// object converts an object in place, and reports whether it changed anything.
func (c *converter) object(a at, n *yaml.Node) bool {
	if n.Kind != yaml.MappingNode {
		return false
	}
	if items := child(n, "items"); items != nil && strings.HasSuffix(text(child(n, "kind")), "List") {
		changed := false
		items.Content = slices.DeleteFunc(items.Content, func(one *yaml.Node) bool {
			before := len(c.errs)
			changed = c.object(a, one) || changed
			return len(c.errs) > before
		})
		return changed
	}
	api, kind := child(n, "apiVersion"), child(n, "kind")
	if text(kind) != "ExternalSecret" || !strings.HasPrefix(text(api), "kubernetes-client.io/") {
		return false
	}
	if text(api) != apiOldExternalSecrets {
		c.refuse(a, api, "write "+apiOldExternalSecrets, "apiVersion %s isn't known", text(api))
		return true
	}
	if alias := aliased(n); alias != nil {
		c.refuse(a, alias, "write out what it stands for", "aliases aren't converted")
		return true
	}
	before, reads := len(c.errs), c.reads
	c.externalSecret(a, n, api)
	if len(c.errs) > before {
		c.reads = reads // it's left out, so the others needn't read from the same
	}
	return true
}
