package aws

import (
	"errors"
	"regexp"
	"strings"

	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/rota-dev/rota"
)

// Names by AWS's rules, so that a mistake shows before anything is made.

var (
	userName  = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{1,64}$`)
	entryName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)
)

// ValidateUserName returns an error if IAM would refuse a user's name.
func ValidateUserName(name string) error {
	if userName.MatchString(name) {
		return nil
	}
	hint := "a name such as prod-app"
	if i := strings.LastIndexByte(name, '/'); i >= 0 && userName.MatchString(name[i+1:]) {
		hint = name[i+1:] + ", without its path or ARN"
	}
	return rota.WithRemedies(errors.New("not an IAM user's name, which has 1 to 64 letters, digits and characters of _+=,.@-"), rota.Configure("", hint))
}

// ValidateSecretName returns an error if Secrets Manager would refuse a secret's
// name or ARN.
func ValidateSecretName(id string) error {
	name := id
	if strings.HasPrefix(id, "arn:") {
		parsed, err := awsarn.Parse(id)
		rest, isSecret := strings.CutPrefix(parsed.Resource, "secret:")
		if err != nil || parsed.Service != "secretsmanager" || parsed.Region == "" || !accountNumber.MatchString(parsed.AccountID) || !isSecret {
			return rota.WithRemedies(errors.New("not a secret's ARN"), rota.Configure("", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/app-AbCdEf, or the name prod/app"))
		}
		name = rest
	}
	if !entryName.MatchString(name) {
		return rota.WithRemedies(errors.New("not a secret's name, which has 1 to 512 letters, digits and characters of /_+=.@-"), rota.Configure("", "a name such as prod/app"))
	}
	return nil
}
