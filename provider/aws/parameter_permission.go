package aws

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Connection implements [PermissionHolder].
func (p *parameter) Connection() *Connection { return p.connection }

// Permissions implements [PermissionHolder].
func (p *parameter) Permissions(_ context.Context, at Place) []Permission {
	return p.needs(at.arn("ssm", p.resource()), at)
}

// resource is the parameter's part of its ARN.
func (p *parameter) resource() string { return "parameter/" + strings.TrimPrefix(p.cfg.Name, "/") }

// needs are the permissions on the parameter with this ARN, and on its own key.
func (p *parameter) needs(arn string, at Place) []Permission {
	needs := Permission{ID: "DeliverParameters", Resource: arn}.each(
		reason{"ssm:PutParameter", "delivers the current credential"},
		reason{"ssm:GetParameter", "sees what is there, and reads back what was delivered"})
	if p.cfg.KeyID == "" || p.cfg.Type != string(types.ParameterTypeSecureString) {
		return needs
	}
	// An advanced parameter is encrypted with a data key, a standard one with
	// the key itself; intelligent tiering makes it one or the other.
	uses := []reason{{"kms:Decrypt", "reads back the parameter that this key encrypts"}}
	tier := types.ParameterTier(p.cfg.Tier)
	if tier != types.ParameterTierAdvanced {
		uses = append(uses, reason{"kms:Encrypt", "delivers a standard parameter that this key encrypts"})
	}
	if tier == types.ParameterTierAdvanced || tier == types.ParameterTierIntelligentTiering {
		uses = append(uses, reason{"kms:GenerateDataKey", "delivers an advanced parameter that this key encrypts"})
	}
	return slices.Concat(needs, at.useOfKey(p.cfg.KeyID, "ssm").each(uses...))
}
