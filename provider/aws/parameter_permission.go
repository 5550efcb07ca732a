package aws

import (
	"context"
	"slices"
	"strings"
)

// On implements [Role].
func (p *parameter) On() *Connection { return p.connection }

// Permissions implements [Role].
func (p *parameter) Permissions(_ context.Context, at Place) []Permission {
	needs := p.needs(at.arn("ssm", p.resource()))
	if strings.HasPrefix(p.cfg.KeyID, "arn:") {
		needs = slices.Concat(needs, Permission{ID: "EncryptParameters", Resource: p.cfg.KeyID}.each(
			reason{"kms:Encrypt", "encrypts what is delivered"}, reason{"kms:Decrypt", "reads it back"}))
	}
	return needs
}

// resource is the parameter's part of its ARN.
func (p *parameter) resource() string { return "parameter/" + strings.TrimPrefix(p.cfg.Name, "/") }

// needs are the permissions on the parameter with this ARN.
func (p *parameter) needs(arn string) []Permission {
	return Permission{ID: "DeliverParameters", Resource: arn}.each(
		reason{"ssm:PutParameter", "delivers the current credential"},
		reason{"ssm:GetParameter", "sees what is there, and reads back what was delivered"})
}
