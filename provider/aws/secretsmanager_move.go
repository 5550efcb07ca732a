package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rota-dev/rota"
)

// Move implements [rota.Store]. UpdateSecretVersionStage is itself the
// compare-and-swap. The secret is described only to explain a refusal, or if no
// version is expected to carry the label.
func (s *secretStore) Move(ctx context.Context, r rota.MoveRequest) error {
	op := s.op("move " + string(r.Label) + " of")
	if r.Label == "" {
		return s.connection.refuse(op, "", errors.New("no label to move"))
	}
	from := r.From
	if r.From == "" || r.From == r.To {
		now, done, err := s.compare(ctx, op, r)
		if done || err != nil {
			return err
		}
		from = now // nothing, or the empty version
	}
	if r.Label == rota.LabelCurrent && r.To == "" {
		return s.connection.refuse(op, "moving it to another version", errors.New("version label AWSCURRENT cannot be taken off a version that has no successor"))
	}
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &s.cfg.Name, VersionStage: new(string(r.Label))}
	if from != "" {
		in.RemoveFromVersionId = &from
	}
	if r.To != "" {
		in.MoveToVersionId = &r.To
	}
	_, err := s.connection.secrets.UpdateSecretVersionStage(ctx, in)
	switch codeOf(err) {
	case "InvalidParameterException", "InvalidRequestException", "ResourceNotFoundException":
		return s.whyNotMoved(ctx, op, r, err)
	case "LimitExceededException":
		return s.connection.refuse(op, "taking labels off the version", fmt.Errorf("version %s has %d labels, as many as Secrets Manager takes: %w", r.To, maxLabels, rota.ErrLimit))
	}
	return s.connection.fail(op, err)
}

// whyNotMoved finds out what a refusal means. A call that's repeated because its
// first response was lost is refused too, although it succeeded.
func (s *secretStore) whyNotMoved(ctx context.Context, op string, r rota.MoveRequest, refusal error) error {
	if _, done, err := s.compare(ctx, op, r); done || err != nil {
		return err
	}
	return s.connection.fail(op, refusal)
}

// compare finds out where the label is now. It's done if the label is where it
// should be. It's an error if the label is neither there nor where the request
// expects it.
func (s *secretStore) compare(ctx context.Context, op string, r rota.MoveRequest) (now string, done bool, err error) {
	now, err = s.carrier(ctx, r.Label)
	switch {
	case err != nil:
		return "", false, err
	case visible(now) == r.To:
		return now, true, nil
	case visible(now) != r.From:
		return now, false, s.conflict(op, r, now)
	}
	return now, false, nil
}

// carrier returns the version that carries the label now, "" if none does.
func (s *secretStore) carrier(ctx context.Context, label rota.Label) (string, error) {
	out, err := s.look(ctx)
	return holder(out, label), err
}

// visible returns the version as Rota sees it: "" for the empty one.
func visible(version string) string {
	if version == emptyVersion {
		return ""
	}
	return version
}

func (s *secretStore) conflict(op string, r rota.MoveRequest, now string) error {
	name := func(version string) string {
		if visible(version) == "" {
			return "no version"
		}
		return "version " + version
	}
	return s.connection.refuse(op, "", fmt.Errorf("%s is on %s, not on %s: %w", r.Label, name(now), name(r.From), rota.ErrConflict))
}
