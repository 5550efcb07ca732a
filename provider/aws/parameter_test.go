package aws

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/uuid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/providertest"
)

func (e *env) parameters() *ssm.Client {
	return ssm.NewFromConfig(awssdk.Config{Region: region, BaseEndpoint: &e.endpoint, Credentials: credentials.NewStaticCredentialsProvider(e.id, e.secret, "")})
}

func newParameter() string { return "/prod/" + uuid.NewString() }

// plain reads a parameter as its readers do, "" where there is none.
func (e *env) plain(t testing.TB, name string) (text string, version int64, kind types.ParameterType) {
	t.Helper()
	out, err := e.parameters().GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name, WithDecryption: new(true)})
	if _, missing := errors.AsType[*types.ParameterNotFound](err); missing {
		return "", 0, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return *out.Parameter.Value, out.Parameter.Version, out.Parameter.Type
}

func TestParameterConformance(t *testing.T) {
	for _, b := range backends() {
		t.Run(b.name, func(t *testing.T) {
			shared := b.start(t)
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				e := shared
				if e.server != nil {
					e = b.start(t) // whose faults are for one case only
				}
				name := newParameter()
				f := providertest.TargetFixture{
					Target: e.Parameter(ParameterConfig{Name: name}),
					Read: func() (rota.Credential, bool, error) {
						text, _, _ := e.plain(t, name)
						if text == "" {
							return rota.Credential{}, false, nil
						}
						doc, err := parseDocument(text)
						return rota.NewCredential(doc.texts()), true, err
					},
					Writes: func() int { _, version, _ := e.plain(t, name); return int(version) },
				}
				if e.server != nil {
					f.Inject = injector(e, map[string]string{"deliver": "PutParameter"})
				}
				return f
			})
		})
	}
}

func TestAParameterHoldsOneFieldOrATemplate(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		for name, c := range map[string]struct {
			cfg  ParameterConfig
			want string
			kind types.ParameterType
		}{
			"a field":        {ParameterConfig{Value: fields(t, map[string]string{"x": "access_key_id"}), Type: "String"}, "AKIA0000000000000001", types.ParameterTypeString},
			"a template":     {ParameterConfig{Value: fields(t, map[string]string{"x": "id={access_key_id}"}), Tier: "Advanced"}, "id=AKIA0000000000000001", types.ParameterTypeSecureString},
			"named in JSON":  {ParameterConfig{Fields: fields(t, map[string]string{"id": "access_key_id"})}, `{"id":"AKIA0000000000000001"}`, types.ParameterTypeSecureString},
			"whole and JSON": {ParameterConfig{}, `{"access_key_id":"AKIA0000000000000001","secret_access_key":"` + key(1).Field(rota.FieldSecretAccessKey) + `"}`, types.ParameterTypeSecureString},
		} {
			t.Run(name, func(t *testing.T) {
				c.cfg.Name = newParameter()
				if err := e.Parameter(c.cfg).Deliver(t.Context(), rota.DeliverRequest{Secret: "s", Credential: key(1)}); err != nil {
					t.Fatal(err)
				}
				if text, _, kind := e.plain(t, c.cfg.Name); text != c.want || kind != c.kind {
					t.Errorf("it is a %s with %d bytes, want a %s with %d", kind, len(text), c.kind, len(c.want))
				}
			})
		}
	})
}

func TestWhatAParameterCantHoldIsRefusedBeforeAnyCall(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	long := rota.NewCredential(map[string]string{"password": strings.Repeat("x", 5000)})
	for name, c := range map[string]struct {
		cfg        ParameterConfig
		credential rota.Credential
		want       string
	}{
		"too long for Standard":   {ParameterConfig{}, long, "tier: Advanced"},
		"too long for Advanced":   {ParameterConfig{Tier: "Advanced"}, rota.NewCredential(map[string]string{"password": strings.Repeat("x", 9000)}), "several parameters"},
		"a field that is missing": {ParameterConfig{Value: fields(t, map[string]string{"x": "token"})}, key(1), "correct the target's fields"},
		"an empty field":          {ParameterConfig{Value: fields(t, map[string]string{"x": "token"})}, rota.NewCredential(map[string]string{"token": ""}), "correct the target's fields"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Name = newParameter()
			err := e.Parameter(c.cfg).Deliver(t.Context(), rota.DeliverRequest{Credential: c.credential})
			if refused, ok := errors.AsType[*rota.Error](err); !ok || refused.Class != rota.ClassStop || !strings.Contains(rota.Hint(refused.Remedies), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if calls := e.actions(); calls != "" {
		t.Errorf("called: %s", calls)
	}
	if err := e.Parameter(ParameterConfig{Name: newParameter(), Tier: "Advanced"}).Deliver(t.Context(), rota.DeliverRequest{Credential: long}); err != nil {
		t.Errorf("an advanced one takes 5000 bytes: %v", err)
	}
}

func TestAParameterThatSomebodyElseWritesIsNoticed(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	name := newParameter()
	var puts atomic.Int64
	e.server.SetFaults(func(c awstest.Call) awstest.Fault {
		if c.Action != "GetParameter" || puts.Add(1) != 2 {
			return awstest.Fault{}
		}
		return awstest.Fault{Stale: true} // the first one is the look before the write
	})
	err := e.Parameter(ParameterConfig{Name: name}).Deliver(t.Context(), rota.DeliverRequest{Credential: key(1)})
	if rota.ClassOf(err) != rota.ClassWait || !strings.Contains(err.Error(), "does not hold what was written") {
		t.Errorf("got %v", err)
	}
}

func TestPreflightOfAParameter(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	name := newParameter()
	of := func(c *Connection, kind string) rota.Finding {
		return finding(t, c.Parameter(ParameterConfig{Name: name, Type: kind}).(rota.Preflighter).Preflight(t.Context()), "parameter "+name)
	}
	if f := of(e.Connection, ""); !f.OK || !strings.Contains(f.Detail, "does not exist yet") {
		t.Errorf("before: %+v", f)
	}
	if err := e.Parameter(ParameterConfig{Name: name}).Deliver(t.Context(), rota.DeliverRequest{Credential: key(1)}); err != nil {
		t.Fatal(err)
	}
	if f := of(e.Connection, ""); !f.OK || !strings.Contains(f.Detail, "version 1") {
		t.Errorf("after: %+v", f)
	}
	if f := of(e.Connection, "String"); !f.Warning || !strings.Contains(rota.Hint(f.Remedies), "SecureString") {
		t.Errorf("of another type: %+v", f)
	}
	poor := e.connect(t, Config{AccessKeyID: e.id, SecretAccessKey: e.secret, RoleARN: e.server.CreateRole("poor", "ssm:PutParameter")})
	if f := of(poor, ""); f.OK || f.Warning || !strings.Contains(rota.Hint(f.Remedies), "ssm:GetParameter") {
		t.Errorf("without the right to read it back: %+v", f)
	}
}

func TestParameterNames(t *testing.T) {
	for name, good := range map[string]bool{
		"/prod/app/db": true, "plain": true, "/a.b-c_d": true,
		"prod/app": false, "/prod//app": false, "/prod/": false, "/aws/x": false, "ssmx": false, "/a b": false, "": false,
		"/" + strings.Repeat("x", 1011): false, strings.Repeat("/x", 16): false,
	} {
		if err := ValidateParameterName(name); (err == nil) != good {
			t.Errorf("%.40q: %v", name, err)
		}
	}
}
