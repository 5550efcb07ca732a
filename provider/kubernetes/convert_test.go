package kubernetes

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// convertText converts one file.
func convertText(text string) (string, []error, error) {
	c := externalSecretConversion()
	*c.Options[0].Value.(*string) = "rota"
	out, warnings, err := c.Convert([]provider.ConversionFile{{Path: "in.yaml", Text: []byte(text)}})
	return string(out), warnings, err
}

func TestWhatHasNoEquivalentIsNamed(t *testing.T) {
	const head = "apiVersion: kubernetes-client.io/v1\nkind: ExternalSecret\nmetadata: {name: x}\n"
	for name, tt := range map[string]struct{ spec, want string }{
		"another operator's id":        {"{backendType: secretsManager, controllerId: dev, dataFrom: [a]}", "in.yaml:4:37: controllerId has no equivalent"},
		"a key of another backend":     {"{backendType: secretsManager, vaultRole: dev, dataFrom: [a]}", "in.yaml:4:37: vaultRole is left out"},
		"a type twice":                 {"{backendType: secretsManager, type: Opaque, template: {type: kubernetes.io/tls}, dataFrom: [a]}", ""},
		"a region":                     {"{backendType: secretsManager, region: eu-west-1, dataFrom: [a]}", "spec.provider.aws: {service: SecretsManager, region: eu-west-1}"},
		"two versions":                 {"{backendType: secretsManager, data: [{key: a, name: b, versionId: '1', versionStage: AWSCURRENT}]}", "versionId wins"},
		"an immutable template":        {"{backendType: secretsManager, template: {immutable: true}, dataFrom: [a]}", "immutable"},
		"binary without an effect":     {"{backendType: secretsManager, dataFromWithOptions: [{key: a, isBinary: true}]}", "had no effect"},
		"an owner in the template":     {"{backendType: secretsManager, template: {metadata: {ownerReferences: []}}, dataFrom: [a]}", "ownerReferences is left out"},
		"a number in the template":     {"{backendType: secretsManager, template: {stringData: {a: 1}}, dataFrom: [a]}", ""},
		"binary that's said not to be": {"{backendType: secretsManager, data: [{key: a, name: b, isBinary: false}]}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, warnings, err := convertText(head + "spec: " + tt.spec + "\n")
			said := ""
			for _, w := range warnings {
				said += w.Error() + hintOf(w)
			}
			if err != nil || !strings.Contains(out, "external-secrets.io/v1\n") || tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
				t.Errorf("it warns of %q: %v\n%s", said, err, out)
			}
		})
	}
	for name, tt := range map[string]struct{ text, want string }{
		"no spec":                 {head, "it has no spec"},
		"nothing to read":         {head + "spec: {backendType: secretsManager}", "it reads nothing"},
		"no backend":              {head + "spec: {dataFrom: [a]}", "no backendType"},
		"another version":         {strings.Replace(head, "/v1", "/v2", 1), "apiVersion kubernetes-client.io/v2 isn't known"},
		"an alias":                {head + "spec: {backendType: &b secretsManager, type: *b, dataFrom: [a]}", "aliases aren't converted"},
		"a key outside":           {head + "data: {}\nspec: {backendType: secretsManager, dataFrom: [a]}", "data isn't a key"},
		"an item's key":           {head + "spec: {backendType: secretsManager, data: [{key: a, name: b, keys: c}]}", "keys isn't a key of an item"},
		"a property with indices": {head + "spec: {backendType: secretsManager, data: [{key: a, name: b, property: 'c[0]'}]}", "with dots: items.0.name"},
		"an encoded expression":   {head + "spec: {backendType: secretsManager, dataFrom: [a], template: {data: {a: '<%= data.b %>'}}}", "without base64"},
		"no list":                 {head + "spec: {backendType: secretsManager, data: {}}", "must be a list"},
		"a template's key":        {head + "spec: {backendType: secretsManager, dataFrom: [a], template: {foo: 1}}", "template has no foo"},
		"a template's namespace":  {head + "spec: {backendType: secretsManager, dataFrom: [a], template: {metadata: {namespace: a}}}", "no metadata.namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := convertText(tt.text)
			wanted := err != nil && strings.Contains(err.Error()+hintOf(err), tt.want)
			if out != "" || !wanted {
				t.Errorf("it says %v, and prints %q", err, out)
			}
		})
	}
}

// Whatever is in a file, it's either converted to YAML without a trace of the old API, or
// refused.
func FuzzConversion(f *testing.F) {
	f.Add("apiVersion: kubernetes-client.io/v1\nkind: ExternalSecret\nmetadata: {name: x}\nspec: {backendType: secretsManager, dataFrom: [a], data: [{key: a, name: b, property: c}], template: {stringData: {a: '<%= data.b %>'}}}\n")
	f.Add("kind: List\nitems:\n- {apiVersion: kubernetes-client.io/v1, kind: ExternalSecret, spec: {backendType: secretsManager, dataFromWithOptions: [{key: a}]}}\n")
	f.Add("--- # x\na: b\n---\n# only a comment\n")
	f.Fuzz(func(t *testing.T, text string) {
		out, _, err := convertText(text)
		if err != nil {
			return
		}
		for _, one := range separator.Split(out, -1) {
			var doc struct {
				API  string `yaml:"apiVersion"`
				Kind string `yaml:"kind"`
			}
			if yaml.Unmarshal([]byte(one), &doc) == nil && doc.API == apiOldExternalSecrets && doc.Kind == "ExternalSecret" {
				t.Errorf("%q was left as it is: %q", text, out)
			}
		}
	})
}

// hintOf is what an error says can be done.
func hintOf(err error) string { return rota.Hint(rota.RemediesOf(err)) }
