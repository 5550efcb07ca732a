package vault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// need is what a policy must allow on one path.
type need struct {
	path         string
	capabilities []string
	why          string
	occasion     provider.Occasion
}

// own are what Rota does with its own login. Vault's default policy allows it, and
// every token has that policy unless somebody took it away.
func own() []need {
	return []need{
		{"auth/token/lookup-self", []string{"read"}, "sees how long its own token lives", provider.OccasionCheck},
		{"auth/token/renew-self", []string{"update"}, "renews its own token", provider.OccasionRotate},
		{"sys/capabilities-self", []string{"update"}, "sees what it may do, for rota check", provider.OccasionCheck},
	}
}

// permissions are needs as package provider has them.
func permissions(needs []need) []provider.Permission {
	var out []provider.Permission
	for _, n := range append(slices.Clone(needs), own()...) {
		out = append(out, provider.Permission{Action: strings.Join(n.capabilities, ", "), Resource: n.path, Why: n.why, For: n.occasion, Detail: n.capabilities})
	}
	return out
}

// policy is rota policy vault.
func policy() provider.Policy {
	return provider.Policy{
		Summary: "Print the policy Rota needs in Vault or OpenBao for rota.yaml",
		Help: `Prints, in HCL, a policy that allows what rota.yaml makes Rota do and nothing
else, for vault policy write or bao policy write. A policy belongs to the
connection's namespace, and the login's role or token must have it.

Nothing is looked up in Vault. --output text says why each permission is needed.`,
		Format:   "hcl",
		Document: document,
	}
}

// document is a policy for each connection, a stanza for each path.
func document(grants []provider.Grant, _ func(error)) ([]byte, error) {
	var out bytes.Buffer
	for i, g := range grants {
		if i > 0 {
			_, _ = fmt.Fprintln(&out)
		}
		_, _ = fmt.Fprintf(&out, "# %s\n", g.Title)
		paths := map[string][]string{}
		var order []string
		for _, p := range g.Permissions {
			capabilities, _ := p.Detail.([]string)
			if _, seen := paths[p.Resource]; !seen {
				order = append(order, p.Resource)
			}
			paths[p.Resource] = append(paths[p.Resource], capabilities...)
		}
		slices.SortFunc(order, func(a, b string) int { // its own login comes last
			return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
		})
		for _, p := range order {
			capabilities := paths[p]
			slices.Sort(capabilities)
			var quoted []string
			for _, c := range slices.Compact(capabilities) {
				quoted = append(quoted, strconv.Quote(c))
			}
			_, _ = fmt.Fprintf(&out, "path %s {\n  capabilities = [%s]\n}\n", strconv.Quote(p), strings.Join(quoted, ", "))
		}
	}
	return out.Bytes(), nil
}

func rank(path string) int {
	if slices.ContainsFunc(own(), func(n need) bool { return n.path == path }) {
		return 1
	}
	return 0
}

// preflight looks at the server, at the login and at what it may do. It's false if
// there's no point in asking more.
func (c *Connection) preflight(ctx context.Context, needs []need) ([]rota.Finding, bool) {
	health := c.preflightHealth(ctx)
	if !health.OK {
		return []rota.Finding{health}, false
	}
	login, ok := c.preflightLogin(ctx)
	findings := append([]rota.Finding{health}, login...)
	if !ok {
		return findings, false
	}
	allowed := c.preflightCapabilities(ctx, needs)
	findings = append(findings, allowed...)
	return findings, !slices.ContainsFunc(allowed, func(f rota.Finding) bool { return !f.OK && !f.Warning })
}

// health is what a server says about itself to anybody.
type health struct {
	Initialized bool   `json:"initialized"`
	Sealed      bool   `json:"sealed"`
	Standby     bool   `json:"standby"`
	Version     string `json:"version"`
	ClusterID   string `json:"cluster_id"`
	Enterprise  *bool  `json:"enterprise"` // HashiCorp's servers say so, OpenBao's don't
	// Recovery is "secondary" if it only keeps a copy of another cluster, in case that
	// one is lost.
	Recovery string `json:"replication_dr_mode"`
}

