package mongodb

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/mongodb/mongodbtest"
)

func TestOneUsersPasswordIsReplaced(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	u := one(t, connect(t, admin(t, s)), app(t, s, "SCRAM-SHA-256"))
	old := rotate(t, u)
	open := consumer(t, s.Addr, old)
	if err := asks(t, open); err != nil {
		t.Fatal(err)
	}
	next := rotate(t, u)
	if logsIn(t, s, old) || !logsIn(t, s, next) {
		t.Error("the old password logs in, or the new one doesn't")
	}
	if err := asks(t, open); err != nil {
		t.Errorf("a client that was logged in no longer is: %v", err)
	}
	wantError(t, u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.names[0]}), rota.ClassStop, rota.ErrConflict, "only password")
	kept := s.User("admin", u.names[0])
	if diff := cmp.Diff([]string{"SCRAM-SHA-256"}, kept.Mechanisms()); diff != "" {
		t.Errorf("the mechanisms changed:\n%s", diff)
	}
	if len(kept.Roles) != 1 || len(kept.Restrictions) != 1 || len(kept.CustomData) != 1 {
		t.Errorf("the user is now %+v", kept)
	}
}

func TestAPairTakesTurns(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
	first := rotate(t, a)
	second := rotate(t, a, a.CredentialID(first))
	if !logsIn(t, s, first) || !logsIn(t, s, second) {
		t.Fatal("one of the two doesn't log in")
	}
	before := s.User("admin", a.CredentialID(first))
	open := consumer(t, s.Addr, first)
	if err := asks(t, open); err != nil {
		t.Fatal(err)
	}
	retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
	state := func(want bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		inForce, known, err := a.InForce(t.Context(), first)
		if logsIn(t, s, first) != want || inForce != want || !known || err != nil {
			t.Errorf("in force %t, known %t (%v), want %t", inForce, known, err, want)
		}
	}
	state(false, a.Deactivate(t.Context(), retire))
	if err := asks(t, open); code(err) != codeUnauthorized {
		t.Errorf("a client that was logged in as a deactivated user gets %v", err)
	}
	if f := testenv.FindingOf(t, a, "same rights"); !f.OK {
		t.Errorf("a deactivated user's own restrictions don't count: %+v", f)
	}
	state(true, a.Reactivate(t.Context(), retire))
	if diff := cmp.Diff(before, s.User("admin", a.CredentialID(first))); diff != "" {
		t.Errorf("a user that's active again has changed:\n%s", diff)
	}
	state(false, a.Deactivate(t.Context(), retire))
	state(false, a.Delete(t.Context(), retire))
	third := rotate(t, a, a.CredentialID(second))
	if a.CredentialID(third) != a.CredentialID(first) {
		t.Error("the freed user isn't the next one")
	}
	if !logsIn(t, s, third) || !logsIn(t, s, second) {
		t.Error("one of the two doesn't log in")
	}
	after := s.User("admin", a.CredentialID(first))
	if after.Credentials = before.Credentials; !cmp.Equal(before, after) {
		t.Errorf("the user has changed:\n%s", cmp.Diff(before, after))
	}
}

// A user of a pair is chosen while it's free. One that's switched off by the time of the
// set was switched off since, and stays so.
func TestASetEndsNoDeactivation(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
	first := rotate(t, a)
	retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
	if err := a.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	before := s.User("admin", a.CredentialID(first))
	wantError(t, a.Set(t.Context(), rota.SetRequest{Credential: first}), rota.ClassStop, nil, "switched off meanwhile", "db.updateUser")
	if diff := cmp.Diff(before, s.User("admin", a.CredentialID(first))); diff != "" {
		t.Errorf("the user has changed:\n%s", diff)
	}
	if err := a.Reactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if err := a.Set(t.Context(), rota.SetRequest{Credential: first}); err != nil || !logsIn(t, s, first) {
		t.Errorf("once it's switched on: %v", err)
	}
}

func TestNoUserIsMade(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	u := one(t, connect(t, admin(t, s)), "nobody at all")
	c, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: c}), rota.ClassStop, rota.ErrNotFound, "db.createUser")
	if f := testenv.FindingOf(t, u, "find user"); f.OK || len(f.Remedies) == 0 {
		t.Errorf("check says %+v", f)
	}
	if _, known, err := u.InForce(t.Context(), c); known || err != nil {
		t.Errorf("known %t, %v", known, err)
	}
	if s.User("admin", "nobody at all") != nil {
		t.Error("the user was made")
	}
}

