package kubernetes

import (
	"slices"
	"strings"
)

// externalSecrets is how External Secrets calls itself as an owner of fields, followed by
// the ExternalSecret's name.
const externalSecrets = "externalsecrets.external-secrets.io/"

// writer is what keeps a Secret as it wants it without being its controller, "" if
// nothing is known to. External Secrets may well have other keys of it (creationPolicy:
// Merge). keys are those that Rota wants, all if it isn't known which.
func (s secret) writer(keys []string) string {
	if name := s.Metadata.Annotations["cert-manager.io/certificate-name"]; name != "" {
		return "Certificate " + name // cert-manager would issue another certificate at once, again and again
	}
	if s.Metadata.Labels["secrets-store.csi.k8s.io/managed"] == "true" {
		return "the Secrets Store CSI driver"
	}
	if name := s.externalSecret(keys); name != "" {
		return "ExternalSecret " + name
	}
	return ""
}

// externalSecret is the name of the ExternalSecret that writes these keys of the Secret,
// "" if none does.
func (s secret) externalSecret(keys []string) string {
	if o, ok := s.Metadata.controller(); ok && o.Kind == "ExternalSecret" {
		return o.Name
	}
	for _, m := range s.Metadata.ManagedFields {
		name, is := strings.CutPrefix(m.Manager, externalSecrets)
		if is && slices.ContainsFunc(m.keys("data"), func(key string) bool { return len(keys) == 0 || slices.Contains(keys, key) }) {
			return name
		}
	}
	return ""
}
