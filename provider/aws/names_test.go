package aws

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/hint"
)

func TestNamesFollowTheRulesOfAWS(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:"
	for _, c := range []struct {
		check func(string) error
		name  string
		want  string // "" if it's accepted
	}{
		{ValidateUserName, "cms_Prod+=,.@-1", ""},
		{ValidateUserName, strings.Repeat("x", 64), ""},
		{ValidateUserName, strings.Repeat("x", 65), "1 to 64"},
		{ValidateUserName, "my user", "try: a name such as"},
		{ValidateUserName, "/service-accounts/cms", "try: cms, without its path"},
		{ValidateUserName, "arn:aws:iam::111122223333:user/cms", "try: cms, without its path or ARN"},
		{ValidateUserName, "café", "letters, digits"},
		{ValidateSecretName, "prod/cms_Prod+=.@-1", ""},
		{ValidateSecretName, arn + "prod/cms-AbCdEf", ""},
		{ValidateSecretName, arn + "prod/cms", ""},
		{ValidateSecretName, strings.Repeat("x", 512), ""},
		{ValidateSecretName, strings.Repeat("x", 513), "1 to 512"},
		{ValidateSecretName, "prod,cms", "try: a name such as"},
		{ValidateSecretName, "prod cms", "not a secret's name"},
		{ValidateSecretName, arn + "prod,cms", "not a secret's name"},
		{ValidateSecretName, "arn:aws:s3:::bucket", "not a secret's ARN"},
		{ValidateSecretName, "arn:aws:secretsmanager:eu-central-1:1:secret:a", "not a secret's ARN"},
		{ValidateSecretName, "arn:aws", "not a secret's ARN"},
	} {
		if err := c.check(c.name); (err == nil) != (c.want == "") || err != nil && !strings.Contains(hint.Text(err), c.want) {
			t.Errorf("%q: want %q, got %v", c.name, c.want, err)
		}
	}
}

// Secrets Manager takes an ARN without the random end; a policy doesn't.
func TestAPartialARNIsCompletedForThePolicy(t *testing.T) {
	const arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:"
	for name, want := range map[string][]string{
		"prod/app":              {arn + "prod/app-??????"},
		arn + "prod/app-AbCdE1": {arn + "prod/app-AbCdE1"},
		arn + "prod/app":        {arn + "prod/app-??????"},
		arn + "prod/my-secret":  {arn + "prod/my-secret", arn + "prod/my-secret-??????"},
		arn + "app-202611":      {arn + "app-202611", arn + "app-202611-??????"},
	} {
		s := &secretStore{cfg: SecretsManagerConfig{Name: name}}
		if diff := cmp.Diff(want, s.resources(PlaceOf("eu-central-1", "111122223333"))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
