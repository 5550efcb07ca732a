package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter].
func (s *secretStore) Preflight(ctx context.Context) []rota.Finding {
	me, findings := s.connection.preflightIdentity(ctx)
	if me.arn == "" {
		return findings
	}
	check := "secret " + s.cfg.Name
	out, err := s.look(ctx)
	if err != nil {
		return append(findings, provider.Failed(check, err))
	}
	at := s.connection.placeOf(me)
	if out == nil {
		if s.exists() {
			return append(findings, rota.Finding{Check: check, Detail: "does not exist",
				Remedies: rota.Outside("the ARN of a secret that exists, or a name, which Rota can create")})
		}
		findings = append(findings, rota.Finding{OK: true, Check: check, Detail: "does not exist yet; Rota creates it with the first credential"})
		return append(findings, s.connection.permissions(ctx, me, s.Permissions(ctx, at))...)
	}
	findings = append(findings, rota.Finding{OK: true, Check: check, Detail: awssdk.ToString(out.ARN)})
	findings = append(findings, s.preflightOwner(out)...)
	findings = append(findings, s.preflightLabels(ctx, out))
	if current := holder(out, rota.LabelCurrent); visible(current) != "" {
		findings = append(findings, s.preflightValue(ctx, current))
	}
	return append(findings, s.connection.permissions(ctx, me, s.needs(awssdk.ToString(out.ARN), at))...)
}

// preflightOwner finds out who else changes the secret.
func (s *secretStore) preflightOwner(out *secretsmanager.DescribeSecretOutput) []rota.Finding {
	var findings []rota.Finding
	if awssdk.ToBool(out.RotationEnabled) {
		findings = append(findings, rota.Finding{
			Check: "nobody else rotates secret " + s.cfg.Name, Detail: "AWS's own rotation is on: " + awssdk.ToString(out.RotationLambdaARN),
			Remedies: rota.Outside("aws secretsmanager cancel-rotate-secret --secret-id " + s.cfg.Name + ", or leave this secret to AWS"),
		})
	}
	if owner := awssdk.ToString(out.OwningService); owner != "" {
		findings = append(findings, rota.Finding{
			Check: "nobody else owns secret " + s.cfg.Name, Detail: "it belongs to the AWS service " + owner, Remedies: rota.Outside("a secret of your own"),
		})
	}
	if primary := awssdk.ToString(out.PrimaryRegion); primary != "" && primary != s.connection.region {
		findings = append(findings, rota.Finding{
			Check: "secret " + s.cfg.Name + " can be written", Detail: "it is a replica of the one in " + primary, Remedies: rota.Outside("region: " + primary),
		})
	}
	return findings
}

// preflightLabels finds an AWSPENDING that isn't Rota's.
func (s *secretStore) preflightLabels(ctx context.Context, out *secretsmanager.DescribeSecretOutput) rota.Finding {
	check := "labels of secret " + s.cfg.Name
	contents, err := s.Describe(ctx)
	if err != nil {
		return provider.Failed(check, err)
	}
	pending, found := rota.Find(contents.Versions, rota.LabelPending)
	if found && !pending.Ours() && !pending.Has(rota.LabelCurrent) {
		return rota.Finding{
			Check:  check,
			Detail: fmt.Sprintf("AWSPENDING is on version %s, which Rota did not make, since %s", pending.ID, pending.CreatedAt.Format(time.RFC3339)),
			Remedies: rota.Outside(fmt.Sprintf("let whoever makes it finish; if nobody does: aws secretsmanager update-secret-version-stage --secret-id %s --version-stage AWSPENDING --remove-from-version-id %s",
				s.cfg.Name, pending.ID)),
		}
	}
	return rota.Finding{OK: true, Check: check, Detail: fmt.Sprintf("%d versions with labels, AWSCURRENT on %s", len(contents.Versions), named(holder(out, rota.LabelCurrent)))}
}

func named(version string) string {
	if visible(version) == "" {
		return "none yet"
	}
	return version
}

// preflightValue checks that the current value is a JSON object that has the
// mapped fields.
func (s *secretStore) preflightValue(ctx context.Context, current string) rota.Finding {
	check := "value of secret " + s.cfg.Name
	doc, err := s.read(ctx, current)
	if errors.Is(err, rota.ErrNotFound) {
		return rota.Finding{Warning: true, Check: check, Detail: "the current version has no value"}
	}
	if err != nil {
		return provider.Failed(check, err)
	}
	has := s.cfg.Fields.Read(doc.texts()).Names()
	var lacks []string
	for _, field := range s.cfg.Fields.Readable() {
		if !slices.Contains(has, field) {
			lacks = append(lacks, field)
		}
	}
	if len(lacks) > 0 {
		return rota.Finding{
			Warning: true, Check: check, Detail: "a JSON object, but nothing in it is " + strings.Join(lacks, ", "),
			Remedies: rota.Outside("check the names under fields; the first rotation adds those that are not there"),
		}
	}
	return rota.Finding{OK: true, Check: check, Detail: fmt.Sprintf("a JSON object; the credential's fields are %s", strings.Join(has, ", "))}
}
