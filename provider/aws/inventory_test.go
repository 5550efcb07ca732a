package aws

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

// crowd makes so many users, each with a key, every third with a second one
// that is inactive.
func crowd(t *testing.T, e *env, users int) (ids map[string][]string) {
	t.Helper()
	ids = map[string][]string{}
	for range users {
		k := e.issuer(t)
		for n := range 1 + len(ids)%3/2 {
			c := create(t, k)
			id := k.CredentialID(c)
			ids[k.user] = append(ids[k.user], id)
			if n == 1 {
				must(t)(e.admin.UpdateAccessKey(t.Context(), &iam.UpdateAccessKeyInput{UserName: &k.user, AccessKeyId: &id, Status: types.StatusTypeInactive}))
			}
		}
	}
	return ids
}

func idsOf(keys []UserKey) map[string][]string {
	ids := map[string][]string{}
	for _, k := range keys {
		ids[k.User] = append(ids[k.User], k.ID)
	}
	return ids
}

func TestInventoryListsEveryKey(t *testing.T) {
	for _, users := range []int{3, reportFrom + 5} {
		t.Run(fmt.Sprint(users, " users"), func(t *testing.T) {
			onEach(t, func(t *testing.T, e *env) {
				want := crowd(t, e, users)
				inv, err := e.Inventory(t.Context())
				if err != nil || len(inv.Problems) > 0 {
					t.Fatal(err, inv.Problems)
				}
				got := idsOf(inv.Keys)
				delete(got, "admin") // moto's administrator
				if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
					t.Error(diff)
				}
				for _, k := range inv.Keys {
					if !k.UseKnown {
						t.Errorf("the use of %s is not known", k.ID)
					}
				}
				if reported := !inv.ReportAt.IsZero(); reported != (users > reportFrom) {
					t.Errorf("a report was used: %t", reported)
				}
			})
		})
	}
}

func TestReportSavesCalls(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	e := startAWSTest(t, awstest.Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	var last string
	for i := range reportFrom {
		user := fmt.Sprintf("user-%02d", i)
		e.server.CreateUser(user)
		if i%2 == 0 {
			id, _, err := e.server.CreateAccessKey(user)
			if err != nil {
				t.Fatal(err)
			}
			e.server.SetLastUsed(id, now.Add(-time.Hour), "s3", region)
			last = id
		} else {
			e.server.SetConsole(user, i%4 == 1)
		}
	}
	e.server.ResetCalls()
	inv, err := e.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(e.actions(), "GetAccessKeyLastUsed"); n != 0 {
		t.Errorf("%d keys were asked for", n)
	}
	if n := strings.Count(e.actions(), "ListAccessKeys"); n != reportFrom/2 {
		t.Errorf("%d users were asked for", n)
	}
	if inv.Users != reportFrom || inv.WithoutKeys != reportFrom/2 || inv.ConsoleOnly != reportFrom/4 || inv.RootKeys == nil || *inv.RootKeys {
		t.Errorf("%+v", inv)
	}
	k := inv.Keys[len(inv.Keys)-1]
	if k.ID != last || k.Service != "s3" || k.Region != region || k.UsedAt.IsZero() {
		t.Errorf("%+v", k)
	}
}

// A key that was made, or switched off, after the report is asked for by itself.
func TestKeyThatTheReportDoesNotKnowIsAskedFor(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	crowd(t, e, reportFrom)
	if _, err := e.Inventory(t.Context()); err != nil { // makes the report
		t.Fatal(err)
	}
	late := e.issuer(t)
	id := late.CredentialID(create(t, late))
	e.server.SetLastUsed(id, time.Now().Add(-time.Hour), "sts", region)
	inv, err := e.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range inv.Keys {
		if k.ID == id && k.Service == "sts" {
			return
		}
	}
	t.Errorf("%s and its use are not there: %+v", id, inv.Keys)
}

func TestInventoryGoesOnWithoutWhatIsDenied(t *testing.T) {
	for _, c := range []struct{ denied, problem string }{
		{"GenerateCredentialReport", ""},
		{"GetCredentialReport", ""},
		{"GetAccessKeyLastUsed", "get last use of"},
		{"GetAccountSummary", ""},
	} {
		t.Run(c.denied, func(t *testing.T) {
			e := startAWSTest(t, awstest.Options{})
			users := 2
			if strings.Contains(c.denied, "Report") {
				users = reportFrom
			}
			want := crowd(t, e, users)
			e.onNext(c.denied, 1000, awstest.Fault{FailBefore: "AccessDenied"})
			inv, err := e.Inventory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, idsOf(inv.Keys), cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Error(diff)
			}
			if said := errors.Join(inv.Problems...); (c.problem == "") != (said == nil) || said != nil && !strings.Contains(said.Error(), c.problem) {
				t.Errorf("problems: %v", said)
			}
			for _, k := range inv.Keys {
				if k.UseKnown != (c.denied != "GetAccessKeyLastUsed") {
					t.Errorf("%+v", k)
				}
			}
		})
	}
}

func TestReportIsMadeAnewAfterFourHours(t *testing.T) {
	now := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)
	e := startAWSTest(t, awstest.Options{Now: func() time.Time { return now }})
	if _, err := e.admin.GetCredentialReport(t.Context(), &iam.GetCredentialReportInput{}); codeOf(err) != "ReportNotPresent" {
		t.Errorf("before the first: %v", err)
	}
	for _, c := range []struct{ wait, made time.Duration }{{0, 0}, {3 * time.Hour, 0}, {5 * time.Hour, 5 * time.Hour}} {
		now = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC).Add(c.wait)
		report, err := e.credentialReport(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC).Add(c.made); !report.made.Equal(want) {
			t.Errorf("after %s: made %s, want %s", c.wait, report.made, want)
		}
	}
	now = now.Add(5 * time.Hour)
	if _, err := e.admin.GetCredentialReport(t.Context(), &iam.GetCredentialReportInput{}); codeOf(err) != "ReportExpired" {
		t.Errorf("after four hours: %v", err)
	}
}

