package kubernetes

import (
	"iter"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// aliased is the first alias below a node, nil if there's none.
func aliased(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n
	}
	for _, one := range n.Content {
		if found := aliased(one); found != nil {
			return found
		}
	}
	return nil
}

// child is the value of a mapping's key, nil if it has none.
func child(n *yaml.Node, key string) *yaml.Node {
	for k, v := range pairs(n) {
		if k.Value == key {
			return v
		}
	}
	return nil
}

// text is a scalar's, "" for anything else.
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

// pairs are a mapping's keys and values.
func pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(k, v *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// strip removes keys from a mapping.
func strip(n *yaml.Node, keys ...string) {
	var kept []*yaml.Node
	for k, v := range pairs(n) {
		if !slices.Contains(keys, k.Value) {
			kept = append(kept, k, v)
		}
	}
	n.Content = kept
}

func scalar(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// mapping is one of texts.
func mapping(keysAndValues ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, one := range keysAndValues {
		n.Content = append(n.Content, scalar(one))
	}
	return n
}

func joinComments(notes []string) string {
	return strings.Join(slices.DeleteFunc(notes, func(note string) bool { return note == "" }), "\n")
}
