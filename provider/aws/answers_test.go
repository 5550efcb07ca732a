package aws

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

// canned is an AWS that gives one answer to each action, as neither backend can, and
// keeps what it was asked.
type canned struct {
	*Connection
	asked []url.Values
}

// can makes one. An answer that begins with a code and a blank is an error.
func can(t *testing.T, answers map[string]string) *canned {
	t.Helper()
	isolate(t)
	c := &canned{}
	c.Connection = through(t, "http://127.0.0.1:1", "AKIAROTA", "secret", func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		c.asked = append(c.asked, form)
		action := form.Get("Action")
		text, known := answers[action]
		if !known {
			t.Errorf("it called %s", action)
		}
		if code, message, failed := strings.Cut(text, " "); failed && !strings.HasPrefix(text, "<") {
			return response(r, 400, http.Header{"Content-Type": {"text/xml"}}, "<ErrorResponse><Error><Type>Sender</Type><Code>"+code+"</Code><Message>"+message+"</Message></Error></ErrorResponse>"), nil
		}
		return response(r, 200, http.Header{"Content-Type": {"text/xml"}}, "<"+action+"Response><"+action+"Result>"+text+"</"+action+"Result></"+action+"Response>"), nil
	})
	return c
}

func (c *canned) actions() string {
	var actions []string
	for _, form := range c.asked {
		actions = append(actions, form.Get("Action"))
	}
	return strings.Join(actions, " ")
}

// element is XML with these children, without the one that's left out.
func element(name string, children map[string]string, without string) string {
	var out strings.Builder
	out.WriteString("<" + name + ">")
	for _, child := range slices.Sorted(maps.Keys(children)) {
		if child != without {
			out.WriteString("<" + child + ">" + children[child] + "</" + child + ">")
		}
	}
	return out.String() + "</" + name + ">"
}

var session = map[string]string{"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2026-03-01T10:30:00Z"}

// A credential that lacks a part can't be stored: it would be delivered.
func TestACredentialThatLacksAPartIsNone(t *testing.T) {
	newKey := map[string]string{"AccessKeyId": "AKIA1", "SecretAccessKey": "s", "Status": "Active", "UserName": "ci"}
	for without, ok := range map[string]bool{"": true, "Status": true, "AccessKeyId": false, "SecretAccessKey": false, "all": false} {
		t.Run("a key without "+without, func(t *testing.T) {
			text := element("AccessKey", newKey, without)
			if without == "all" {
				text = ""
			}
			c, err := can(t, map[string]string{"CreateAccessKey": text}).AccessKeys(AccessKeysConfig{User: "ci"}).Create(t.Context(), rota.CreateRequest{})
			if ok != (err == nil) || ok != (c.Field(rota.FieldAccessKeyID) == "AKIA1" && c.Field(rota.FieldSecretAccessKey) == "s") {
				t.Errorf("got %v, %v", c.Names(), err)
			}
		})
	}
	for without, ok := range map[string]bool{"": true, "AccessKeyId": false, "SecretAccessKey": false, "SessionToken": false, "Expiration": false, "all": false} {
		t.Run("a session without "+without, func(t *testing.T) {
			text := element("Credentials", session, without)
			if without == "all" {
				text = ""
			}
			a := can(t, map[string]string{"AssumeRole": text}).sessions(t, AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/deploy"})
			c, err := a.Create(t.Context(), rota.CreateRequest{})
			if ok != (err == nil) || ok != c.ExpiresAt().Equal(time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)) {
				t.Errorf("got %v, %v", c.Names(), err)
			}
		})
	}
}