// health asks a server how it is, and to answer 200 whatever that is.
func (c *Connection) health(ctx context.Context) (health, error) {
	var h health
	none := ""
	k := call{op: "ask the server at " + c.host + " how it is", method: http.MethodGet, path: "sys/health", token: &none, root: true, bare: &h,
		params: map[string]string{"standbyok": "true", "perfstandbyok": "true", "drsecondarycode": "200", "sealedcode": "200", "uninitcode": "200"}}
	_, err := c.do(ctx, k, nil)
	return h, err
}

func (c *Connection) preflightHealth(ctx context.Context) rota.Finding {
	check := "the server at " + c.host
	h, err := c.health(ctx)
	switch {
	case err != nil:
		return provider.Found(check, "", err)
	case !h.Initialized:
		return provider.Found(check, "", rota.WithRemedies(fmt.Errorf("it isn't initialized"), rota.Outside("initialize and unseal it")))
	case h.Sealed:
		return provider.Found(check, "", rota.WithRemedies(fmt.Errorf("it's sealed"), rota.Outside("unseal it")))
	case h.Recovery == "secondary":
		return provider.Found(check, "", rota.WithRemedies(errors.New("it only keeps a copy of another cluster, for disaster recovery"), rota.Outside("set the address of connection "+c.name+" to the primary cluster")))
	}
	if c.cfg.Namespace != "" && h.Enterprise != nil && !*h.Enterprise {
		return provider.Found(check, "", rota.WithRemedies(fmt.Errorf("it's Vault's community edition, which has no namespaces: it would take the paths in %s for paths in the root namespace", provider.Said(c.cfg.Namespace)),
			rota.Outside("leave out namespace of connection "+c.name+", or correct its address")))
	}
	detail := "version " + provider.Said(h.Version)
	if h.Standby {
		detail += ", on standby"
	}
	return provider.Found(check, detail, nil)
}

// warnExpiry is how far ahead preflight warns that Rota's own token ends.
const warnExpiry = 14 * rota.Day

func (c *Connection) preflightLogin(ctx context.Context) ([]rota.Finding, bool) {
	check := "log in with the " + c.cfg.Login.String() + " of connection " + c.name
	_, given := c.session.given()
	token, err := c.session.token(ctx, given) // a given one is renewed, to see whether that works
	if err != nil {
		return []rota.Finding{provider.Found(check, "", err)}, false
	}
	a, err := c.lookUp(ctx, token)
	if provider.StatusOf(err) == http.StatusForbidden && rota.ClassOf(err) == rota.ClassStop && !isInvalid(err) {
		return []rota.Finding{provider.Warned(check, "its token may not look at itself, so Rota can't see how long it lives", "allow read on auth/token/lookup-self, as Vault's default policy does")}, true
	}
	if err != nil {
		return []rota.Finding{provider.Found(check, "", err)}, false
	}
	if a.Uses > 0 {
		return []rota.Finding{provider.Warned(check, fmt.Sprintf("its token is good for %d more calls, and each of Rota's counts", a.Uses), "give it no limit of uses: token_num_uses of a login's role, or -use-limit of a token")}, true
	}
	child := a.Orphan != nil && !*a.Orphan
	if given && child && a.Type == "batch" {
		end := c.cfg.Now().Add(secondsOf(a.TTL)).UTC().Format("2006-01-02 15:04 UTC")
		return []rota.Finding{provider.Warned(check, "it's a batch token, which can't be renewed: it ends at "+end+", or together with the token that made it if that's earlier", "give the connection a service token with a period, made with vault token create -orphan, or another login")}, true
	}
	if given && child {
		return []rota.Finding{provider.Warned(check, "Vault revokes it together with the token that made it, such as that of a person's login", "make it with vault token create -orphan, or give the connection another login")}, true
	}
	if !given || a.TTL == 0 {
		return []rota.Finding{provider.Found(check, "", nil)}, true
	}
	end := c.cfg.Now().Add(secondsOf(a.TTL)).UTC().Format("2006-01-02 15:04 UTC")
	switch {
	case a.Type == "batch":
		return []rota.Finding{provider.Warned(check, "it's a batch token, which can't be renewed, and ends at "+end, "give the connection a service token with a period, or another login")}, true
	case !a.Renewable:
		return []rota.Finding{provider.Warned(check, "it can't be renewed, and ends at "+end, "give the connection a token with a period, or another login")}, true
	case a.Most > 0 && a.Period == 0 && a.oldest().Before(c.vaultsNow().Add(warnExpiry)):
		return []rota.Finding{provider.Warned(check, "it can't be renewed beyond its greatest age, and ends at "+c.clock.Here(a.oldest()).UTC().Format("2006-01-02 15:04 UTC"), "give the connection a token with a period, or another login")}, true
	case secondsOf(a.TTL) < warnExpiry && a.Period == 0 && a.TTL < a.FullTTL*9/10, a.Period > 0 && !a.renewsFor(warnExpiry, c.vaultsNow()):
		return []rota.Finding{provider.Warned(check, "it can't be renewed beyond its greatest age, and ends at "+end, "give the connection a token with a period, or another login")}, true
	}
	return []rota.Finding{provider.Found(check, "renewed until "+end, nil)}, true
}