func TestConnectionsAreUse(t *testing.T) {
	for name, o := range map[string]mongodbtest.Options{"alone": {}, "in a replica set": {ReplicaSet: "rs0"}} {
		t.Run(name, func(t *testing.T) {
			s := standIn(t, o)
			u := one(t, connect(t, admin(t, s)), app(t, s))
			c := rotate(t, u)
			client := consumer(t, s.Addr, c)
			if err := asks(t, client); err != nil {
				t.Fatal(err)
			}
			until := func(detail string) {
				t.Helper()
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
					used, err := u.LastUsed(t.Context(), u.names[0])
					if err != nil {
						t.Fatal(err)
					}
					if used.Evidence == rota.EvidenceSampled && used.Detail == detail && used.At.IsZero() == (detail == "") {
						return
					}
					if time.Now().After(deadline) {
						t.Fatalf("got %+v, want %q", used, detail)
					}
				}
			}
			until("connections: 1 from 127.0.0.1 (shop)") // Rota's own login has ended
			if err := client.Disconnect(t.Context()); err != nil {
				t.Fatal(err)
			}
			until("")
		})
	}
}

func TestWhatCannotBeSeenIsNoProofOfDisuse(t *testing.T) {
	t.Run("a member that's down", func(t *testing.T) {
		down := standIn(t, mongodbtest.Options{})
		down.Close()
		s := standIn(t, mongodbtest.Options{ReplicaSet: "rs0", Others: []string{down.Addr}})
		cfg := admin(t, s)
		cfg.Timeout = 300 * time.Millisecond
		u := one(t, connect(t, cfg), app(t, s))
		_, err := u.LastUsed(t.Context(), u.names[0])
		wantError(t, err, rota.ClassWait, nil, "on member "+down.Addr, "hosts")
		if f := testenv.FindingOf(t, u, "see connections"); f.OK || !f.Warning || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("a mongos", func(t *testing.T) {
		s := standIn(t, mongodbtest.Options{Mongos: true})
		u := one(t, connect(t, admin(t, s)), app(t, s))
		used, err := u.LastUsed(t.Context(), u.names[0])
		if err != nil || used.Evidence != rota.EvidenceUnknown || len(used.Remedies) == 0 {
			t.Errorf("got %+v, %v", used, err)
		}
		if f := testenv.FindingOf(t, u, "see connections"); f.OK || !f.Warning || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	})
	t.Run("a user that may not look", func(t *testing.T) {
		s := standIn(t, mongodbtest.Options{})
		cfg := admin(t, s)
		u := one(t, connect(t, cfg), app(t, s))
		none := ""
		db := "admin"
		do(t, s, "admin", bson.D{{Key: "createRole", Value: "rota_db"}, {Key: "roles", Value: bson.A{}}, {Key: "privileges", Value: []mongodbtest.Privilege{
			{Resource: mongodbtest.Resource{DB: &db, Collection: &none}, Actions: []string{"viewUser", "changePassword"}}}}})
		_, err := u.LastUsed(t.Context(), u.names[0])
		wantError(t, err, rota.ClassStop, nil, "not authorized", "rota policy mongodb")
		for _, check := range []string{"see connections", "may inprog"} {
			if f := testenv.FindingOf(t, u, check); f.OK || !f.Warning || len(f.Remedies) == 0 {
				t.Errorf("check says %+v", f)
			}
		}
	})
}

func TestWhatTheOtherUserHasIsMissed(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	cfg := admin(t, s)
	for name, change := range map[string]struct {
		field bson.E // of the first of the pair
		lacks string
	}{
		"a role":        {bson.E{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "shop"}}, bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "stock"}}}}, "role read in stock"},
		"custom data":   {bson.E{Key: "customData", Value: bson.D{{Key: "team", Value: "shop-canary"}, {Key: "rota", Value: "free"}}}, "customData team"},
		"a restriction": {bson.E{Key: "authenticationRestrictions", Value: bson.A{bson.D{{Key: "clientSource", Value: bson.A{"127.0.0.1"}}}}}, "logins from 127.0.0.1 to anywhere"},
		"none at all":   {bson.E{Key: "authenticationRestrictions", Value: bson.A{}}, "no authentication restriction"},
	} {
		t.Run(name, func(t *testing.T) {
			a := pair(t, connect(t, cfg), app(t, s), app(t, s))
			if f := testenv.FindingOf(t, a, "same rights"); !f.OK {
				t.Fatalf("at first: %+v", f)
			}
			do(t, s, "admin", bson.D{{Key: "updateUser", Value: a.names[0]}, change.field})
			if f := testenv.FindingOf(t, a, "same rights"); f.OK || !strings.Contains(f.Detail, change.lacks) || strings.Contains(f.Detail, "canary") || len(f.Remedies) == 0 {
				t.Errorf("check says %+v", f)
			}
			c, err := a.Create(t.Context(), rota.CreateRequest{Taken: a.names[:1]})
			if err == nil {
				err = a.Set(t.Context(), rota.SetRequest{Credential: c})
			}
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, a.Test(t.Context(), rota.TestRequest{Credential: c}), rota.ClassStop, nil, change.lacks, "same roles")
		})
	}
	t.Run("a mechanism", func(t *testing.T) {
		a := pair(t, connect(t, cfg), app(t, s), app(t, s, "SCRAM-SHA-256"))
		if f := testenv.FindingOf(t, a, "same rights"); f.OK || !strings.Contains(f.Detail, "mechanism SCRAM-SHA-1") {
			t.Errorf("check says %+v", f)
		}
	})
}

