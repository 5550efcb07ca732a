package kubernetes

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// backend is what the old operator read by itself, and a store reads now.
type backend struct {
	service, region, role string
	at                    at
	node                  *yaml.Node
}

// services are the backends that External Secrets' provider for AWS has, by its names.
var services = map[string]string{"secretsManager": "SecretsManager", "systemManager": "ParameterStore"}

// ofOtherBackends are keys that the old schema has and these backends don't read.
var ofOtherBackends = []string{"vaultRole", "vaultMountPoint", "kvVersion", "keyVaultName", "projectId", "keyByName"}

// ofServer are the parts of metadata that an API server adds.
var ofServer = []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// externalSecret converts one in place.
func (c *converter) externalSecret(a at, n, api *yaml.Node) {
	api.Value = groupExternalSecrets + "/" + c.version
	spec := child(n, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		c.refuse(a, n, "add what it reads", "it has no spec")
		return
	}
	var kept []*yaml.Node
	for k, v := range pairs(n) {
		switch k.Value {
		case "status": // the old operator's
		case "metadata":
			strip(v, ofServer...)
			if annotations := child(v, "annotations"); annotations != nil {
				strip(annotations, lastApplied) // it has the old object
			}
			kept = append(kept, k, v)
		case "apiVersion", "kind", "spec":
			kept = append(kept, k, v)
		default:
			c.refuse(a, k, "remove it", "%s isn't a key of an ExternalSecret", k.Value)
		}
	}
	n.Content = kept
	c.spec(a, spec)
	target := child(spec, "target")
	if labeled := child(child(n, "metadata"), "labels") != nil || child(child(n, "metadata"), "annotations") != nil; labeled && target != nil && child(target, "template") == nil {
		// Without a template, the Secret would get the ExternalSecret's, which it didn't.
		target.Content = append(target.Content, scalar("template"), &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("metadata"), {Kind: yaml.MappingNode, Style: yaml.FlowStyle}}})
	}
}

// spec converts a spec in place.
func (c *converter) spec(a at, spec *yaml.Node) {
	b := &backend{at: a, node: spec}
	ref := mapping("name", c.store, "kind", c.storeKind)
	target := mapping("creationPolicy", "Owner")
	template := mapping()
	var data, from []*yaml.Node // each with its key
	var notes []string
	names := namesOf(spec)
	for k, v := range pairs(spec) {
		drop := func() { notes = append(notes, k.HeadComment, v.LineComment, k.LineComment) }
		switch {
		case k.Value == "backendType":
			b.service, b.node = services[text(v)], v
			if b.service == "" {
				c.refuse(a, v, "convert it by hand: https://external-secrets.io/latest/provider/aws-secrets-manager/ shows the providers", "backendType %s isn't converted, only secretsManager and systemManager", text(v))
			}
			drop()
		case k.Value == "region":
			b.region, b.node = text(v), v
			drop()
		case k.Value == "roleArn":
			b.role, b.node = text(v), v
			drop()
		case k.Value == "data":
			c.each(a, v, func(item *yaml.Node) { c.item(a, item, b) })
			data = []*yaml.Node{k, v}
		case k.Value == "dataFrom":
			c.each(a, v, func(item *yaml.Node) { extract(item) })
			from = append(from, k, v)
		case k.Value == "dataFromWithOptions":
			c.each(a, v, func(item *yaml.Node) { c.itemFrom(a, item) })
			k.Value = "dataFrom"
			from = append(from, k, v)
		case k.Value == "template":
			c.template(a, v, template, target, names)
		case k.Value == "type":
			if child(template, "type") == nil && text(child(child(spec, "template"), "type")) == "" {
				template.Content = append(template.Content, k, v)
			}
		case k.Value == "controllerId":
			c.warn(a, k, "give the store spec.controller: "+text(v)+" and the operator --controller-class, if several operators share the cluster", "controllerId has no equivalent in an ExternalSecret")
			drop()
		case slices.Contains(ofOtherBackends, k.Value):
			c.warn(a, k, "", "%s is left out: only other backends read it", k.Value)
			drop()
		default:
			c.refuse(a, k, "correct it, or remove it", "%s isn't a key of the old spec", k.Value)
		}
	}
	if data == nil && from == nil {
		c.refuse(a, spec, "add data or dataFrom", "it reads nothing")
	}
	c.readsFrom(b)
	if len(template.Content) > 0 {
		target.Content = append(target.Content, scalar("template"), template)
	}
	first := scalar("refreshInterval")
	first.HeadComment = joinComments(notes)
	spec.Content = []*yaml.Node{first, scalar(c.refresh), scalar("secretStoreRef"), ref, scalar("target"), target}
	if len(from) == 4 { // the old operator reads dataFrom first, and what's read later wins
		if from[0].Line > from[2].Line && from[2].Value == "dataFrom" {
			from = []*yaml.Node{from[2], from[3], from[0], from[1]}
		}
		from[1].Content = append(from[1].Content, from[3].Content...)
		from = from[:2]
	}
	spec.Content = append(spec.Content, append(from, data...)...)
	spec.Style = 0
}

