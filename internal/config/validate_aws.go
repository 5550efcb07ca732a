package config

import (
	"strings"

	"github.com/rota-dev/rota/provider/aws"
)

// assumeRole refuses what STS would refuse, as far as it is known already.
func (v *validator) assumeRole(i *Issuer, path string) {
	a := i.AssumeRole
	if a == nil || v.bad[path] {
		return
	}
	places := map[string]Pos{
		"role_arn": a.RoleARN.At, "duration": a.Duration.At, "session_name": a.SessionName.At, "external_id": a.ExternalID.At,
		"policy": a.Policy.At,
	}
	for key, list := range map[string][]Text{"chain": a.Chain, "policy_arns": a.PolicyARNs} {
		if len(list) > 0 {
			places[key] = list[0].At
		}
	}
	if len(a.TransitiveTagKeys) > 0 {
		places["transitive_tag_keys"] = a.TransitiveTagKeys[0].At
	}
	known := func(t Text) string { text, _ := t.literal(); return text }
	for _, err := range unjoin(a.config(known).Validate()) {
		key, _, _ := strings.Cut(err.Error(), ":")
		at := places[key]
		if !at.IsSet() {
			at = a.At
		}
		v.add(at, "", "%s.%v", path, err)
	}
	if c := v.doc.Connections[i.Connection.Text]; c != nil && c.AWS != nil && c.AWS.RoleARN.IsSet() && a.Duration.Length > aws.ChainedSession && len(a.Chain) == 0 {
		v.add(a.Duration.At, "try: 1h, or a connection without role_arn", "%s.duration: more than the 1h that AWS gives where a role is assumed with another role's credentials, as by connection %q", path, i.Connection.Text)
	}
}

// config is the provider's configuration, with the values that text gives.
func (a *AssumeRole) config(text func(Text) string) aws.AssumedRoleConfig {
	cfg := aws.AssumedRoleConfig{
		RoleARN: text(a.RoleARN), Duration: a.Duration.Length, SessionName: text(a.SessionName), ExternalID: text(a.ExternalID),
		Policy: a.Policy.Text,
	}
	for list, arns := range map[*[]string][]Text{&cfg.Chain: a.Chain, &cfg.PolicyARNs: a.PolicyARNs} {
		for _, arn := range arns {
			*list = append(*list, text(arn))
		}
	}
	for _, key := range a.TransitiveTagKeys {
		cfg.TransitiveTagKeys = append(cfg.TransitiveTagKeys, key.Text)
	}
	if len(a.Tags) > 0 {
		cfg.Tags = make(map[string]string, len(a.Tags))
		for key, value := range a.Tags {
			cfg.Tags[key] = text(value)
		}
	}
	return cfg
}

func (v *validator) parameter(p *SSMParameter, kind issuerKind, path string) {
	v.reference(p.Connection, path+".connection", kindAWS)
	if name, plain := p.Name.literal(); plain && name != "" {
		if err := aws.ValidateParameterName(name); err != nil {
			v.add(p.Name.At, "", "%s.name: %v", path, err)
		}
	}
	if p.Field.IsSet() && len(p.Fields) > 0 {
		v.add(p.Field.At, "try: keep one", "%s: field and fields exclude each other", path)
	}
	if p.KeyID.IsSet() && p.Type.Text == "String" {
		v.add(p.KeyID.At, "try: type: SecureString", "%s.key_id: a String is not encrypted", path)
	}
	if p.Field.IsSet() && p.Field.Text != "" {
		v.fields(map[string]Plain{"field": p.Field}, kind, path)
	}
	if !v.bad[path+".fields"] {
		v.fields(p.Fields, kind, path+".fields")
	}
}