// preflightCapabilities asks what Rota's login may do on each path.
func (c *Connection) preflightCapabilities(ctx context.Context, needs []need) []rota.Finding {
	if len(needs) == 0 {
		return nil
	}
	var paths []string
	for _, n := range needs {
		paths = append(paths, n.path)
	}
	var may map[string][]string
	raw := map[string]any{}
	if _, err := c.do(ctx, call{op: "see what the connection's login may do", method: http.MethodPost, path: "sys/capabilities-self", body: map[string]any{"paths": paths}}, &raw); err != nil {
		if provider.StatusOf(err) == http.StatusForbidden && !isInvalid(err) {
			return []rota.Finding{provider.Warned("what the connection's login may do", "it may not ask", "allow update on sys/capabilities-self, as Vault's default policy does")}
		}
		return []rota.Finding{provider.Found("what the connection's login may do", "", err)}
	}
	may = capabilitiesIn(raw)
	var findings []rota.Finding
	for _, n := range needs {
		has := may[n.path]
		var missing []string
		for _, capability := range n.capabilities {
			if !slices.Contains(has, capability) && !slices.Contains(has, "root") {
				missing = append(missing, capability)
			}
		}
		check := strings.Join(n.capabilities, ", ") + " on " + n.path
		switch {
		case len(missing) == 0:
			findings = append(findings, provider.Found(check, "", nil))
		case n.occasion != provider.OccasionRotate:
			findings = append(findings, rota.Finding{Warning: true, Check: check, Detail: "a policy doesn't allow " + strings.Join(missing, ", "), Remedies: c.allow(strings.Join(missing, " and "), n.path)})
		default:
			findings = append(findings, rota.Finding{Check: check, Detail: "no policy allows " + strings.Join(missing, ", "), Remedies: c.allow(strings.Join(missing, " and "), n.path)})
		}
	}
	return findings
}

// capabilitiesIn reads an answer, which has lists by path and one more for the first.
func capabilitiesIn(raw map[string]any) map[string][]string {
	may := map[string][]string{}
	for p, list := range raw {
		all, _ := list.([]any)
		for _, one := range all {
			if text, ok := one.(string); ok {
				may[path.Clean(p)] = append(may[path.Clean(p)], text)
			}
		}
	}
	return may
}