// each does something with every item of a list.
func (c *converter) each(a at, list *yaml.Node, do func(*yaml.Node)) {
	if list.Kind != yaml.SequenceNode {
		c.refuse(a, list, "write a list", "this must be a list")
		return
	}
	for _, item := range list.Content {
		do(item)
	}
}

// item converts one of data in place: {key, name, property} becomes {secretKey, remoteRef}.
func (c *converter) item(a at, item *yaml.Node, b *backend) {
	if path := child(item, "path"); path != nil {
		c.refuse(a, path, "list its parameters as data, each with a key and a name; or write dataFrom with find: {path: "+text(path)+"} and a rewrite of the names, which External Secrets takes from the whole path",
			"a path of parameters isn't converted: the names in the Secret would be others")
		return
	}
	ref := &yaml.Node{Kind: yaml.MappingNode, Style: item.Style}
	var content []*yaml.Node
	for k, v := range pairs(item) {
		switch k.Value {
		case "name":
			k.Value = "secretKey"
			content = append(content, k, v)
		default:
			c.remote(a, k, v, item, ref)
		}
	}
	if len(content) == 0 || child(ref, "key") == nil {
		c.refuse(a, item, "write {key: …, name: …}", "it needs a key and a name")
		return
	}
	content = append(content, scalar("remoteRef"), ref)
	item.Content = content
}

// extract makes the name of a secret one that's read as a whole.
func extract(item *yaml.Node) {
	key := *item
	key.HeadComment, key.FootComment = "", ""
	*item = yaml.Node{Kind: yaml.MappingNode, HeadComment: item.HeadComment, FootComment: item.FootComment,
		Content: []*yaml.Node{scalar("extract"), {Kind: yaml.MappingNode, Content: []*yaml.Node{scalar("key"), &key}}}}
}

// itemFrom converts one of dataFromWithOptions in place.
func (c *converter) itemFrom(a at, item *yaml.Node) {
	ref := &yaml.Node{Kind: yaml.MappingNode, Style: item.Style}
	for k, v := range pairs(item) {
		if k.Value == "isBinary" {
			c.warn(a, k, "", "isBinary is left out: it had no effect in dataFromWithOptions")
			continue
		}
		c.remote(a, k, v, item, ref)
	}
	if child(ref, "key") == nil {
		c.refuse(a, item, "write {key: …}", "it needs a key")
	}
	item.Content = []*yaml.Node{scalar("extract"), ref}
}

// remote adds what a key of an old item says about what's read.
func (c *converter) remote(a at, k, v, item, ref *yaml.Node) {
	switch k.Value {
	case "key":
	case "property":
		if strings.ContainsAny(v.Value, `[]"'`) {
			c.refuse(a, v, "write the path with dots: items.0.name", "the property %s isn't a path that External Secrets reads", v.Value)
		}
	case "versionStage":
		if child(item, "versionId") != nil || child(ref, "version") != nil {
			c.warn(a, k, "", "versionStage is left out: versionId wins")
			return
		}
		k.Value = "version"
	case "versionId":
		k.Value, v.Value, v.Tag = "version", "uuid/"+v.Value, "!!str"
	case "isBinary":
		if text(v) != "true" {
			return
		}
		k.Value, v.Value, v.Tag = "decodingStrategy", "Base64", "!!str"
	case "version", "secretType", "recursive":
		c.warn(a, k, "", "%s is left out: only other backends, and paths, read it", k.Value)
		return
	default:
		c.refuse(a, k, "correct it, or remove it", "%s isn't a key of an item", k.Value)
	}
	ref.Content = append(ref.Content, k, v)
}

// readsFrom says what the store has to be like. All documents refer to one.
func (c *converter) readsFrom(b *backend) {
	if b.service == "" {
		if child(b.node, "backendType") == nil && b.node.Kind == yaml.MappingNode {
			c.refuse(b.at, b.node, "write backendType: secretsManager", "it has no backendType")
		}
		return
	}
	if c.reads == nil {
		c.reads = b
		if b.role != "" || b.region != "" || b.service != services["secretsManager"] {
			c.warn(b.at, b.node, "give "+c.storeKind+" "+c.store+" spec.provider.aws: "+b.String(), "this is the store's business now")
		}
		return
	}
	if *c.reads.same(b) != *b {
		c.refuse(b.at, b.node, "convert it in a run of its own, with another --store; or write the region and the role here, if they are the same", "it reads from %s, and %s:%d from %s: they need different stores", b, c.reads.at.path, c.reads.at.line+c.reads.node.Line, c.reads)
	}
}

// same is this backend at another's place.
func (b *backend) same(other *backend) *backend {
	return &backend{b.service, b.region, b.role, other.at, other.node}
}

// String is the backend as a store has it.
func (b *backend) String() string {
	text := "{service: " + b.service
	if b.region != "" {
		text += ", region: " + b.region
	}
	if b.role != "" {
		text += ", role: " + b.role
	}
	return text + "}"
}

// namesOf are the keys that data gives the Secret.
func namesOf(spec *yaml.Node) []string {
	var names []string
	if list := child(spec, "data"); list != nil {
		for _, item := range list.Content {
			names = append(names, text(child(item, "name")))
		}
	}
	return names
}
