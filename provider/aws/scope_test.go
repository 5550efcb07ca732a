package aws

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// scopeOf is the account that a connection says it reaches.
func scopeOf(t *testing.T, c *Connection) string {
	t.Helper()
	scope, err := c.Identity(t.Context())
	if err != nil || scope == "" {
		t.Fatalf("identity %q, %v", scope, err)
	}
	return scope
}

func TestEveryWayToAnAccountGivesTheSameIdentity(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	want := scopeOf(t, e.Connection)
	role, next := e.server.CreateRole("rota", "*"), e.server.CreateRole("deploy", "*")
	for name, cfg := range map[string]Config{
		"another region":           {Region: "us-east-1"},
		"a role":                   {RoleARN: role},
		"a role by way of another": {RoleARN: next, Chain: []string{role}},
		"another name of the host": {Endpoint: strings.Replace(e.endpoint, "127.0.0.1", "localhost", 1) + "/"},
	} {
		cfg.AccessKeyID, cfg.SecretAccessKey = e.id, e.secret
		if got := scopeOf(t, e.connect(t, cfg)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestTheAccountIsThatAtTheEndOfAChain(t *testing.T) {
	isolate(t)
	e := newEnv(t, testenv.Moto(t).URL, "AKIAANYBODY000000000", "anything") // moto knows every account's roles
	const hop, role, sibling = "arn:aws:iam::111111111111:role/hop", "arn:aws:iam::222222222222:role/rota", "arn:aws:iam::222222222222:role/deploy"
	scope := func(role string, chain ...string) string {
		return scopeOf(t, e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: role, Chain: chain}))
	}
	by, direct, between := scope(role, hop), scope(sibling), scope(hop)
	if by != direct || by == between || by == scopeOf(t, e.Connection) {
		t.Errorf("by way of another account %q, directly %q, the one between %q", by, direct, between)
	}
}

func TestTwoEmulatorsAreNeverOneAccount(t *testing.T) {
	one, other := startAWSTest(t, awstest.Options{}), startAWSTest(t, awstest.Options{})
	if a, b := scopeOf(t, one.Connection), scopeOf(t, other.Connection); a == b {
		t.Errorf("both are %q", a)
	}
}

func TestAnAccountIsAskedForOnce(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	for range 3 {
		scopeOf(t, e.Connection)
	}
	if calls := e.actions(); calls != "GetCallerIdentity" {
		t.Errorf("called: %s", calls)
	}
}

func TestALoginThatIsRefusedGivesNoIdentity(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	scope, err := e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: "wrong"}).Identity(t.Context())
	if scope != "" || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "get caller identity") {
		t.Errorf("%q, %v", scope, err)
	}
}

// What the text says of an account is spelled as AWS's answer is.
func TestTheTextAndTheAnswerSpellAnAccountAlike(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	texts := []string{""} // by their lines
	value := func(text provider.Text) (string, bool) { return texts[text.At.Line], true }
	text := func(s string) provider.Text {
		texts = append(texts, s)
		return provider.Text{At: provider.Pos{Line: len(texts) - 1}}
	}
	known := provider.NewKnown("", value, nil)
	want := scopeOf(t, e.Connection)
	if got := (&connectionConfig{RoleARN: text("arn:aws:iam::111122223333:role/rota"), Endpoint: text(e.endpoint)}).Scope(known); got != want {
		t.Errorf("a role's: %q, want %q", got, want)
	}
	entry := &secretsManagerConfig{Name: text("arn:aws:secretsmanager:eu-central-1:111122223333:secret:ci-AbCdEf")}
	on := provider.NewKnown("a", value, nil).WithOpened(func(string) any { return e.Connection })
	if c := entry.Claims(on); len(c) != 1 || c[0].Scope != want || c[0].Name != "eu-central-1\x00ci" {
		t.Errorf("an entry's: %+v, want %q", c, want)
	}
	byName := &secretsManagerConfig{Name: text("ci")}
	if c := byName.Claims(on); len(c) != 1 || c[0].Name != "eu-central-1\x00ci" {
		t.Errorf("its region comes from the environment, and its claim is %+v", c)
	}
	login := func(endpoint string) string {
		return (&connectionConfig{AccessKeyID: text("AKIA"), Endpoint: text(endpoint)}).Scope(known)
	}
	if one, other := login("http://aws.test:5000"), login("http://AWS.Test:5000/"); one != other {
		t.Errorf("one host, written in two ways: %q and %q", one, other)
	}
	if got := accountScope("aws-cn", "111122223333", e.endpoint); got == want {
		t.Error("two partitions are one")
	}
}
