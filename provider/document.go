package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/rota-dev/rota"
)

// DocumentFormat is how a whole credential is written into one value, so that no
// reader ever gets half of it.
type DocumentFormat string

// The formats.
const (
	// DocumentJSON is an object of the credential's fields, on one line.
	DocumentJSON DocumentFormat = "json"
	// DocumentDotenv has a line for each field, such as USERNAME='orders', which
	// shells and dotenv libraries read alike.
	DocumentDotenv DocumentFormat = "dotenv"
	// DocumentAWS is a shared credentials file, for AWS_SHARED_CREDENTIALS_FILE.
	DocumentAWS DocumentFormat = "aws_credentials"
)

// OneLine reports whether the document has a single line.
func (f DocumentFormat) OneLine() bool { return f == DocumentJSON || f == "" }

// Render writes a credential. "" is JSON.
func (f DocumentFormat) Render(c rota.Credential) (string, error) {
	switch f {
	case DocumentDotenv:
		return dotenv(c)
	case DocumentAWS:
		return awsCredentials(c)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(c.Fields())
	return strings.TrimSuffix(b.String(), "\n"), err
}

func dotenv(c rota.Credential) (string, error) {
	var b strings.Builder
	for _, field := range c.Names() {
		value := c.Field(field)
		if strings.ContainsAny(value, "'\r\n\x00") {
			return "", fmt.Errorf("dotenv has no place for the quotation mark or line break in %s", field)
		}
		b.WriteString(strings.ToUpper(field) + "='" + value + "'\n")
	}
	return b.String(), nil
}

func awsCredentials(c rota.Credential) (string, error) {
	var b strings.Builder
	b.WriteString("[default]\n")
	for _, entry := range []struct{ name, field string }{
		{"aws_access_key_id", rota.FieldAccessKeyID},
		{"aws_secret_access_key", rota.FieldSecretAccessKey},
		{"aws_session_token", rota.FieldSessionToken},
	} {
		value := c.Field(entry.field)
		if value == "" && entry.field == rota.FieldSessionToken {
			continue
		}
		if value == "" || strings.ContainsAny(value, "\r\n") {
			return "", fmt.Errorf("the credential has no %s for an AWS credentials file", entry.field)
		}
		b.WriteString(entry.name + " = " + value + "\n")
	}
	return b.String(), nil
}