func TestInventoryNeedsUsersAndTheirKeys(t *testing.T) {
	for _, denied := range []string{"ListUsers", "ListAccessKeys"} {
		t.Run(denied, func(t *testing.T) {
			e := startAWSTest(t, awstest.Options{})
			crowd(t, e, 2)
			e.onNext(denied, 1000, awstest.Fault{FailBefore: "AccessDenied"})
			_, err := e.Inventory(t.Context())
			refusal(t, err, rota.ClassStop, nil)
		})
	}
}

func TestPolicyOfDiscoverIsEnough(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	want := crowd(t, e, reportFrom)
	e.seed(t, e.store(rota.FieldMap{}), `{"access-id": "`+want[anyUser(want)][0]+`"}`)
	roleARN, key, attach := e.principals(t)
	c := e.connect(t, Config{AccessKeyID: key[0], SecretAccessKey: key[1], RoleARN: roleARN})
	attach(NewPolicy(DiscoverPermissions(c.PlaceIn(e.server.Account()), true), false), NewPolicy(c.CallerPermissions(), false))
	inv, err := c.Inventory(t.Context())
	if err != nil || len(inv.Problems) > 0 {
		t.Error(err, inv.Problems)
	}
	found, problems, err := c.FindKeys(t.Context())
	if err != nil || len(problems) > 0 || len(found) != 1 {
		t.Error(found, problems, err)
	}
}

func anyUser(ids map[string][]string) string {
	for user := range ids {
		return user
	}
	return ""
}

func TestSecretsThatHoldKeysAreFound(t *testing.T) {
	onEach(t, func(t *testing.T, e *env) {
		id, secret := "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
		for name, value := range map[string]string{
			"json":   `{"access-id": "` + id + `", "secret-key": "` + secret + `", "color": "blue"}`,
			"nested": `{"s3": {"id": "` + id + `"}}`,
			"plain":  "AWS_ACCESS_KEY_ID=" + id,
			"two":    `{"id": "` + id + `", "other": "` + secret + `", "the_secret": "` + secret + `"}`,
			"none":   `{"password": "x"}`,
		} {
			must(t)(e.values.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value}))
		}
		for i := range 2 * maxBatch { // more than one page and batch
			name := fmt.Sprintf("more/%d", i)
			must(t)(e.values.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: new("{}")}))
		}
		found, problems, err := e.FindKeys(t.Context())
		if err != nil || len(problems) > 0 {
			t.Fatal(err, problems)
		}
		want := []Holder{
			{KeyID: id, Secret: "json", Region: region, IDField: "access-id", SecretField: "secret-key"},
			{KeyID: id, Secret: "nested", Region: region},
			{KeyID: id, Secret: "plain", Region: region},
			{KeyID: id, Secret: "two", Region: region, IDField: "id", SecretField: "the_secret"},
		}
		if diff := cmp.Diff(want, found, cmpopts.SortSlices(func(a, b Holder) bool { return a.Secret < b.Secret })); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSearchGoesOnWithoutBatches(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	e.seed(t, e.store(rota.FieldMap{}), `{"id": "AKIAIOSFODNN7EXAMPLE"}`)
	e.onNext("BatchGetSecretValue", 1, awstest.Fault{FailBefore: "AccessDeniedException"})
	found, problems, err := e.FindKeys(t.Context())
	if err != nil || len(problems) > 0 || len(found) != 1 {
		t.Error(found, problems, err)
	}
}

func TestSecretsThatCannotBeReadAreTold(t *testing.T) {
	e := startAWSTest(t, awstest.Options{})
	e.seed(t, e.store(rota.FieldMap{}), "{}")
	e.server.SetFaults(func(c awstest.Call) awstest.Fault {
		if strings.HasSuffix(c.Action, "GetSecretValue") {
			return awstest.Fault{FailBefore: "AccessDeniedException"}
		}
		return awstest.Fault{}
	})
	_, problems, err := e.FindKeys(t.Context())
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Error(), "could not be read") {
		t.Error(problems, err)
	}
}

// A key's use is taken from the report only where the report can mean no other
// key.
func TestReportedUseIsNeverThatOfAnotherKey(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var row reportRow
		var keys []rota.Issued
		for i := range rapid.IntRange(0, maxKeys).Draw(t, "keys") {
			at := begin.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "second")) * time.Second)
			active := rapid.Bool().Draw(t, "active")
			keys = append(keys, rota.Issued{ID: fmt.Sprint(i), Active: active, CreatedAt: at})
			row.slots[i] = reportKey{active: active, changed: at, use: keyUse{service: fmt.Sprint(i)}}
		}
		if rapid.Bool().Draw(t, "turned") { // the report's order is not that of the list
			row.slots[0], row.slots[1] = row.slots[1], row.slots[0]
		}
		for _, k := range keys {
			if use, ok := row.useOf(k, keys); ok && use.service != k.ID {
				t.Fatalf("the use of key %s was taken for that of %s", use.service, k.ID)
			}
		}
	})
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte("user,access_key_1_active,access_key_1_last_rotated,access_key_2_active,access_key_2_last_rotated\na,true,2026-01-01T00:00:00+00:00,false,N/A\n"))
	f.Add([]byte("user\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		users, err := parseReport(content)
		if (users == nil) != (err != nil) {
			t.Errorf("%v, %v", users, err)
		}
	})
}
