package function

import (
	"context"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/rotation"
)

// output is the function's result: names and reasons, never a value.
type output struct {
	Secret  string       `json:"secret,omitempty"`
	Version string       `json:"version,omitempty"`
	Done    []stepOutput `json:"done,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	// Complete means that nothing is left of a rotation that takes several events.
	Complete bool `json:"complete,omitempty"`
}

// stepOutput is a step that was taken.
type stepOutput struct {
	Step       rota.Step `json:"step"`
	Version    string    `json:"version,omitempty"`
	Credential string    `json:"credential,omitempty"` // the issuer's public name
	Reason     string    `json:"reason,omitempty"`
}

func stepOutputs(decisions []rotation.Decision) []stepOutput {
	var all []stepOutput
	for _, d := range decisions {
		all = append(all, stepOutput{d.Step, d.Version, d.Credential, d.Reason})
	}
	return all
}

// rotate carries out one step of Secrets Manager's own rotation.
func (inv *invocation) rotate(ctx context.Context, e rotationEvent) (any, error) {
	ctx = aws.WithRotationToken(ctx, e.RotationToken)
	entry, err := inv.aws.Entry(ctx, e.SecretID)
	if err != nil {
		return nil, err
	}
	if !entry.Rotates {
		return nil, &rota.Error{Op: e.Step, Class: rota.ClassStop, Remedies: rota.Outside("aws secretsmanager rotate-secret, which turns it on"),
			Err: fmt.Errorf("rotation of secret %s is not turned on", entry.Name)}
	}
	s, err := inv.secretOfEntry(ctx, e.SecretID)
	if err != nil {
		return nil, err
	}
	if steps[e.Step] == rota.StepCreate { // a test alone changes nothing
		if err := inv.claim.record(ctx, s.Store); err != nil {
			return nil, err
		}
	}
	result, err := inv.rotator().Drive(ctx, s, rotation.DriveRequest{Step: steps[e.Step], Version: e.ClientRequestToken, Adopt: inv.settings.adopt})
	inv.metrics.result(result, inv.Now())
	return output{Secret: result.Secret, Version: result.Last.Version, Done: stepOutputs(result.Done), Reason: result.Last.Reason}, err
}
