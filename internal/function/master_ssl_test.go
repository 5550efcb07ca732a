package function

import (
	"testing"

	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/postgres"
)

// An app's secret that turns TLS off does so for the app's own login only.
func TestTheAppsSecretDoesNotTurnTLSOffForTheMaster(t *testing.T) {
	s, err := awstest.New(awstest.Options{Account: "111122223333", Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	id, secret := s.RootCredentials()
	c, err := aws.New(t.Context(), "function", aws.Config{Region: s.Region(), Endpoint: s.URL(), AccessKeyID: id, SecretAccessKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"app":    `{"host":"db.example.org","username":"app","ssl":"false"}`,
		"master": `{"host":"db.example.org","username":"master","password":"p"}`,
		"no-tls": `{"host":"db.example.org","username":"master","password":"p","ssl":"false"}`,
	} {
		if _, _, err := s.CreateSecret(name, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ master, setting, app, want string }{
		{"master", "", "disable", ""}, // verify-full: see [postgres.Config]
		{"no-tls", "", "disable", "disable"},
		{"no-tls", "verify-ca", "verify-ca", "verify-ca"},
	} {
		inv := &invocation{Handler: &Handler{settings: settings{sslMode: test.setting}}, aws: c}
		entry, err := c.Entry(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		var cfg postgres.Config
		if cfg, err = inv.connectionConfig(entry); err != nil || cfg.SSLMode != test.app {
			t.Errorf("the app logs in with %q: %v", cfg.SSLMode, err)
		}
		if err := inv.loginAsMaster(t.Context(), "app", &cfg, test.master); err != nil || cfg.SSLMode != test.want || cfg.Username != "master" {
			t.Errorf("%s, %q: %q as %q, %v", test.master, test.setting, cfg.SSLMode, cfg.Username, err)
		}
	}
}