func TestAListIsReadCarefully(t *testing.T) {
	member := func(id, status string) string {
		return element("member", map[string]string{"AccessKeyId": id, "Status": status, "CreateDate": "2026-03-01T10:30:00Z"}, "")
	}
	for name, c := range map[string]struct {
		members string
		want    []rota.Issued // nil for an error
	}{
		"none":                           {"", []rota.Issued{}},
		"a status that nobody knows":     {member("AKIA1", "Suspended"), []rota.Issued{{ID: "AKIA1", Active: true, CreatedAt: time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)}}},
		"an inactive one":                {member("AKIA1", "Inactive"), []rota.Issued{{ID: "AKIA1", CreatedAt: time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)}}},
		"a key without an id":            {"<member><Status>Active</Status></member>", nil},
		"a key without an id among them": {member("AKIA1", "Active") + member("", "Active"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := can(t, map[string]string{"ListAccessKeys": "<IsTruncated>false</IsTruncated><AccessKeyMetadata>" + c.members + "</AccessKeyMetadata>"}).AccessKeys(AccessKeysConfig{User: "ci"})
			got, err := k.(rota.Lister).List(t.Context())
			if (err != nil) != (c.want == nil) {
				t.Fatalf("got %v, %v", got, err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheLastUseIsThatOfTheUsersOwnKey(t *testing.T) {
	used := element("AccessKeyLastUsed", map[string]string{"LastUsedDate": "2026-03-01T10:30:00Z", "ServiceName": "s3", "Region": "eu-central-1"}, "")
	at := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		text   string
		detail string // "-" for an error
	}{
		"the user's":                       {"<UserName>ci</UserName>" + used, "s3 in eu-central-1"},
		"the user's, spelled otherwise":    {"<UserName>CI</UserName>" + used, "s3 in eu-central-1"},
		"nobody says whose it is":          {used, "s3 in eu-central-1"},
		"nobody's":                         {"<UserName></UserName>" + used, "s3 in eu-central-1"},
		"somebody else's":                  {"<UserName>ann</UserName>" + used, "-"},
		"no answer to the question":        {"<UserName>ci</UserName>", "-"},
		"a region without a service":       {"<UserName>ci</UserName>" + strings.Replace(used, "s3", "N/A", 1), ""},
		"a service that's in no region":    {"<UserName>ci</UserName>" + strings.Replace(used, "eu-central-1", "N/A", 1), "s3"},
		"a service, and nothing of region": {"<UserName>ci</UserName>" + strings.Replace(used, "<Region>eu-central-1</Region>", "", 1), "s3"},
	} {
		t.Run(name, func(t *testing.T) {
			k := can(t, map[string]string{"GetAccessKeyLastUsed": c.text}).AccessKeys(AccessKeysConfig{User: "ci"})
			use, err := k.(rota.UseReporter).LastUsed(t.Context(), "AKIA1")
			want := rota.Use{Evidence: rota.EvidenceRecorded, At: at, Detail: c.detail}
			if c.detail == "-" {
				want = rota.Use{}
			}
			if diff := cmp.Diff(want, use); diff != "" || (err != nil) != (c.detail == "-") {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestOnlyAnInactiveKeyOfTheUserIsDeleted(t *testing.T) {
	list := func(members ...string) string {
		text := ""
		for _, m := range members {
			id, status, _ := strings.Cut(m, " ")
			text += element("member", map[string]string{"AccessKeyId": id, "Status": status}, "")
		}
		return "<IsTruncated>false</IsTruncated><AccessKeyMetadata>" + text + "</AccessKeyMetadata>"
	}
	for name, c := range map[string]struct {
		list, answer string
		calls        string
		fails        bool
	}{
		"it's inactive":                   {list("AKIA0 Active", "AKIA1 Inactive"), "", "ListAccessKeys DeleteAccessKey", false},
		"it's active":                     {list("AKIA0 Inactive", "AKIA1 Active"), "", "ListAccessKeys", true},
		"it's gone":                       {list("AKIA0 Inactive"), "", "ListAccessKeys", false},
		"nothing's there":                 {list(), "", "ListAccessKeys", false},
		"it's gone by now":                {list("AKIA1 Inactive"), "NoSuchEntity gone", "ListAccessKeys DeleteAccessKey", false},
		"it may not be deleted":           {list("AKIA1 Inactive"), "AccessDenied no", "ListAccessKeys DeleteAccessKey", true},
		"the user's keys can't be listed": {"AccessDenied no", "", "ListAccessKeys", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := can(t, map[string]string{"ListAccessKeys": c.list, "DeleteAccessKey": c.answer})
			err := a.AccessKeys(AccessKeysConfig{User: "ci"}).Delete(t.Context(), rota.RetireRequest{CredentialID: "AKIA1"})
			if (err != nil) != c.fails || a.actions() != c.calls {
				t.Errorf("it called %s: %v", a.actions(), err)
			}
			if last := a.asked[len(a.asked)-1]; last.Get("Action") == "DeleteAccessKey" && (last.Get("AccessKeyId") != "AKIA1" || last.Get("UserName") != "ci") {
				t.Errorf("it deleted %v", last)
			}
		})
	}
}

func TestWithoutAKeyIDNothingIsCalled(t *testing.T) {
	a := can(t, nil)
	k := a.AccessKeys(AccessKeysConfig{User: "ci"}).(*accessKeys)
	for _, err := range []error{
		k.Deactivate(t.Context(), rota.RetireRequest{}), k.Reactivate(t.Context(), rota.RetireRequest{}), k.Delete(t.Context(), rota.RetireRequest{}),
		k.Test(t.Context(), rota.TestRequest{}), func() error { _, err := k.LastUsed(t.Context(), ""); return err }(),
	} {
		if rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "no access key id") {
			t.Errorf("got %v", err)
		}
	}
	s := a.sessions(t, AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/deploy"})
	for _, c := range []map[string]string{
		{rota.FieldAccessKeyID: "ASIA1", rota.FieldSecretAccessKey: "s"},
		{rota.FieldSessionToken: "t", rota.FieldSecretAccessKey: "s"},
	} {
		if err := s.Test(t.Context(), rota.TestRequest{Credential: rota.NewCredential(c)}); rota.ClassOf(err) != rota.ClassStop {
			t.Errorf("got %v", err)
		}
	}
	if len(a.asked) > 0 {
		t.Errorf("it called %s", a.actions())
	}
}

// A request has what the configuration says, and nothing that it doesn't.
func TestWhatARoleIsAskedFor(t *testing.T) {
	answer := map[string]string{"AssumeRole": element("Credentials", session, "")}
	const hub, role = "arn:aws:iam::111122223333:role/hub", "arn:aws:iam::111122223333:role/team/deploy"
	for name, c := range map[string]struct {
		cfg  AssumedRoleConfig
		want []url.Values
	}{
		"nothing but the role": {AssumedRoleConfig{}, []url.Values{
			{"RoleArn": {role}, "RoleSessionName": {"rota"}, "DurationSeconds": {"3600"}},
		}},
		"all": {
			AssumedRoleConfig{Chain: []string{hub}, Duration: 20 * time.Minute, SessionName: "night", ExternalID: "shared", Policy: `{"Statement":[]}`,
				PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"}, Tags: map[string]string{"team": "cms", "a": ""}, TransitiveTagKeys: []string{"team"}},
			[]url.Values{
				{"RoleArn": {hub}, "RoleSessionName": {"night"}},
				{
					"RoleArn": {role}, "RoleSessionName": {"night"}, "DurationSeconds": {"1200"}, "ExternalId": {"shared"}, "Policy": {`{"Statement":[]}`},
					"PolicyArns.member.1.arn": {"arn:aws:iam::aws:policy/ReadOnlyAccess"}, "TransitiveTagKeys.member.1": {"team"},
					"Tags.member.1.Key": {"a"}, "Tags.member.1.Value": {""}, "Tags.member.2.Key": {"team"}, "Tags.member.2.Value": {"cms"},
				},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := can(t, answer)
			c.cfg.RoleARN = role
			if _, err := a.sessions(t, c.cfg).Create(t.Context(), rota.CreateRequest{}); err != nil {
				t.Fatal(err)
			}
			for _, form := range a.asked {
				delete(form, "Action")
				delete(form, "Version")
			}
			if diff := cmp.Diff(c.want, a.asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The remedy for a role that can't be assumed fits what AWS says.
func TestWhyARoleIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ answer, want, unwanted string }{
		"denied":         {"AccessDenied no", "allow sts:AssumeRole on arn:aws:iam::111122223333:role/team/deploy", "update-role"},
		"too long":       {"ValidationError The requested DurationSeconds exceeds the limit", "--role-name deploy --max-session-duration", "trust policy"},
		"something else": {"ValidationError The session policy is too large", "", "max-session-duration"},
		"another code":   {"MalformedPolicyDocument DurationSeconds", "", "max-session-duration"},
	} {
		t.Run(name, func(t *testing.T) {
			a := can(t, map[string]string{"AssumeRole": c.answer}).sessions(t, AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/team/deploy"})
			_, err := a.Create(t.Context(), rota.CreateRequest{})
			if hint := rota.Hint(rota.RemediesOf(err)); err == nil || !strings.Contains(hint, c.want) || strings.Contains(hint, c.unwanted) {
				t.Errorf("%v (%s)", err, hint)
			}
		})
	}
}

// What a login with the rotated credential is refused for decides what follows: a new
// key isn't known everywhere yet, and a session that ended never will be.
func TestWhyALoginIsRefused(t *testing.T) {
	for answer, c := range map[string]struct {
		class   rota.Class
		refused bool
	}{
		"InvalidClientTokenId unknown":              {rota.ClassWait, true},
		"ExpiredToken over":                         {rota.ClassStop, true},
		"AccessDenied no":                           {rota.ClassStop, false},
		"Throttling slow down":                      {rota.ClassWait, false},
		"SignatureDoesNotMatch Signature expired: ": {rota.ClassStop, false},
		"SignatureDoesNotMatch The request signature we calculated does not match": {rota.ClassWait, true},
	} {
		t.Run(answer, func(t *testing.T) {
			a := can(t, map[string]string{"GetCallerIdentity": answer}).sessions(t, AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/deploy"})
			login := rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "ASIA1", rota.FieldSecretAccessKey: "s", rota.FieldSessionToken: "t"})
			err := a.Test(t.Context(), rota.TestRequest{Credential: login})
			if refused := errors.Is(err, rota.ErrRefused); err == nil || refused != c.refused || rota.ClassOf(err) != c.class {
				t.Errorf("refused %t, %s: %v", refused, rota.ClassOf(err), err)
			}
		})
	}
}
