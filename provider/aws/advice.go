package aws

import (
	"context"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// advise suggests what could replace a long-lived key, and how, depending on where
// the key goes and what last used it. Having one isn't an error.
func (k *accessKeys) advise(ctx context.Context, issued []rota.Issued) rota.Finding {
	detail := k.instead(ctx)
	for _, key := range issued {
		if use, err := k.LastUsed(ctx, key.ID); err == nil && key.Active && use.Detail != "" {
			detail += "; the role needs what " + key.ID + " last did: " + use.Detail
			break
		}
	}
	return rota.Finding{OK: true, Check: "do without the key", Detail: detail + " (advice: off silences this)"}
}

// The alternatives to a key.
const (
	insteadPod = "pods need no key: give their service account a role by EKS Pod Identity " +
		"(aws eks create-pod-identity-association) or IRSA (the annotation eks.amazonaws.com/role-arn)"
	insteadJob = "CI jobs need no key: make the CI server an OIDC provider of the account, trust it in a role, " +
		"and let jobs assume it by their id tokens with AssumeRoleWithWebIdentity"
	insteadInstance = "programs on this EC2 instance need no key: give its instance profile the role"
	insteadTask     = "programs in this container need no key: give its task or its pod the role"
	insteadAnywhere = "outside AWS a certificate does in place of a key: IAM Roles Anywhere (aws_signing_helper as credential_process)"
	insteadRole     = "programs that run in AWS get a role by where they run (instance profile, task role, EKS Pod Identity); others by OIDC or IAM Roles Anywhere; " +
		"or let Rota hand out a role's sessions (assume_role)"
)

// instead returns the alternative that fits where the key goes.
func (k *accessKeys) instead(ctx context.Context) string {
	for _, platform := range k.platforms {
		switch platform {
		case provider.PlatformPods:
			return insteadPod
		case provider.PlatformJobs:
			return insteadJob
		case provider.PlatformMachine:
			return k.insteadHere(ctx)
		}
	}
	return insteadRole
}

// insteadHere returns the alternative for programs on this machine.
func (k *accessKeys) insteadHere(ctx context.Context) string {
	own, err := k.connection.login.Retrieve(ctx)
	switch {
	case err == nil && own.Source == endpointcreds.ProviderName, os.Getenv("ECS_CONTAINER_METADATA_URI_V4") != "":
		return insteadTask
	case err == nil && own.Source == ec2rolecreds.ProviderName, vendor() == "Amazon EC2":
		return insteadInstance
	}
	return insteadAnywhere
}

// vendor returns this machine's manufacturer, or "" if Linux doesn't say.
func vendor() string {
	text, err := os.ReadFile("/sys/class/dmi/id/sys_vendor")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
