// Package proposal writes a rota.yaml for credentials that a discovery found.
// What was found, and where to look, is the provider's.
package proposal

import (
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider"
)

// YAML writes a proposal, as a file that Rota takes: it is checked as any other.
// kind is that of the connections, and of the rota discover that proposes it.
func YAML(catalog *config.Catalog, kind string, p provider.Proposal) ([]byte, error) {
	connections := mapping()
	for _, c := range p.Connections {
		add(connections, text(c.Name), flow(pair(kind, keys(c.Keys))))
	}
	secrets := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range p.Secrets {
		secrets.Content = append(secrets.Content, node(s))
	}
	document := mapping(text("connections"), connections)
	if len(p.Policy) > 0 {
		add(document, text("defaults"), pair("policy", flow(keys(p.Policy))))
	}
	add(document, text("secrets"), secrets)
	document.HeadComment = comment([]string{
		"Proposed by rota discover " + kind + ". Review it, then run rota validate, rota check,",
		"and rota adopt NAME for each secret, as its comment says. Nothing is rotated before that.",
	})
	out, err := yaml.Dump(document, yaml.WithV3Defaults(), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, err
	}
	if _, err := catalog.Parse("the proposal", out); err != nil {
		return nil, fmt.Errorf("the proposal is not a valid rota.yaml: %w", err)
	}
	return out, nil
}

func node(s provider.ProposedSecret) *yaml.Node {
	n := mapping(text("name"), text(s.Name), text("issuer"), part(s.Issuer))
	if s.Store.Kind != "" {
		add(n, text("store"), part(s.Store))
	}
	n.HeadComment = comment(s.Comment)
	return n
}

func part(p provider.ProposedPart) *yaml.Node {
	return flow(mapping(text("connection"), text(p.Connection), text(p.Kind), keys(p.Keys)))
}

// keys is a mapping of keys and their values.
func keys(list []provider.ProposedKey) *yaml.Node {
	m := mapping()
	for _, k := range list {
		switch value := k.Value.(type) {
		case []provider.ProposedKey:
			add(m, text(k.Key), keys(value))
		default:
			add(m, text(k.Key), text(fmt.Sprint(value)))
		}
	}
	return m
}

// comment is lines of comment, without anything that could end one.
func comment(lines []string) string {
	clean := make([]string, len(lines))
	for i, line := range lines {
		clean[i] = "# " + strings.Map(func(r rune) rune {
			if isSpecial(r) {
				return ' '
			}
			return r
		}, line)
	}
	return strings.Join(clean, "\n")
}

// isSpecial reports whether a character may end a line, or is none of a text's.
func isSpecial(r rune) bool {
	return !unicode.IsPrint(r) || r == '\ufeff' || r == unicode.ReplacementChar
}

// text is a string in quotes where it needs them.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.ContainsFunc(s, isSpecial) {
		n.Style = yaml.DoubleQuotedStyle // the only one that escapes them
	}
	return n
}

// mapping is a mapping of keys and values in turn.
func mapping(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: content}
}

func pair(key string, value *yaml.Node) *yaml.Node { return mapping(text(key), value) }

func add(m *yaml.Node, key, value *yaml.Node) { m.Content = append(m.Content, key, value) }

// flow writes a mapping on one line.
func flow(n *yaml.Node) *yaml.Node {
	n.Style = yaml.FlowStyle
	return n
}
