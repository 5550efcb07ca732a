package github

import (
	"context"
	"encoding/json"
	"fmt"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// List implements [rota.Lister]: the keys of that title.
func (d *DeployKeys) List(ctx context.Context) ([]rota.Issued, error) {
	list, err := d.list(ctx, write)
	var issued []rota.Issued
	for _, k := range list {
		if k.Title == d.title() && k.id() != "" {
			issued = append(issued, rota.Issued{ID: k.id(), Active: k.active(), CreatedAt: k.Created.UTC()})
		}
	}
	return issued, err
}

// LastUsed implements [rota.UseReporter].
func (d *DeployKeys) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	k, ok, err := d.find(ctx, credentialID)
	switch {
	case err != nil:
		return rota.Use{}, err
	case !ok:
		return rota.Use{}, &rota.Error{System: d.Connection.system(), Connection: d.Connection.name, Op: "look at the use of " + d.what(), Class: rota.ClassStop, Err: fmt.Errorf("the repository has no such key: %w", rota.ErrNotFound)}
	case k.LastUsed == nil:
		return rota.Use{Evidence: rota.EvidenceUnknown, Detail: "this GitHub doesn't show when a deploy key was last used"}, nil
	}
	var at *api.Timestamp
	if err := json.Unmarshal(k.LastUsed, &at); err != nil {
		return rota.Use{}, d.Connection.fail("look at the use of "+d.what(), d.access(write), nil, errUnreadable)
	}
	use := rota.Use{Evidence: rota.EvidenceRecorded}
	if at != nil {
		use.At = at.UTC()
	}
	return use, nil
}

// Preflight implements [rota.Preflighter].
func (d *DeployKeys) Preflight(ctx context.Context) []rota.Finding {
	_, err := d.list(ctx, write)
	return []rota.Finding{provider.Found("list the deploy keys of "+d.Owner+"/"+d.Repository, "", err)}
}
