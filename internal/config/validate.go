package config

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/rotation"
)

// validator checks what the parts of a file say about one another. Parts that
// could not be decoded are passed over: what is wrong with them is said
// already.
type validator struct {
	*decoder
	doc      *Document
	bad      map[string]bool // paths with a problem at or under them
	policies map[string]rotation.Policy
}

// badPaths lists the paths of problems, and all paths that lead to them.
func badPaths(list []Problem) map[string]bool {
	bad := map[string]bool{}
	for _, p := range list {
		path, _, _ := strings.Cut(p.Message, ": ")
		for i, c := range path {
			if c == '.' || c == '[' {
				bad[path[:i]] = true
			}
		}
		bad[path] = true
	}
	return bad
}

func (v *validator) document() {
	v.doc.Secrets = slices.DeleteFunc(v.doc.Secrets, func(s *Secret) bool { return s == nil || s.Name.Text == "" })
	for _, name := range slices.Sorted(maps.Keys(v.doc.Connections)) {
		v.connection(name, v.doc.Connections[name])
	}
	v.notify(v.doc.Defaults.Notify, "defaults.notify")
	v.defaultRules()
	v.server()
	names := map[string]Pos{}
	for _, s := range v.doc.Secrets {
		if first, twice := names[s.Name.Text]; twice {
			v.add(s.Name.At, "", "secrets[%s]: the name is already on line %d", s.Name.Text, first.Line)
			continue
		}
		names[s.Name.Text] = s.Name.At
		v.secret(s)
	}
	v.collisions()
	v.references()
}

func (v *validator) connection(name string, c *Connection) {
	path := "connections." + name
	if !connectionName.MatchString(name) {
		v.add(c.At, "try: letters, digits, _ and -, at most 64", "connections: not a connection's name")
		return
	}
	switch {
	case c.AWS != nil:
		a := c.AWS
		if a.AccessKeyID.IsSet() != a.SecretAccessKey.IsSet() {
			v.add(a.At, "", "%s.aws: access_key_id and secret_access_key go together", path)
		}
		if a.SessionToken.IsSet() && !a.AccessKeyID.IsSet() {
			v.add(a.SessionToken.At, "", "%s.aws.session_token: belongs to an access_key_id", path)
		}
		if a.Profile.IsSet() && a.AccessKeyID.IsSet() {
			v.add(a.Profile.At, "try: keep one", "%s.aws: profile and access_key_id exclude each other", path)
		}
		if !a.RoleARN.IsSet() {
			for key, t := range map[string]Text{"external_id": a.ExternalID, "session_name": a.SessionName} {
				if t.IsSet() {
					v.add(t.At, "try: role_arn", "%s.aws.%s: belongs to a role_arn", path, key)
				}
			}
			if len(a.Chain) > 0 {
				v.add(a.Chain[0].At, "try: role_arn", "%s.aws.chain: belongs to a role_arn", path)
			}
		}
	case c.Postgres != nil:
		p := c.Postgres
		if p.SSLCert.IsSet() != p.SSLKey.IsSet() {
			v.add(p.At, "", "%s.postgres: sslcert and sslkey go together", path)
		}
		if p.SSLMode.Text == "disable" && (p.SSLRootCert.IsSet() || p.SSLCert.IsSet()) {
			v.add(p.SSLMode.At, "try: sslmode: verify-full", "%s.postgres.sslmode: disable makes no use of certificates", path)
		}
	case c.SNS != nil:
		v.reference(c.SNS.Connection, path+".sns.connection", kindAWS)
		if arn, plain := c.SNS.TopicARN.literal(); plain && arn != "" && !aws.IsTopic(arn) {
			v.add(c.SNS.TopicARN.At, "try: arn:aws:sns:eu-central-1:111122223333:rotations", "%s.sns.topic_arn: not a topic's ARN", path)
		}
	case c.Command != nil:
		v.command(c.Command, path+".command")
	default:
		v.channel(c, path)
	}
}

// reference finds a connection of the kinds wanted.
func (v *validator) reference(name Plain, path string, kinds ...string) {
	if name.Text == "" {
		return
	}
	c, ok := v.doc.Connections[name.Text]
	if !ok && !v.bad["connections."+name.Text] {
		v.add(name.At, suggest(name.Text, v.ofKind(kinds)), "%s: no connection %q", path, name.Text)
	}
	if c == nil || c.kind() == "" {
		return
	}
	if !slices.Contains(kinds, c.kind()) {
		hint := ""
		if fitting := v.ofKind(kinds); len(fitting) > 0 {
			hint = "try: " + strings.Join(fitting, ", ")
		}
		v.add(name.At, hint, "%s: connection %q is of kind %s, not %s", path, name.Text, c.kind(), strings.Join(kinds, " or "))
	}
}

// ofKind are the names of the connections of such kinds.
func (v *validator) ofKind(kinds []string) []string {
	return slices.DeleteFunc(sortedNames(v.doc.Connections), func(name string) bool {
		return !slices.Contains(kinds, v.doc.Connections[name].kind())
	})
}

func (v *validator) command(c *Command, path string) {
	if v.bad[path] {
		return
	}
	if len(c.Run) == 0 {
		v.add(c.At, "try: run: [systemctl, reload, app]", "%s.run: is empty", path)
	} else if program := c.Run[0]; strings.Contains(program.Text, "/") && !filepath.IsAbs(program.Text) {
		v.add(program.At, "try: /usr/local/bin/reload", "%s.run: the program is neither a name nor an absolute path", path)
	}
	if c.Timeout.IsSet() && c.Timeout.Length == 0 {
		v.add(c.Timeout.At, "try: 5m", "%s.timeout: must be more than nothing", path)
	}
	if dir, plain := c.Dir.literal(); plain && dir != "" && !filepath.IsAbs(dir) {
		v.add(c.Dir.At, "try: /srv/app", "%s.dir: must be absolute", path)
	}
	for _, name := range sortedNames(c.Env) {
		if !variable.MatchString(name) || strings.HasPrefix(name, "ROTA_") {
			v.add(c.Env[name].At, "try: letters, digits and _; names with ROTA_ are Rota's own", "%s.env: not a variable's name", path)
		}
	}
}

// defaultRules checks the default password rules alone, so that one mistake in
// them is one problem and not one a secret.
func (v *validator) defaultRules() {
	d := v.doc.Defaults.Password
	if v.bad["defaults.password"] {
		return
	}
	if err := mergeRules(d, PasswordRules{}).Validate(); err != nil {
		v.add(d.At, "", "defaults.password: %s", strings.TrimPrefix(err.Error(), "password: "))
	}
}