func TestAPairThatSomebodyUsesIsLeftAlone(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
	if f := testenv.FindingOf(t, a, "is free"); !f.OK {
		t.Errorf("check says %+v", f)
	}
	for _, name := range a.names {
		do(t, s, "admin", bson.D{{Key: "updateUser", Value: name}, {Key: "customData", Value: bson.D{{Key: "rota", Value: "something else"}}}})
	}
	if f := testenv.FindingOf(t, a, "is free"); f.OK || !f.Warning || !strings.Contains(f.Remedies[0].String(), `rota: "free"`) {
		t.Errorf("check says %+v", f)
	}
	issued, err := a.List(t.Context())
	if err != nil || len(issued) != 2 {
		t.Errorf("%+v, %v", issued, err)
	}
}

func TestADeploymentIsTheSameByAllItsNames(t *testing.T) {
	for name, o := range map[string]mongodbtest.Options{"a server": {}, "a replica set": {ReplicaSet: "rs0"}} {
		t.Run(name, func(t *testing.T) {
			s := standIn(t, o)
			cfg := admin(t, s)
			here, err := connect(t, cfg).Identity(t.Context())
			if err != nil || here == "" {
				t.Fatal(here, err)
			}
			cfg.Hosts = []string{strings.Replace(s.Addr, "127.0.0.1", "localhost", 1)}
			if again, err := connect(t, cfg).Identity(t.Context()); err != nil || again != here {
				t.Errorf("%q and %q (%v)", here, again, err)
			}
			if other, err := connect(t, admin(t, standIn(t, o))).Identity(t.Context()); err != nil || other == here {
				t.Errorf("another one is %q, too (%v)", other, err)
			}
		})
	}
	t.Run("a sharded cluster that Rota may not read", func(t *testing.T) {
		s := standIn(t, mongodbtest.Options{Mongos: true})
		c := connect(t, admin(t, s))
		_, err := c.Identity(t.Context())
		wantError(t, err, rota.ClassStop, nil, "not authorized")
		do(t, s, "admin", bson.D{{Key: "grantRolesToUser", Value: "rota"}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "config"}}}}})
		if id, err := c.Identity(t.Context()); err != nil || !strings.HasPrefix(id, "cluster") {
			t.Errorf("%q, %v", id, err)
		}
	})
}

func TestValuesAreInOneCommandOnly(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	cfg := admin(t, s)
	c, p := through(t, cfg)
	u := one(t, c, app(t, s))
	cred := rotate(t, u)
	heard := p.heard()
	if n := strings.Count(heard, cred.Field(rota.FieldPassword)); n != 1 {
		t.Errorf("the password was sent %d times", n)
	}
	if strings.Contains(heard, adminPassword) {
		t.Error("Rota's own password was sent")
	}
	if !slices.Contains(s.Sent(), "saslContinue") {
		t.Error("nobody logged in")
	}
}

// A field of that name in customData that isn't Rota's note is somebody else's.
func TestAnotherNoteIsNotWrittenOver(t *testing.T) {
	s := standIn(t, mongodbtest.Options{})
	a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
	first := rotate(t, a)
	do(t, s, "admin", bson.D{{Key: "updateUser", Value: a.names[0]}, {Key: "customData", Value: bson.D{{Key: "rota", Value: bson.D{{Key: "shift", Value: "night"}}}}}})
	if f := testenv.FindingOf(t, a, "find user "+a.at(a.names[0])); f.OK || !strings.Contains(f.Detail, "customData.rota") {
		t.Errorf("check says %+v", f)
	}
	retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
	wantError(t, a.Deactivate(t.Context(), retire), rota.ClassStop, nil, "customData.rota", "another name")
	if kept := s.User("admin", a.names[0]); len(kept.CustomData) != 1 || len(kept.Restrictions) != 1 || !logsIn(t, s, first) {
		t.Errorf("the user is now %+v", kept)
	}
}
