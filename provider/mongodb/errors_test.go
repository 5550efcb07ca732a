package mongodb

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
)

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	good := admin(t, s)
	name := app(t, s)
	cred := rotate(t, one(t, connect(t, good), name))
	changed := func(change func(*Config)) *single {
		cfg := good
		change(&cfg)
		return one(t, connect(t, cfg), name)
	}
	// For what never answers, it's not waited long.
	unreached := func(change func(*Config)) *single {
		return changed(func(cfg *Config) { cfg.Timeout = time.Second; change(cfg) })
	}
	set := func(ctx context.Context, u *single) error {
		return u.Set(ctx, rota.SetRequest{Credential: cred})
	}
	hang, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hang.Close() })
	t.Run("a wrong password", func(t *testing.T) {
		u := changed(func(cfg *Config) { cfg.Password = "wr0ng-canary" })
		wantError(t, set(t.Context(), u), rota.ClassStop, nil, "Authentication failed (error 18)", "username, password, auth_source")
		if f := testenv.FindingOf(t, u, "log in to"); f.OK || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("a mechanism that the user doesn't have", func(t *testing.T) {
		do(t, s, "admin", bson.D{{Key: "createUser", Value: "older"}, {Key: "pwd", Value: adminPassword}, {Key: "mechanisms", Value: bson.A{"SCRAM-SHA-1"}}, {Key: "roles", Value: bson.A{}}})
		u := changed(func(cfg *Config) { cfg.Username, cfg.AuthMechanism = "older", "SCRAM-SHA-256" })
		wantError(t, set(t.Context(), u), rota.ClassStop, nil, "(error 334)", "auth_mechanism of connection db")
	})
	t.Run("no permission", func(t *testing.T) {
		do(t, s, "admin", bson.D{{Key: "createUser", Value: "viewer"}, {Key: "pwd", Value: adminPassword}, {Key: "roles", Value: bson.A{}}})
		u := changed(func(cfg *Config) { cfg.Username = "viewer" })
		wantError(t, set(t.Context(), u), rota.ClassStop, nil, "not authorized", "rota policy mongodb")
		for _, check := range []string{"may viewUser", "may changePassword", "find user"} {
			if f := testenv.FindingOf(t, u, check); f.OK || f.Warning || len(f.Remedies) == 0 {
				t.Errorf("check says %+v", f)
			}
		}
	})
	t.Run("no server", func(t *testing.T) {
		u := unreached(func(cfg *Config) { cfg.Hosts = []string{"127.0.0.1:1"} })
		wantError(t, set(t.Context(), u), rota.ClassWait, nil, "refused", "check hosts")
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, nil, "refused", "check hosts")
	})
	t.Run("no such name", func(t *testing.T) {
		u := unreached(func(cfg *Config) { cfg.Hosts = []string{"nowhere.invalid"} })
		wantError(t, set(t.Context(), u), rota.ClassWait, nil, "nowhere.invalid", "DNS")
		u = unreached(func(cfg *Config) { cfg.Hosts, cfg.SRV = nil, "nowhere.invalid" })
		wantError(t, set(t.Context(), u), rota.ClassWait, nil, "seed list nowhere.invalid", "srv of connection db")
	})
	t.Run("a server that hangs", func(t *testing.T) {
		u := unreached(func(cfg *Config) { cfg.Hosts = []string{hang.Addr().String()} })
		wantError(t, set(testenv.Soon(t, 100*time.Millisecond), u), rota.ClassWait, context.DeadlineExceeded, "no response in time", "hosts")
		wantError(t, u.Test(testenv.Soon(t, 100*time.Millisecond), rota.TestRequest{Credential: cred}), rota.ClassWait, context.DeadlineExceeded, "no response in time")
		wantError(t, set(t.Context(), u), rota.ClassWait, context.DeadlineExceeded, "no response in time", "timeout")
	})
	t.Run("not MongoDB", func(t *testing.T) {
		other := httptest.NewServer(http.NotFoundHandler())
		defer other.Close()
		u := unreached(func(cfg *Config) { cfg.Hosts = []string{strings.TrimPrefix(other.URL, "http://")} })
		wantError(t, set(t.Context(), u), rota.ClassWait, nil, "no response in time", "check that hosts lead to it")
	})
	t.Run("another replica set", func(t *testing.T) {
		u := unreached(func(cfg *Config) { cfg.ReplicaSet = "rs9" })
		wantError(t, set(t.Context(), u), rota.ClassWait, nil, "the primary", "replica_set of connection db")
	})
	t.Run("an empty password", func(t *testing.T) {
		u := one(t, connect(t, good), name)
		empty := testenv.With(cred, rota.FieldPassword, "")
		wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: empty}), rota.ClassRegenerate, nil)
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: empty}), rota.ClassStop, nil)
	})
	t.Run("names", func(t *testing.T) {
		c := connect(t, good)
		for _, bad := range []PasswordConfig{{}, {User: "rota"}, {User: "app", AuthSource: "$external"}, {User: "app", AuthSource: "local"}, {User: "a\x00b"}} {
			if _, err := c.Password(bad); err == nil {
				t.Errorf("%+v is taken", bad)
			}
		}
		if _, err := c.Password(PasswordConfig{User: "rota", AuthSource: "shop"}); err != nil {
			t.Error(err)
		}
		if _, err := c.Alternating(AlternatingConfig{Users: [2]string{"a", "a"}}); err == nil {
			t.Error("one user is a pair")
		}
	})
}

