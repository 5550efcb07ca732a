package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/providertest"
)

// role makes a role that anybody of the account may assume, and gives its ARN.
func (e *env) role(t testing.TB, name string) string {
	t.Helper()
	if e.server != nil {
		return e.server.CreateRole(name)
	}
	out := must(t)(e.admin.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`)})).(*iam.CreateRoleOutput)
	must(t)(e.admin.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: new("all"), PolicyDocument: new(allow("*"))}))
	return *out.Role.Arn
}

func (c *Connection) sessions(t testing.TB, cfg AssumedRoleConfig) *assumedRole {
	t.Helper()
	issuer, err := c.AssumedRole(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return issuer.(*assumedRole)
}

// shifted is a clock that can be put forward.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() time.Time { return time.Now().Add(time.Duration(s.by.Load())) }

func TestSessionConformance(t *testing.T) {
	fixture := func(e *env, t *testing.T) providertest.IssuerFixture {
		return providertest.IssuerFixture{
			Issuer: e.sessions(t, AssumedRoleConfig{RoleARN: e.role(t, "deploy"), Duration: ShortSession}), UnknownID: "ASIA0000000000000000",
			PublicFields: []string{rota.FieldExpiration},
			Inject:       injector(e, map[string]string{"create": "AssumeRole", "test": "GetCallerIdentity"}),
		}
	}
	t.Run("awstest", func(t *testing.T) {
		providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
			clock := &shifted{}
			f := fixture(startAWSTest(t, awstest.Options{Now: clock.Now}), t)
			f.Expire = func(*testing.T) { clock.by.Add(int64(ShortSession)) }
			return f
		})
	})
	t.Run("moto", func(t *testing.T) {
		e := startMoto(t)
		f := fixture(e, t)
		f.Inject = nil
		providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture { return f })
	})
}

func TestASessionIsOnlyAsGoodAsItsToken(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		a := e.sessions(t, AssumedRoleConfig{RoleARN: e.role(t, "deploy")})
		c, err := a.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if lives := time.Until(c.ExpiresAt()); lives < 55*time.Minute || lives > 65*time.Minute {
			t.Errorf("it lives for %s, want an hour", lives)
		}
		if err := a.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
			t.Error(err)
		}
		fields := c.Fields()
		delete(fields, rota.FieldSessionToken)
		if err := a.Test(t.Context(), rota.TestRequest{Credential: rota.NewCredential(fields)}); err == nil {
			t.Error("the key logs in without its token")
		}
	})
}

func TestASessionThatHasEndedIsRefusedForGood(t *testing.T) {
	clock := &shifted{}
	e := startAWSTest(t, awstest.Options{Now: clock.Now})
	a := e.sessions(t, AssumedRoleConfig{RoleARN: e.role(t, "deploy")})
	c, err := a.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	clock.by.Store(int64(time.Hour))
	err = a.Test(t.Context(), rota.TestRequest{Credential: c})
	if !errors.Is(err, rota.ErrRefused) || rota.ClassOf(err) != rota.ClassStop || strings.Contains(err.Error(), "renew the credentials that Rota") {
		t.Errorf("got %v", err)
	}
}

func TestRolesAreAssumedOneAfterAnother(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		hub, spoke := e.role(t, "hub"), e.role(t, "spoke")
		if e.server != nil {
			hub = e.server.CreateRole("hub", "sts:AssumeRole")
		}
		a := e.sessions(t, AssumedRoleConfig{RoleARN: spoke, Chain: []string{hub}, SessionName: "night"})
		c, err := a.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		who, err := whoIs(t.Context(), e.stsWith(c))
		if err != nil || !strings.HasSuffix(who.arn, ":assumed-role/spoke/night") {
			t.Errorf("it is a session of %s (%v)", who.arn, err)
		}
	})
}

func TestWhatTheRoleAsksForIsSent(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	arn := e.role(t, "deploy")
	e.server.Trust("deploy", awstest.Trust{ExternalID: "shared", MaxSession: 2 * time.Hour})
	for name, c := range map[string]struct {
		cfg  AssumedRoleConfig
		want string // in the hint; "" for none
	}{
		"all that it wants": {AssumedRoleConfig{ExternalID: "shared", Duration: 2 * time.Hour, Tags: map[string]string{"team": "cms"},
			TransitiveTagKeys: []string{"team"}, Policy: allow("s3:*"), PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}}, ""},
		"no external id": {AssumedRoleConfig{}, "external_id"},
		"too long":       {AssumedRoleConfig{ExternalID: "shared", Duration: 3 * time.Hour}, "--role-name deploy --max-session-duration"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.RoleARN = arn
			a := e.sessions(t, c.cfg)
			_, err := a.Create(t.Context(), rota.CreateRequest{})
			f := finding(t, a.Preflight(t.Context()), "assume role "+arn)
			if c.want == "" {
				if err != nil || !f.OK {
					t.Errorf("got %v, preflight says %+v", err, f)
				}
				return
			}
			if refused, ok := errors.AsType[*rota.Error](err); !ok || !strings.Contains(rota.Hint(refused.Remedies), c.want) || refused.Class != rota.ClassStop {
				t.Errorf("got %v, want a hint with %q", err, c.want)
			}
			if f.OK || !strings.Contains(rota.Hint(f.Remedies), c.want) {
				t.Errorf("preflight says %+v", f)
			}
		})
	}
}

func TestALongSessionOfAChainIsRefusedByAWS(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	e.server.CreateRole("rota", "sts:AssumeRole")
	spoke := e.role(t, "spoke")
	role := e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: "arn:aws:iam::111122223333:role/rota"})
	if _, err := role.AssumedRole(AssumedRoleConfig{RoleARN: spoke, Duration: 2 * time.Hour}); err == nil || !strings.Contains(hint.Text(err), "try: duration: 1h") {
		t.Errorf("two hours over a role were taken: %v", err)
	}
	// A role that Rota got by where it runs shows only when AWS refuses.
	role.role = ""
	_, err := role.sessions(t, AssumedRoleConfig{RoleARN: spoke, Duration: 2 * time.Hour}).Create(t.Context(), rota.CreateRequest{})
	if refused, ok := errors.AsType[*rota.Error](err); !ok || !strings.Contains(rota.Hint(refused.Remedies), "one hour is the most") {
		t.Errorf("got %v", err)
	}
}

func TestASessionOfAnotherRoleIsNoneOfOurs(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	other, err := e.sessions(t, AssumedRoleConfig{RoleARN: e.role(t, "other")}).Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	err = e.sessions(t, AssumedRoleConfig{RoleARN: e.role(t, "deploy")}).Test(t.Context(), rota.TestRequest{Credential: other})
	refusal(t, err, rota.ClassStop, nil)
}

func TestIsRole(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/team/deploy"
	for arn, want := range map[string]bool{
		"arn:aws:sts::111122223333:assumed-role/deploy/rota":    true,
		"arn:aws:sts::444455556666:assumed-role/deploy/rota":    false,
		"arn:aws-cn:sts::111122223333:assumed-role/deploy/rota": false,
		"arn:aws:sts::111122223333:assumed-role/team/rota":      false,
		"arn:aws:sts::111122223333:federated-user/deploy":       false,
		"arn:aws:iam::111122223333:user/deploy":                 false,
		"":                                                      false,
	} {
		if got := (identity{arn: arn}).isRole(role); got != want {
			t.Errorf("%q: %t", arn, got)
		}
	}
}

func TestTheConfigurationOfSessionsIsChecked(t *testing.T) {
	good := AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/deploy"}
	arns := func(n int) []string {
		return slices.Repeat([]string{"arn:aws:iam::111122223333:policy/team/read"}, n)
	}
	tags := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("tag", i)] = "x"
		}
		return m
	}
	tag := func(key, value string) map[string]string { return map[string]string{key: value} }
	policy := func(characters int) string {
		const frame = `{"Statement":""}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat("é", characters-len(frame))+`"`, 1)
	}
	for _, c := range []struct {
		key    string
		good   bool
		change func(*AssumedRoleConfig)
	}{
		{"role_arn", false, func(c *AssumedRoleConfig) { c.RoleARN = "deploy" }},
		{"role_arn", true, func(c *AssumedRoleConfig) { c.RoleARN = "" }}, // skipped
		{"chain", false, func(c *AssumedRoleConfig) { c.Chain = []string{"hub"} }},
		{"chain", false, func(c *AssumedRoleConfig) { c.Chain = []string{good.RoleARN, "hub"} }},
		{"chain", true, func(c *AssumedRoleConfig) { c.Chain = []string{""} }},
		{"duration", false, func(c *AssumedRoleConfig) { c.Duration = ShortSession - time.Second }},
		{"duration", true, func(c *AssumedRoleConfig) { c.Duration = ShortSession }},
		{"duration", true, func(c *AssumedRoleConfig) { c.Duration = LongSession }},
		{"duration", false, func(c *AssumedRoleConfig) { c.Duration = LongSession + time.Second }},
		{"duration", false, func(c *AssumedRoleConfig) { c.Duration = time.Hour + time.Millisecond }},
		{"duration", true, func(c *AssumedRoleConfig) { c.Duration, c.Chain = ChainedSession, []string{good.RoleARN} }},
		{"duration", false, func(c *AssumedRoleConfig) { c.Duration, c.Chain = ChainedSession+time.Second, []string{good.RoleARN} }},
		{"session_name", false, func(c *AssumedRoleConfig) { c.SessionName = "x" }},
		{"session_name", true, func(c *AssumedRoleConfig) { c.SessionName = "xx" }},
		{"session_name", true, func(c *AssumedRoleConfig) { c.SessionName = strings.Repeat("x", 64) }},
		{"session_name", false, func(c *AssumedRoleConfig) { c.SessionName = strings.Repeat("x", 65) }},
		{"external_id", false, func(c *AssumedRoleConfig) { c.ExternalID = "a b" }},
		{"external_id", false, func(c *AssumedRoleConfig) { c.ExternalID = "a" }},
		{"external_id", true, func(c *AssumedRoleConfig) { c.ExternalID = "ab" }},
		{"external_id", true, func(c *AssumedRoleConfig) { c.ExternalID = strings.Repeat("a", 1224) }},
		{"external_id", false, func(c *AssumedRoleConfig) { c.ExternalID = strings.Repeat("a", 1225) }},
		{"policy", false, func(c *AssumedRoleConfig) { c.Policy = "{" }},
		{"policy", false, func(c *AssumedRoleConfig) { c.Policy = `{"Version":"2012-10-17"}` }},
		{"policy", true, func(c *AssumedRoleConfig) { c.Policy = policy(2048) }},
		{"policy", false, func(c *AssumedRoleConfig) { c.Policy = policy(2049) }},
		{"policy_arns", true, func(c *AssumedRoleConfig) { c.PolicyARNs = arns(10) }},
		{"policy_arns", false, func(c *AssumedRoleConfig) { c.PolicyARNs = arns(11) }},
		{"policy_arns", true, func(c *AssumedRoleConfig) { c.PolicyARNs = []string{""} }},
		{"policy_arns", false, func(c *AssumedRoleConfig) { c.PolicyARNs = []string{"read"} }},
		{"tags", true, func(c *AssumedRoleConfig) { c.Tags = tags(50) }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tags(51) }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tag("team", "a|b") }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tag("te|am", "a") }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tag("", "a") }},
		{"tags", true, func(c *AssumedRoleConfig) { c.Tags = tag("k", "") }},
		{"tags", true, func(c *AssumedRoleConfig) { c.Tags = tag(strings.Repeat("é", 128), strings.Repeat("é", 256)) }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tag(strings.Repeat("k", 129), "a") }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tag("team", strings.Repeat("v", 257)) }},
		{"tags", false, func(c *AssumedRoleConfig) { c.Tags = tag("Aws:team", "a") }},
		{"transitive_tag_keys", false, func(c *AssumedRoleConfig) { c.TransitiveTagKeys = []string{"team"} }},
		{"transitive_tag_keys", true, func(c *AssumedRoleConfig) { c.Tags, c.TransitiveTagKeys = tag("team", ""), []string{"team"} }},
	} {
		cfg := good
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != c.good || err != nil && !strings.HasPrefix(err.Error(), c.key+": ") {
			t.Errorf("%s, %+v: %v", c.key, cfg, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAnIssuerOfSessionsHasARoleAndATimeThatItsConnectionCanGive(t *testing.T) {
	isolate(t)
	plain := through(t, "http://127.0.0.1:1", "AKIA", "secret", nil)
	assumed := through(t, "http://127.0.0.1:1", "AKIA", "secret", nil)
	assumed.role = "arn:aws:iam::111122223333:role/rota"
	const role = "arn:aws:iam::111122223333:role/deploy"
	for name, c := range map[string]struct {
		connection *Connection
		cfg        AssumedRoleConfig
		want       time.Duration // 0 for an error
	}{
		"an hour":                                {plain, AssumedRoleConfig{RoleARN: role}, time.Hour},
		"as long as it says":                     {plain, AssumedRoleConfig{RoleARN: role, Duration: 2 * time.Hour}, 2 * time.Hour},
		"no role":                                {plain, AssumedRoleConfig{}, 0},
		"an hour, over a role":                   {assumed, AssumedRoleConfig{RoleARN: role, Duration: time.Hour}, time.Hour},
		"a second more than that":                {assumed, AssumedRoleConfig{RoleARN: role, Duration: time.Hour + time.Second}, 0},
		"a role that's none":                     {plain, AssumedRoleConfig{RoleARN: "deploy"}, 0},
		"a session's name that's kept, not ours": {plain, AssumedRoleConfig{RoleARN: role, SessionName: "x"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			issuer, err := c.connection.AssumedRole(c.cfg)
			if (err != nil) != (c.want == 0) {
				t.Fatal(err)
			}
			if err == nil && issuer.Traits().Lifetime != c.want {
				t.Errorf("it lives for %s", issuer.Traits().Lifetime)
			}
		})
	}
}
