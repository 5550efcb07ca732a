// Package proposal writes a rota.yaml for access keys found in AWS accounts.
// Finding them is the command's job.
package proposal

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider"
)

// Proposal is a rota.yaml for a person to review.
type Proposal struct {
	// Catalog validates the file.
	Catalog *config.Catalog
	// Head is comment lines at the top.
	Head []string
	// From is the file whose connections are reused; nil for none.
	From *config.File
	// Connections are the ones that the secrets use.
	Connections []Connection
	Secrets     []Secret
}

// Connection is an aws connection. If From has one of that name, it takes
// precedence over the other fields.
type Connection struct {
	Name, Region, RoleARN, ExternalID string
}

// Secret is an access key of an IAM user.
type Secret struct {
	Name, Connection, User string
	// Comment is comment lines above it.
	Comment []string
	// Entry is the entry of Secrets Manager that contains the key, with the
	// names of the fields for its id and secret. It is omitted unless both
	// names are set.
	Entry, IDField, SecretField string
	// EntryConnection is the connection for the entry. Defaults to Connection.
	EntryConnection string
}

// YAML writes the proposal and validates it like any other file. It copies no
// connection's secret key, only references to one.
func (p Proposal) YAML() ([]byte, error) {
	connections := mapping()
	for _, c := range p.Connections {
		add(connections, text(c.Name), flow(pair("aws", p.connection(c))))
	}
	secrets := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range p.Secrets {
		secrets.Content = append(secrets.Content, s.node())
	}
	policy := pair("policy", flow(mapping(
		text("rotate_every"), text("90d"), text("deactivate_previous_after"), text("10d"), text("delete_previous_after"), text("20d"))))
	document := mapping(text("connections"), connections, text("defaults"), policy, text("secrets"), secrets)
	document.HeadComment = comment(p.Head)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	if _, err := p.Catalog.Parse("the proposal", out.Bytes()); err != nil {
		return nil, fmt.Errorf("the proposal is not a valid rota.yaml: %w", err)
	}
	return out.Bytes(), nil
}

// copied are the fields of an aws connection that a proposal reuses; keyed are
// reused if the secret ones are references.
var (
	copied = []string{"region", "profile", "role_arn", "external_id", "session_name", "endpoint"}
	keyed  = []string{"access_key_id", "secret_access_key", "session_token"}
)

func (p Proposal) connection(c Connection) *yaml.Node {
	if p.From != nil && p.From.Document.Connections[c.Name] != nil {
		return connectionFields(p.From, c.Name)
	}
	fields := mapping()
	for _, f := range [][2]string{{"region", c.Region}, {"role_arn", c.RoleARN}, {"external_id", c.ExternalID}} {
		if f[1] != "" {
			add(fields, text(f[0]), text(f[1]))
		}
	}
	return fields
}

// connectionFields returns an aws connection's fields as the file has them.
func connectionFields(f *config.File, name string) *yaml.Node {
	fields := mapping()
	var document struct {
		Connections map[string]struct {
			AWS map[string]string `yaml:"aws"`
		} `yaml:"connections"`
	}
	// The file has been read before, so only other kinds of connections can
	// fail here, and the aws fields decoded so far remain.
	_ = yaml.Unmarshal(f.Source(), &document)
	written := document.Connections[name].AWS
	keys := copied
	if provider.NamesReference(written["secret_access_key"]) && (written["session_token"] == "" || provider.NamesReference(written["session_token"])) {
		keys = slices.Concat(copied, keyed)
	}
	for _, key := range keys {
		if written[key] != "" {
			add(fields, text(key), text(written[key]))
		}
	}
	return fields
}

func (s Secret) node() *yaml.Node {
	n := mapping(
		text("name"), text(s.Name),
		text("issuer"), flow(mapping(text("connection"), text(s.Connection), text("iam_access_key"), pair("user", text(s.User)))))
	if s.Entry != "" && s.IDField != "" && s.SecretField != "" {
		fields := mapping(text(s.IDField), text("access_key_id"), text(s.SecretField), text("secret_access_key"))
		entry := mapping(text("name"), text(s.Entry), text("fields"), fields)
		add(n, text("store"), flow(mapping(text("connection"), text(cmp.Or(s.EntryConnection, s.Connection)), text("secrets_manager"), entry)))
	}
	n.HeadComment = comment(s.Comment)
	return n
}

// Literal reports whether the file takes a text literally, and not as a
// reference.
func Literal(text string) bool { return text != "" && !strings.Contains(text, "${") }

// comment returns comment lines without anything that could end them.
func comment(lines []string) string {
	clean := make([]string, len(lines))
	for i, line := range lines {
		clean[i] = "# " + strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar {
				return ' '
			}
			return r
		}, line)
	}
	return strings.Join(clean, "\n")
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// mapping is a mapping of alternating keys and values.
func mapping(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: content}
}

func pair(key string, value *yaml.Node) *yaml.Node { return mapping(text(key), value) }

func add(m *yaml.Node, key, value *yaml.Node) { m.Content = append(m.Content, key, value) }

// flow puts a mapping on one line.
func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}
