package kubernetes

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// template converts a template, which the old operator merged into the Secret. target
// gets what isn't part of External Secrets' template. names are the keys that data gives
// the Secret.
func (c *converter) template(a at, old, template, target *yaml.Node, names []string) {
	values := &yaml.Node{Kind: yaml.MappingNode}
	if old.Kind != yaml.MappingNode {
		c.refuse(a, old, "write a mapping", "a template must be a mapping")
		return
	}
	for k, v := range pairs(old) {
		switch k.Value {
		case "apiVersion", "kind":
		case "type":
			c.expression(a, v)
			template.Content = append(template.Content, k, v)
		case "immutable":
			target.Content = append(target.Content, k, v)
			c.warn(a, k, "remove immutable unless the value never changes", "External Secrets can't write a new value into an immutable Secret")
		case "metadata":
			if c.metadata(a, v); len(v.Content) > 0 {
				template.Content = append(template.Content, k, v)
			}
		case "stringData":
			for name, value := range pairs(v) {
				c.expression(a, value)
				values.Content = append(values.Content, name, value)
			}
		case "data":
			for name, value := range pairs(v) {
				switch {
				case child(child(old, "stringData"), name.Value) != nil:
					continue // as an API server has it
				case slices.Contains(names, name.Value):
					c.warn(a, name, "", "template.data.%s is left out: what's read by that name wins", name.Value)
					continue
				}
				c.encoded(a, value)
				values.Content = append(values.Content, name, value)
			}
		default:
			c.refuse(a, k, "remove it", "External Secrets' template has no %s", k.Value)
		}
	}
	if len(values.Content) > 0 {
		template.Content = append(template.Content, scalar("mergePolicy"), scalar("Merge"), scalar("data"), values)
	}
}

// metadata converts a template's in place.
func (c *converter) metadata(a at, n *yaml.Node) {
	var kept []*yaml.Node
	for k, v := range pairs(n) {
		switch {
		case k.Value == "name" || k.Value == "ownerReferences": // the operator's own won
			c.warn(a, k, "", "metadata.%s is left out: the old operator ignored it", k.Value)
			continue
		case k.Value == "labels" || k.Value == "annotations":
			for _, value := range pairs(v) {
				c.expression(a, value)
			}
		case k.Value == "finalizers" && c.version == "v1":
		default:
			c.refuse(a, k, "remove it", "External Secrets' template has no metadata.%s in %s", k.Value, c.version)
			continue
		}
		kept = append(kept, k, v)
	}
	n.Content = kept
}

var (
	// lodash is an expression or a statement in the old operator's templates.
	lodash = regexp.MustCompile(`(?s)<%(.*?)%>|\$\{(.*?)\}`)
	// lodashValue is a value that was read, and lodashParsed a field of one.
	lodashValue  = regexp.MustCompile(`^data(?:\.([A-Za-z_$][\w$]*)|\[["']([-._a-zA-Z0-9]+)["']\])$`)
	lodashParsed = regexp.MustCompile(`^JSON\.parse\((.+?)\)((?:\.[A-Za-z_]\w*)+)$`)
	goName       = regexp.MustCompile(`^[A-Za-z_]\w*$`)
)

// expression converts the expressions in a text. Those that name a value, or a field of
// one that's JSON, have an equivalent.
func (c *converter) expression(a at, n *yaml.Node) {
	var out strings.Builder
	last := 0
	for _, m := range lodash.FindAllStringSubmatchIndex(n.Value, -1) {
		out.WriteString(literal(n.Value[last:m[0]]))
		last = m[1]
		var script string
		if m[2] >= 0 {
			script = n.Value[m[2]:m[3]]
		} else {
			script = "=" + n.Value[m[4]:m[5]]
		}
		converted, ok := "", false
		if rest, is := strings.CutPrefix(script, "="); is {
			converted, ok = goTemplate(strings.TrimSpace(rest))
		}
		if !ok {
			c.refuse(a, n, "write it for External Secrets' templates: https://external-secrets.io/latest/guides/templating/", "the expression %s isn't converted, only data.NAME and JSON.parse(data.NAME).FIELD", n.Value[m[0]:m[1]])
			return
		}
		out.WriteString(converted)
	}
	out.WriteString(literal(n.Value[last:]))
	if n.Kind == yaml.ScalarNode && out.String() != n.Value {
		n.Value, n.Tag = out.String(), "!!str"
	}
}

// literal is a text as External Secrets' templates have it.
func literal(text string) string {
	return strings.ReplaceAll(text, "{{", `{{ "{{" }}`)
}

// goTemplate is an expression in Go's templates.
func goTemplate(script string) (string, bool) {
	value := func(script string) (string, bool) {
		m := lodashValue.FindStringSubmatch(script)
		switch {
		case m == nil:
			return "", false
		case goName.MatchString(m[1] + m[2]):
			return "." + m[1] + m[2], true
		}
		return `index . "` + m[1] + m[2] + `"`, true
	}
	if of, ok := value(script); ok {
		return "{{ " + of + " }}", true
	}
	m := lodashParsed.FindStringSubmatch(script)
	if m == nil {
		return "", false
	}
	of, ok := value(strings.TrimSpace(m[1]))
	if !ok {
		return "", false
	}
	if strings.HasPrefix(of, "index") {
		of = "(" + of + ")"
	}
	return "{{ (" + of + " | fromJson)" + m[2] + " }}", true
}

// encoded converts a value that's in base64: External Secrets' templates have texts.
func (c *converter) encoded(a at, n *yaml.Node) {
	plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
	switch {
	case lodash.MatchString(n.Value) || err != nil:
		c.refuse(a, n, "write the text itself under stringData, without base64", "what's under template.data isn't base64, or an expression makes it")
	case utf8.Valid(plain):
		n.Value, n.Tag, n.Style = literal(string(plain)), "!!str", 0
	default:
		n.Value, n.Tag, n.Style = `{{ "`+base64.StdEncoding.EncodeToString(plain)+`" | b64dec }}`, "!!str", 0
	}
}
