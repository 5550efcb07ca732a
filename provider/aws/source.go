package aws

import (
	"context"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// sources describes the SDK's names for the sources of credentials.
var sources = map[string]string{
	credentials.StaticCredentialsName: "the access key of the connection in rota.yaml",
	config.CredentialsSourceName:      "the access key in the environment",
	stscreds.WebIdentityProviderName:  "a web identity token (IRSA or another OIDC issuer)",
	stscreds.ProviderName:             "a role of the profile",
	endpointcreds.ProviderName:        "the container's credentials (EKS Pod Identity or an ECS task role)",
	ec2rolecreds.ProviderName:         "the instance profile",
	ssocreds.ProviderName:             "IAM Identity Center",
	processcreds.ProviderName:         "a credential process",
}

// source describes where credentials come from.
func source(c awssdk.Credentials) string {
	if words, ok := sources[c.Source]; ok {
		return words
	}
	if file, ok := strings.CutPrefix(c.Source, "SharedConfigCredentials: "); ok {
		return "the access key in " + provider.Said(file)
	}
	return provider.Said(c.Source)
}

// loggedIn describes what Rota logged in with, "" if that's unknown.
func (c *Connection) loggedIn(ctx context.Context) string {
	own, err := c.login.Retrieve(ctx)
	if err != nil {
		return ""
	}
	by := ", logged in by " + source(own)
	if c.role != "" {
		by += " and the role " + c.role
	}
	return by
}

// preflightLogin warns if Rota itself logs in with a key that never expires.
func (c *Connection) preflightLogin(ctx context.Context) []rota.Finding {
	own, err := c.login.Retrieve(ctx)
	if err != nil || own.SessionToken != "" || !strings.HasPrefix(own.AccessKeyID, "AKIA") {
		return nil
	}
	return []rota.Finding{{
		Warning: true, Check: "Rota's own login",
		Detail:   "by the long-lived key " + own.AccessKeyID + ", from " + source(own),
		Remedies: rota.Outside("a role that Rota gets by where it runs: IRSA or EKS Pod Identity, an ECS task role, an instance profile, or IAM Roles Anywhere"),
	}}
}