func TestWhatTheServerAnswersIsNamed(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	u := one(t, connect(t, admin(t, s)), app(t, s))
	// A message ends in a period, and so may a password that it repeats.
	cred := rotate(t, u)
	cred = testenv.With(cred, rota.FieldPassword, cred.Field(rota.FieldPassword)+".")
	fail := func(code int32, name, text string) bson.D {
		return bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: name}}
	}
	for name, test := range map[string]struct {
		answer bson.D
		class  rota.Class
		words  []string
	}{
		"Atlas":                     {fail(8000, "AtlasError", "not allowed to do action [updateUser] on [admin.]"), rota.ClassStop, []string{"error 8000", "Administration API"}},
		"not the primary":           {fail(10107, "NotWritablePrimary", "not primary"), rota.ClassWait, []string{"election"}},
		"a majority that's missing": {fail(100, "UnsatisfiableWriteConcern", "Not enough data-bearing nodes"), rota.ClassWait, nil},
		"a majority that lags": {bson.D{{Key: "ok", Value: 1.0}, {Key: "writeConcernError", Value: bson.D{{Key: "code", Value: int32(64)}, {Key: "codeName", Value: "WriteConcernFailed"}, {Key: "errmsg", Value: "waiting for replication timed out"}}}},
			rota.ClassWait, []string{"it's set on the primary", "hasn't confirmed it", "rs.status()"}},
		"a majority that can't be": {bson.D{{Key: "ok", Value: 1.0}, {Key: "writeConcernError", Value: bson.D{{Key: "code", Value: int32(100)}, {Key: "errmsg", Value: "Not enough data-bearing nodes"}}}},
			rota.ClassStop, []string{"it's set on the primary", "enough members"}},
		"an old server":       {fail(59, "CommandNotFound", "no such command: 'updateUser'"), rota.ClassStop, []string{"MongoDB 4.4"}},
		"a repeated password": {fail(2, "BadValue", "bad "+cred.Field(rota.FieldPassword)), rota.ClassStop, []string{"bad [redacted]"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.Fail("updateUser", test.answer)
			err := u.Set(t.Context(), rota.SetRequest{Credential: cred})
			wantError(t, err, test.class, nil, test.words...)
			if err != nil && strings.Contains(err.Error(), cred.Field(rota.FieldPassword)) {
				t.Error("the error has the password")
			}
		})
	}
	t.Run("Atlas's refusal of a login", func(t *testing.T) {
		s.Fail("saslStart", fail(8000, "AtlasError", "bad auth : authentication failed"))
		wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, rota.ErrRefused, "bad auth")
	})
}

func TestAServerWithoutAccessControlIsNoticed(t *testing.T) {
	s := standIn(t, mongodbtest.Options{Open: true})
	u := one(t, connect(t, admin(t, s)), app(t, s))
	if f := testenv.FindingOf(t, u, "access control"); f.OK || !f.Warning || len(f.Remedies) == 0 {
		t.Errorf("check says %+v", f)
	}
	if f := testenv.FindingOf(t, u, "for its password"); !f.OK {
		t.Errorf("check says %+v", f)
	}
}

func TestAUserWithoutAPasswordIsNotGivenOne(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	u := one(t, connect(t, admin(t, s)), "app")
	do(t, s, "admin", bson.D{{Key: "createUser", Value: "app"}, {Key: "pwd", Value: "x-canary"}, {Key: "mechanisms", Value: bson.A{}}, {Key: "roles", Value: bson.A{}}})
	c, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: c}), rota.ClassStop, nil, "no SCRAM credentials", "SCRAM-SHA-256")
	if f := testenv.FindingOf(t, u, "find user"); f.OK || len(f.Remedies) == 0 {
		t.Errorf("check says %+v", f)
	}
}

func TestSettings(t *testing.T) {
	no := false
	for name, bad := range map[string]Config{
		"nothing":                  {},
		"hosts and srv":            {Hosts: []string{"db1"}, SRV: "db", Username: "rota"},
		"a URI":                    {Hosts: []string{"mongodb://rota:canary@db1"}, Username: "rota"},
		"a URI as a seed list":     {SRV: "mongodb+srv://rota:canary@db", Username: "rota"},
		"no user":                  {Hosts: []string{"db1"}},
		"another mechanism":        {Hosts: []string{"db1"}, Username: "rota", AuthMechanism: "PLAIN"},
		"X.509":                    {Hosts: []string{"db1"}, Username: "rota", AuthSource: "$external"},
		"two hosts asked directly": {Hosts: []string{"db1", "db2"}, Username: "rota", Direct: true},
		"a network without TLS":    {Hosts: []string{"localhost", "db1"}, Username: "rota", TLS: &no},
		"a seed list without TLS":  {SRV: "db", Username: "rota", TLS: &no},
		"a negative timeout":       {Hosts: []string{"db1"}, Username: "rota", Timeout: -1},
		"no such authority":        {Hosts: []string{"db1"}, Username: "rota", Certificates: provider.Certificates{CA: "/nowhere"}},
	} {
		_, err := New("db", bad)
		if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "mongodb db: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if (Config{Hosts: []string{"127.0.0.1", "[::1]:27018"}}).encrypted() || !(Config{Hosts: []string{"localhost", "db1"}}).encrypted() || !(Config{SRV: "db"}).encrypted() {
		t.Error("TLS is used where it isn't needed, or isn't where it is")
	}
}

