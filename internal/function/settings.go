package function

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
)

// settings come from the environment. None of them is a secret.
type settings struct {
	config     string // ROTA_CONFIG: a path, s3://bucket/key or ssm:///name
	configYAML string // ROTA_CONFIG_YAML: the configuration itself

	user   string // IAM_USER_NAME
	secret string // SECRET_NAME
	topic  string // SNS_TOPIC_ARN

	accessKeyField string // ROTA_ACCESS_KEY_FIELD
	secretKeyField string // ROTA_SECRET_KEY_FIELD
	unusedFor      time.Duration
	adopt          bool

	rules       rota.PasswordRules // as AWS's own rotation functions name them
	sslMode     string             // PGSSLMODE
	sslRootCert string             // PGSSLROOTCERT
	requireAuth string             // PGREQUIREAUTH
	mysqlMode   string             // MYSQL_SSL_MODE
	mysqlCA     string             // MYSQL_SSL_CA

	gitlab gitlabSettings

	namespace string // ROTA_METRICS_NAMESPACE
	endpoint  string // AWS_ENDPOINT_URL, for emulators
}

const defaultNamespace = "Rota"

// readSettings reads the environment, and reports all errors at once.
func readSettings(lookup func(string) (string, bool)) (settings, error) {
	get := func(name string) string {
		value, _ := lookup(name)
		return value
	}
	s := settings{
		config: get("ROTA_CONFIG"), configYAML: get("ROTA_CONFIG_YAML"),
		user: get("IAM_USER_NAME"), secret: get("SECRET_NAME"), topic: get("SNS_TOPIC_ARN"),
		accessKeyField: get("ROTA_ACCESS_KEY_FIELD"), secretKeyField: get("ROTA_SECRET_KEY_FIELD"),
		adopt:   true,
		rules:   rota.PasswordRules{Exclude: get("EXCLUDE_CHARACTERS")},
		gitlab:  readGitLab(get),
		sslMode: get("PGSSLMODE"), sslRootCert: get("PGSSLROOTCERT"), requireAuth: get("PGREQUIREAUTH"),
		mysqlMode: get("MYSQL_SSL_MODE"), mysqlCA: get("MYSQL_SSL_CA"),
		namespace: get("ROTA_METRICS_NAMESPACE"), endpoint: get("AWS_ENDPOINT_URL"),
	}
	if s.namespace == "" {
		s.namespace = defaultNamespace
	}
	var errs []error
	refuse := func(name, hint string) {
		errs = append(errs, rota.WithRemedies(fmt.Errorf("%s is invalid", name), rota.Outside(hint)))
	}
	var err error
	if text := get("ROTA_UNUSED_FOR"); text != "" {
		if s.unusedFor, err = rota.ParseDuration(text); err != nil || s.unusedFor <= 0 {
			refuse("ROTA_UNUSED_FOR", "7d")
		}
	}
	if text := get("ROTA_ADOPT"); text != "" {
		if s.adopt, err = strconv.ParseBool(text); err != nil {
			refuse("ROTA_ADOPT", "true or false")
		}
	}
	if text := get("PASSWORD_LENGTH"); text != "" {
		if s.rules.Length, err = strconv.Atoi(text); err != nil {
			refuse("PASSWORD_LENGTH", "32")
		}
	}
	if err := s.rules.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("PASSWORD_LENGTH and EXCLUDE_CHARACTERS: %w", err))
	}
	if s.config != "" && s.configYAML != "" {
		errs = append(errs, rota.WithRemedies(errors.New("ROTA_CONFIG and ROTA_CONFIG_YAML are both set"), rota.Outside("one of them")))
	}
	if (s.accessKeyField == "") != (s.secretKeyField == "") {
		errs = append(errs, errors.New("ROTA_ACCESS_KEY_FIELD and ROTA_SECRET_KEY_FIELD must be set together"))
	}
	if s.accessKeyField != "" && s.accessKeyField == s.secretKeyField {
		errs = append(errs, rota.WithRemedies(errors.New("ROTA_ACCESS_KEY_FIELD and ROTA_SECRET_KEY_FIELD name the same field"), rota.Outside("two names")))
	}
	if s.topic != "" && !aws.IsTopic(s.topic) {
		errs = append(errs, rota.WithRemedies(errors.New("SNS_TOPIC_ARN is not a topic's ARN"), rota.Outside("arn:aws:sns:eu-central-1:111122223333:rotations")))
	}
	if s.secret != "" && s.user == "" {
		errs = append(errs, rota.WithRemedies(errors.New("SECRET_NAME without a user"), rota.Outside("IAM_USER_NAME")))
	}
	if s.user != "" && s.hasConfig() {
		errs = append(errs, rota.WithRemedies(errors.New("IAM_USER_NAME is for a function that serves one user, but there is also a configuration"), rota.Outside("one of them")))
	}
	if err := errors.Join(errs...); err != nil {
		return settings{}, &configError{err}
	}
	return s, nil
}

// hasConfig reports whether there is a rota.yaml.
func (s settings) hasConfig() bool { return s.config != "" || s.configYAML != "" }

// configError is an error that only a change of the function's settings can
// fix.
type configError struct{ error }

func (e *configError) Unwrap() error { return e.error }
