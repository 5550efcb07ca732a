package aws

import (
	"errors"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
)

// An answer that doesn't say who it is proves nothing.
func TestALoginOfNobodyIsNoLogin(t *testing.T) {
	who := map[string]string{"Arn": "arn:aws:iam::111122223333:user/ci", "Account": "111122223333"}
	inner := func(without string) string {
		text := element("x", who, without)
		return strings.TrimSuffix(strings.TrimPrefix(text, "<x>"), "</x>")
	}
	for without, ok := range map[string]bool{"": true, "Arn": false, "Account": false} {
		err := can(t, map[string]string{"GetCallerIdentity": inner(without)}).AccessKeys(AccessKeysConfig{User: "ci"}).Test(t.Context(), rota.TestRequest{Credential: key(1)})
		if ok != (err == nil) || errors.Is(err, rota.ErrRefused) {
			t.Errorf("without %q: %v", without, err)
		}
	}
}

func TestWhoIsWho(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/team/deploy"
	for _, arn := range []string{
		"arn:aws:iam::111122223333:assumed-role/deploy/rota", "arn:aws:sts::111122223333:assumed-role/deploy",
		"arn:aws:sts::111122223333:assumed-role/deploy/rota/more", "arn:aws:sts::111122223333:session/deploy/rota", "deploy",
	} {
		if (identity{arn: arn}).isRole(role) {
			t.Errorf("%s is taken for a session of %s", arn, role)
		}
	}
	if (identity{arn: "arn:aws:sts::111122223333:assumed-role/deploy/rota"}).isRole("deploy") {
		t.Error("a name is taken for a role")
	}
	for arn, want := range map[string]bool{
		"arn:aws:iam::111122223333:user/team/ci": true,
		"arn:aws:sts::111122223333:user/ci":      false,
		"arn:aws:iam::444455556666:user/ci":      false,
		"arn:aws:iam::111122223333:role/ci":      false,
		"ci":                                     false,
	} {
		if got := (identity{arn: arn, account: "111122223333"}).isUser("111122223333", "ci"); got != want {
			t.Errorf("%s: %t", arn, got)
		}
	}
}

func TestWhatPreflightSaysOfAUser(t *testing.T) {
	me := identity{arn: "arn:aws:iam::111122223333:user/Rota", account: "111122223333"}
	for name, c := range map[string]struct {
		answer      string
		ok, warning bool
		hint        string
	}{
		"it's there":        {"<User><Arn>arn:aws:iam::111122223333:user/ci</Arn></User>", true, false, ""},
		"it's Rota itself":  {"<User><Arn>arn:aws:iam::111122223333:user/rota</Arn></User>", false, true, "another identity for Rota"},
		"Rota may not look": {"AccessDenied no", false, true, "allow iam:GetUser on arn:aws:iam::111122223333:user/ci"},
		"it's missing":      {"NoSuchEntity none", false, false, "aws iam create-user --user-name ci"},
		"no answer":         {"", false, false, ""},
		"something else":    {"ServiceFailure down", false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := can(t, map[string]string{"GetUser": c.answer}).AccessKeys(AccessKeysConfig{User: "ci"}).(*accessKeys)
			_, f := k.preflightUser(t.Context(), me)
			hint := rota.Hint(f.Remedies)
			if f.OK != c.ok || f.Warning != c.warning || !strings.Contains(hint, c.hint) || strings.Contains(hint, "create-user") != strings.Contains(c.hint, "create-user") {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestWhatPreflightSaysOfAUsersKeys(t *testing.T) {
	for name, c := range map[string]struct{ answer, detail string }{
		"none": {"", "0 of 2"},
		"two":  {"<member><AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status></member><member><AccessKeyId>AKIA2</AccessKeyId><Status>Inactive</Status></member>", "2 of 2: AKIA1 active, AKIA2 inactive"},
	} {
		k := can(t, map[string]string{"ListAccessKeys": "<IsTruncated>false</IsTruncated><AccessKeyMetadata>" + c.answer + "</AccessKeyMetadata>"}).AccessKeys(AccessKeysConfig{User: "ci", NoAdvice: true}).(*accessKeys)
		if f := k.preflightKeys(t.Context()); len(f) != 1 || !f[0].OK || f[0].Detail != c.detail {
			t.Errorf("%s: %+v", name, f)
		}
	}
	k := can(t, map[string]string{"ListAccessKeys": "AccessDenied no"}).AccessKeys(AccessKeysConfig{User: "ci", NoAdvice: true}).(*accessKeys)
	if f := k.preflightKeys(t.Context()); len(f) != 1 || f[0].OK || len(f[0].Remedies) == 0 {
		t.Errorf("denied: %+v", f)
	}
}

// If a role on the way can't be assumed, the one behind it isn't tried.
func TestAChainEndsWhereItBreaks(t *testing.T) {
	a := can(t, map[string]string{"AssumeRole": "AccessDenied no"})
	_, err := a.sessions(t, AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/deploy", Chain: []string{"arn:aws:iam::111122223333:role/hub"}}).Create(t.Context(), rota.CreateRequest{})
	if len(a.asked) != 1 || err == nil || !strings.Contains(err.Error(), "aws main: assume role arn:aws:iam::111122223333:role/hub: ") {
		t.Errorf("it asked %v: %v", a.asked, err)
	}
}

func TestTheLoginThatIsRefusedIsNamed(t *testing.T) {
	err := can(t, map[string]string{"GetCallerIdentity": "AccessDenied no"}).sessions(t, AssumedRoleConfig{RoleARN: "arn:aws:iam::111122223333:role/deploy"}).
		Test(t.Context(), rota.TestRequest{Credential: rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "ASIA1", rota.FieldSecretAccessKey: "s", rota.FieldSessionToken: "t"})})
	if err == nil || !strings.HasPrefix(err.Error(), "aws main: test session ASIA1 of role arn:aws:iam::111122223333:role/deploy: ") {
		t.Errorf("got %v", err)
	}
}
