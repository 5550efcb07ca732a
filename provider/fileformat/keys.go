package fileformat

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Keys are what rota.yaml says about a file's content. Targets that write files
// embed them.
type Keys struct {
	Format   provider.Plain            `json:"format" enum:"dotenv,json,aws_credentials,text,htpasswd,docker_config" jsonschema:"The file's format."`
	Profile  provider.Plain            `json:"profile,omitzero" default:"default" jsonschema:"The profile in an AWS credentials file."`
	Registry provider.Plain            `json:"registry,omitzero" jsonschema:"The registry in a Docker config.json, as Docker writes it there, such as registry.example.org or https://index.docker.io/v1/."`
	User     provider.Plain            `json:"user,omitzero" default:"the credential's username" jsonschema:"The user's name in an htpasswd file. With it, several secrets can share the file."`
	Fields   map[string]provider.Plain `json:"fields,omitzero" jsonschema:"The names in the file, each with a field of the credential or a template."`
}

// Settings are what the keys say.
func (k *Keys) Settings(b *provider.Build) Settings {
	return Settings{Format: k.Format.Text, Profile: k.Profile.Text, Registry: k.Registry.Text, User: k.User.Text, Fields: b.Fields(k.Fields)}
}

// Check reports what's wrong with the keys.
func (k *Keys) Check(v *provider.Validation) {
	if v.FieldMap("fields", k.Fields) {
		for _, name := range slices.Sorted(maps.Keys(k.Fields)) {
			if err := checkName(k.Format.Text, name); err != nil {
				v.Error(k.Fields[name].At, "fields", err)
			}
		}
	}
	switch format := k.Format.Text; {
	case format == Text && len(k.Fields) == 0:
		v.Problem(k.Format.At, "fields", "fields: {content: password}", "the format text needs to know its content")
	case format == DockerConfig && !k.Registry.IsSet():
		v.Problem(k.Format.At, "registry", "registry.example.org", "the format docker_config needs a registry")
	case format != DockerConfig && k.Registry.IsSet():
		v.Problem(k.Registry.At, "registry", "format: docker_config", "belongs to the format docker_config")
	}
	if k.Profile.IsSet() && k.Format.Text != "" && k.Format.Text != AWSCredentials {
		v.Problem(k.Profile.At, "profile", "format: aws_credentials", "belongs to the format aws_credentials")
	}
	if k.Format.Text != Htpasswd && k.User.IsSet() {
		v.Problem(k.User.At, "user", "format: htpasswd", "belongs to the format htpasswd")
	}
	if k.Format.Text == AWSCredentials && !slices.Contains(v.Issuer.Fields.All, rota.FieldAccessKeyID) {
		v.Problem(k.Format.At, "format", "dotenv, json", "aws_credentials needs an access key, and the issuer makes a %s", v.Issuer.Traits.Kind)
	}
	if k.Format.Text != Htpasswd && k.Format.Text != DockerConfig {
		return
	}
	for _, name := range []string{userName, passwordName} {
		if _, given := k.Fields[name]; !given && (name != userName || !k.User.IsSet()) && (len(k.Fields) > 0 || !slices.Contains(v.Issuer.Fields.All, name)) {
			v.Problem(k.Format.At, "fields", "fields: {username: username, password: password}", "the format %s needs a %s", k.Format.Text, name)
		}
	}
}

// Claim adds to a claim on the file which part of it is written. Two targets may
// write to one file only if the format is the same and they write different
// profiles, registries or users, or if both name their fields and no field is the
// same.
func (k *Keys) Claim(file provider.Claim) provider.Claim {
	file.Form = k.Format.Text
	switch k.Format.Text {
	case AWSCredentials:
		file.Parts = []string{"the profile " + strconv.Quote(cmp.Or(k.Profile.Text, defaultProfile))}
	case DockerConfig:
		file.Parts = []string{"the registry " + strconv.Quote(k.Registry.Text)}
	case Htpasswd:
		if k.User.IsSet() {
			file.Parts = []string{"the user " + strconv.Quote(k.User.Text)}
		}
	case Text: // the whole file
	default:
		for _, name := range slices.Sorted(maps.Keys(k.Fields)) {
			file.Parts = append(file.Parts, strconv.Quote(name))
		}
	}
	return file
}
