package kubernetes

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/fileformat"
)

// The types of Secrets that Rota writes.
const (
	TypeOpaque       = "Opaque"
	TypeBasicAuth    = "kubernetes.io/basic-auth"
	TypeSSHAuth      = "kubernetes.io/ssh-auth"
	TypeTLS          = "kubernetes.io/tls"
	TypeDockerConfig = "kubernetes.io/dockerconfigjson"
)

// keysOf are the keys that the API server wants in a Secret of a type.
var keysOf = map[string][]string{
	TypeBasicAuth:    {"username", "password"}, // at least one of them
	TypeSSHAuth:      {"ssh-privatekey"},
	TypeTLS:          {"tls.crt", "tls.key"},
	TypeDockerConfig: {dockerConfigKey},
}

const dockerConfigKey = ".dockerconfigjson"

// maxData is how much all values of a Secret may have, in bytes.
const maxData = 1 << 20

// Content says what's in a Secret.
type Content struct {
	// Type is the Secret's. Defaults to [TypeOpaque].
	Type string
	// Fields are the Secret's keys and what each gets. Defaults to the credential's
	// own fields. Of a Docker config, they're the login's username and password.
	Fields rota.FieldMap
	// Registry is the registry of a Docker config, as Docker writes it there.
	Registry string
}

func (c Content) kind() string { return cmp.Or(c.Type, TypeOpaque) }

// keys are the Secret's keys, as far as they're known without a credential.
func (c Content) keys() []string {
	if c.kind() == TypeDockerConfig {
		return []string{dockerConfigKey}
	}
	return c.Fields.Names()
}

// render is what the Secret holds for a credential. An error holds no value.
func (c Content) render(credential rota.Credential) (map[string][]byte, error) {
	data := map[string][]byte{}
	if c.kind() == TypeDockerConfig {
		w, err := fileformat.New(fileformat.Settings{Format: fileformat.DockerConfig, Registry: c.Registry, Fields: c.Fields})
		if err != nil {
			return nil, err
		}
		values, err := w.Values(credential)
		if err != nil {
			return nil, err
		}
		if data[dockerConfigKey], err = w.Merge(nil, values); err != nil {
			return nil, err
		}
	} else {
		texts, err := c.Fields.Render(credential)
		if err != nil {
			return nil, err
		}
		for key, text := range texts {
			data[key] = []byte(text)
		}
	}
	return data, c.check(data)
}

func (c Content) check(data map[string][]byte) error {
	if len(data) == 0 {
		return errors.New("the credential has no fields")
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if !goodKey(key) {
			return badKey(key)
		}
		size += len(data[key])
	}
	if size > maxData {
		return fmt.Errorf("its values have %d bytes, and a Secret holds %d at most", size, maxData)
	}
	return missingKeys(c.kind(), slices.Collect(maps.Keys(data)))
}

// missingKeys is the error if a Secret of a type lacks a key that it must have.
func missingKeys(kind string, keys []string) error {
	has := func(key string) bool { return slices.Contains(keys, key) }
	want := keysOf[kind]
	if kind == TypeBasicAuth && slices.ContainsFunc(want, has) {
		return nil
	}
	for _, key := range want {
		if !has(key) {
			return rota.WithRemedies(fmt.Errorf("a Secret of type %s needs the key %s", kind, key), rota.Configure("", fmt.Sprintf("fields: {%s: …}", key)))
		}
	}
	return nil
}

// sample is data of the same shape for a write that's only tried.
func (c Content) sample() map[string][]byte {
	data := map[string][]byte{}
	for _, key := range append(slices.Clone(c.keys()), keysOf[c.kind()]...) {
		data[key] = []byte("rota-check")
	}
	if c.kind() == TypeDockerConfig {
		data[dockerConfigKey] = []byte(`{"auths":{}}`)
	}
	return data
}