// A replica set names its members itself: none on another machine gets anything
// without TLS.
func TestNothingLeavesTheMachineWithoutTLS(t *testing.T) {
	_, err := nearby{}.DialContext(t.Context(), "tcp", "192.0.2.7:27017")
	if err != errPlain {
		t.Errorf("it dials: %v", err)
	}
	c := connect(t, Config{Hosts: []string{"localhost"}, Username: "rota"})
	wantError(t, c.failed(t.Context(), "set", errPlain, nil), rota.ClassStop, nil, "on another machine", "tls: true")
}

func TestCommandsOfChecksOnlyRead(t *testing.T) {
	for text, good := range map[string]bool{
		`{"count": "orders"}`: true, `{"find": "orders", "limit": 1}`: true, `{"ping": 1}`: true, `{"aggregate": "orders", "pipeline": [], "cursor": {}}`: true,
		`{"aggregate": "orders", "pipeline": [{"$group": {"_id": "$outcome", "all": {"$mergeObjects": "$output"}}}], "cursor": {}}`:                    true,
		`{"aggregate": "orders", "pipeline": [{"$facet": {"a": [{"$unionWith": {"coll": "b", "pipeline": [{"\u0024out": "copy"}]}}]}}], "cursor": {}}`: false,
		"": false, "ping": false, "{}": false, `{"drop": "orders"}`: false, `{"insert": "orders"}`: false,
		`{"aggregate": "orders", "pipeline": [{"$out": "copy"}], "cursor": {}}`: false, `{"aggregate": "orders", "pipeline": [{"$merge": {"into": "copy"}}], "cursor": {}}`: false,
	} {
		if _, err := parseCommand(text); (err == nil) != good || err != nil && rota.RemediesOf(err) == nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheServersCertificateIsChecked(t *testing.T) {
	cert, key, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := testenv.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	yes := true
	for name, server := range map[string]func(t *testing.T) (Config, *single){
		"the stand-in": func(t *testing.T) (Config, *single) {
			s := standIn(t, mongodbtest.Options{TLS: &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}})
			do(t, s, "admin", bson.D{{Key: "createUser", Value: "root"}, {Key: "pwd", Value: adminPassword}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "root"}, {Key: "db", Value: "admin"}}}}})
			cfg := Config{Hosts: []string{s.Addr}, Username: "root", Password: adminPassword}
			return cfg, one(t, connect(t, Config{Hosts: cfg.Hosts, Username: "root", Password: adminPassword, TLS: &yes, Certificates: provider.Certificates{CA: cert}}), app(t, s))
		},
		"FerretDB": func(t *testing.T) (Config, *single) {
			s := testenv.FerretDB(t, testenv.FerretDBOptions{CertFile: cert, KeyFile: key})
			s.Do(t, "admin", bson.D{{Key: "createUser", Value: "app"}, {Key: "pwd", Value: "nobody-knows-this"}, {Key: "roles", Value: bson.A{}}})
			cfg := Config{Hosts: []string{s.Addr}, Username: testenv.FerretDBUser, Password: testenv.FerretDBPassword}
			return cfg, one(t, connect(t, Config{Hosts: cfg.Hosts, Username: cfg.Username, Password: cfg.Password, TLS: &yes, Certificates: provider.Certificates{CA: cert}}), "app")
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, u := server(t)
			cred := rotate(t, u)
			cfg.TLS, cfg.Timeout = &yes, time.Second
			for _, test := range []struct{ name, host, ca, refused string }{
				{"another authority", "127.0.0.1", other, "certificate"},
				{"the system's authorities", "127.0.0.1", "", "unknown authority"},
				{"a host that the certificate isn't for", "localhost", cert, "localhost"},
			} {
				t.Run(test.name, func(t *testing.T) {
					cfg := cfg
					cfg.Certificates.CA = test.ca
					cfg.Hosts = []string{strings.Replace(cfg.Hosts[0], "127.0.0.1", test.host, 1)}
					u := one(t, connect(t, cfg), u.names[0])
					wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: cred}), rota.ClassStop, nil, test.refused, "tls_ca")
					wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, test.refused, "tls_ca")
				})
			}
		})
	}
	t.Run("a server without TLS", func(t *testing.T) {
		s := standIn(t, mongodbtest.Options{})
		cfg := admin(t, s)
		cfg.TLS, cfg.Timeout = &yes, time.Second
		u := one(t, connect(t, cfg), app(t, s))
		c, err := u.Create(t.Context(), rota.CreateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: c}), rota.ClassWait, nil, "tls")
	})
}
