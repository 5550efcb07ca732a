package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/rotation"
)

// Versions asks the store and the issuer for a secret's versions.
func (l *Local) Versions(ctx context.Context, name string) (api.VersionsDoc, error) {
	secret, err := l.chooseOne(ctx, access.List, rotation.OpVersions, name)
	if err != nil {
		return api.VersionsDoc{}, err
	}
	state, _, err := l.rotator().Observe(ctx, secret)
	if err != nil {
		return api.VersionsDoc{}, err
	}
	doc := describeVersions(state)
	if len(doc.Versions) == 0 && !state.Traits.Manual {
		doc.Remedies = rotation.FirstCredential(name)
	}
	return doc, nil
}

func describeVersions(state rotation.State) api.VersionsDoc {
	doc := api.VersionsDoc{Secret: state.Secret, ChangedAt: state.Contents.ChangedAt, Versions: []api.VersionDoc{}, Elsewhere: []api.IssuedDoc{}}
	held := map[string]bool{}
	for _, v := range state.Contents.Versions {
		held[v.CredentialID] = true
		d := describeVersion(v)
		d.State, d.Use = versionState(state, v)
		doc.Versions = append(doc.Versions, d)
	}
	slices.SortStableFunc(doc.Versions, func(x, y api.VersionDoc) int { return y.CreatedAt.Compare(x.CreatedAt) })
	for _, i := range state.Issued {
		if held[i.ID] {
			continue
		}
		d := api.IssuedDoc{Credential: i.ID, CreatedAt: i.CreatedAt}
		d.State, d.Use = issuerState(state, i.ID)
		doc.Elsewhere = append(doc.Elsewhere, d)
	}
	return doc
}

func describeVersion(v rota.Version) api.VersionDoc {
	return api.VersionDoc{Version: v.ID, Labels: v.Labels, CreatedAt: v.CreatedAt, Credential: v.CredentialID, Ours: v.Ours(), Adopted: v.Adopted()}
}

// versionState is what the issuer says about a version's credential. A password
// has one value at a time: of all versions with a role's name, the issuer means
// the one whose value was set last.
func versionState(state rotation.State, v rota.Version) (string, string) {
	if state.Traits.IssuerChooses {
		return issuerState(state, v.CredentialID)
	}
	inForce, _ := rota.Find(state.Contents.Versions, rota.LabelCurrent)
	if pending, ok := rota.Find(state.Contents.Versions, rota.LabelPending); ok && pending.ID != inForce.ID {
		switch vp := state.Progress.Versions[pending.ID]; {
		case !vp.SetAt.IsZero() && vp.RestoredAt.IsZero() && pending.CredentialID == inForce.CredentialID:
			inForce = pending
		case vp.SetAt.IsZero() && v.ID == pending.ID:
			return "unset", ""
		}
	}
	if v.ID != inForce.ID && v.CredentialID == inForce.CredentialID {
		return "replaced", ""
	}
	return issuerState(state, v.CredentialID)
}

// issuerState is what the issuer says about a credential.
func issuerState(state rotation.State, credential string) (string, string) {
	if !state.Listed || credential == "" {
		return "unknown", ""
	}
	i := slices.IndexFunc(state.Issued, func(i rota.Issued) bool { return i.ID == credential })
	if i < 0 {
		return "gone", ""
	}
	issued := state.Issued[i]
	s := "inactive"
	if issued.Active {
		s = "active"
	}
	use := ""
	switch {
	case !issued.Use.At.IsZero():
		use = "last used " + localTime(issued.Use.At)
		if issued.Use.Detail != "" {
			use += " from " + issued.Use.Detail
		}
	case issued.Use.Evidence == rota.EvidenceRecorded:
		use = "never used"
	}
	return s, use
}

// Current asks the store for a secret's current version.
func (l *Local) Current(ctx context.Context, name string) (api.CurrentDoc, error) {
	secret, err := l.chooseOne(ctx, access.List, rotation.OpCurrent, name)
	if err != nil {
		return api.CurrentDoc{}, err
	}
	contents, err := secret.Store.Describe(ctx)
	if err != nil {
		return api.CurrentDoc{}, fmt.Errorf("%s: %w", name, err)
	}
	v, ok := rota.Find(contents.Versions, rota.LabelCurrent)
	if !ok {
		return api.CurrentDoc{}, rota.WithRemedies(fmt.Errorf("%s: there is no current version yet: %w", name, rota.ErrNotFound), firstCredential(secret))
	}
	return api.CurrentDoc{Secret: name, Version: v.ID, ChangedAt: contents.ChangedAt}, nil
}

// Get returns a value.
func (l *Local) Get(ctx context.Context, r api.GetRequest) (api.GetDoc, error) {
	secret, err := l.chooseOne(ctx, access.Read, rotation.OpGet, r.Secret)
	if err != nil {
		return api.GetDoc{}, err
	}
	if r.Label == "" {
		r.Label = rota.LabelCurrent
	}
	version, credential, err := readVersion(ctx, secret, r.Label, r.Version)
	if err != nil {
		return api.GetDoc{}, err
	}
	names, fields := credential.Names(), credential.Fields()
	if r.Field != "" {
		if !slices.Contains(names, r.Field) {
			return api.GetDoc{}, &UsageError{Err: rota.WithRemedies(fmt.Errorf("%s has no field %q", r.Secret, r.Field), rota.Outside(strings.Join(names, ", ")))}
		}
		names, fields = []string{r.Field}, map[string]string{r.Field: fields[r.Field]}
	}
	if err := l.noteRead(ctx, r.Instance, r.Secret, version.ID); err != nil {
		return api.GetDoc{}, fmt.Errorf("%s: nothing is given to an instance that isn't counted: %w", r.Secret, err)
	}
	issuerName := secret.Issuer.CredentialID(credential)
	entry := l.Caller.Entry(l.now(), rotation.OpGet, r.Secret, rotation.OutcomeSucceeded, "")
	entry.Object, entry.Version, entry.Credential = strings.Join(names, ", "), version.ID, issuerName
	if err := l.DB.Audit().Record(ctx, entry); err != nil {
		return api.GetDoc{}, fmt.Errorf("%s: nothing is shown that is not in the audit: %w", r.Secret, err)
	}
	return api.GetDoc{Secret: r.Secret, Version: version.ID, Labels: version.Labels, Credential: issuerName, Fields: fields}, nil
}

// readVersion finds a version and reads it. If it's replaced and deleted in
// between, it looks again.
func readVersion(ctx context.Context, secret *rotation.Secret, label rota.Label, id string) (rota.Version, rota.Credential, error) {
	for last := ""; ; {
		v, err := findVersion(ctx, secret, label, id)
		if err != nil {
			return rota.Version{}, rota.Credential{}, err
		}
		c, err := secret.Store.Get(ctx, rota.GetRequest{Version: v.ID})
		switch {
		case err == nil:
			return v, c, nil
		case !errors.Is(err, rota.ErrNotFound) || v.ID == last:
			return rota.Version{}, rota.Credential{}, fmt.Errorf("%s: read version %s: %w", secret.Name, v.ID, err)
		}
		last = v.ID
	}
}

func findVersion(ctx context.Context, secret *rotation.Secret, label rota.Label, id string) (rota.Version, error) {
	contents, err := secret.Store.Describe(ctx)
	if err != nil {
		return rota.Version{}, fmt.Errorf("%s: %w", secret.Name, err)
	}
	if id != "" {
		if v, ok := rota.FindID(contents.Versions, id); ok {
			return v, nil
		}
		return rota.Version{}, rota.WithRemedies(fmt.Errorf("%s: no version %s: %w", secret.Name, id, rota.ErrNotFound), rota.Command(fmt.Sprintf("rota versions %s", secret.Name)))
	}
	v, ok := rota.Find(contents.Versions, label)
	switch {
	case ok:
		return v, nil
	case label == rota.LabelCurrent:
		return rota.Version{}, rota.WithRemedies(fmt.Errorf("%s: there is no current version yet: %w", secret.Name, rota.ErrNotFound), firstCredential(secret))
	}
	return rota.Version{}, rota.WithRemedies(fmt.Errorf("%s: no version has the label %s: %w", secret.Name, label, rota.ErrNotFound), rota.Command(fmt.Sprintf("rota versions %s", secret.Name)))
}

// firstCredential is what leads to a current version of a secret that has none.
// One that only a person can rotate never gets one: its owner has the value.
func firstCredential(s *rotation.Secret) []rota.Remedy {
	if s.Issuer.Traits().Manual {
		return rota.Outside("ask " + cmp.Or(s.Owner, "whoever rotates it") + ": only a person can rotate it, and Rota doesn't hold its value")
	}
	return rotation.FirstCredential(s.Name)
}

// History returns entries of the audit. A secret that's no longer configured
// may still have some. One without any must be configured, and with Wired its
// store is asked what it holds.
func (l *Local) History(ctx context.Context, r api.HistoryRequest) (api.HistoryDoc, error) {
	if err := l.authorize(ctx, access.Audit, rotation.OpAudit, r.Secret); err != nil {
		return api.HistoryDoc{}, err
	}
	if r.Limit == 0 {
		r.Limit = 100
	}
	if r.Limit < 0 {
		return api.HistoryDoc{}, &UsageError{Err: fmt.Errorf("limit %d: must be at least 1", r.Limit)}
	}
	doc := api.HistoryDoc{Entries: []api.EntryDoc{}}
	if l.DB != nil {
		records, err := l.DB.Audit().Read(ctx, store.AuditQuery{Secret: r.Secret, After: r.After, Before: r.Before, Limit: r.Limit, Newest: !r.Oldest})
		if err != nil {
			return api.HistoryDoc{}, err
		}
		if !r.Oldest {
			slices.Reverse(records)
		}
		for _, e := range records {
			doc.Entries = append(doc.Entries, api.EntryDoc{Seq: e.Seq, Entry: e.Entry, Hash: e.Hash})
		}
	}
	if len(doc.Entries) > 0 || l.File == nil || r.Secret == "" || r.After != 0 || r.Before != 0 {
		return doc, nil
	}
	if _, err := l.resolveNames([]string{r.Secret}); err != nil {
		return api.HistoryDoc{}, err
	}
	if l.Wired == nil {
		return doc, nil
	}
	versions, err := l.storedVersions(ctx, r.Secret)
	if err != nil {
		doc.VersionsError, _, doc.Remedies = DescribeIn(err)
	}
	for _, v := range versions {
		d := describeVersion(v)
		d.State = "unknown" // the issuer isn't asked
		doc.Versions = append(doc.Versions, d)
	}
	return doc, nil
}

// describeTimeout limits how long a history without entries asks a store.
const describeTimeout = 30 * time.Second

// storedVersions is what the secret's store has: the data folder may be new,
// or lost while the store lives on.
func (l *Local) storedVersions(ctx context.Context, name string) ([]rota.Version, error) {
	if err := l.Wired.Broken[name]; err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	contents, err := l.Wired.ByName[name].Store.Describe(ctx)
	return contents.Versions, err
}

// verifyWithoutStore compares heads with the audit of a store that doesn't exist.
func verifyWithoutStore(_ context.Context, heads []anchor.Head) error {
	for _, h := range heads {
		if h.Seq > 0 {
			return &store.TamperError{Seq: 1, Reason: fmt.Sprintf("there is no store, but the head of entry %d was anchored at %s", h.Seq, h.At.UTC().Format("2006-01-02 15:04:05Z"))}
		}
	}
	return nil
}

// errNoHeads: a place that should hold signed heads has none. Whoever cut
// entries off may have removed them.
var errNoHeads = rota.WithRemedies(errors.New("there are none, so nothing shows whether entries were cut off"),
	rota.Outside("if the server has run since this place was configured, find out who removed them; if not, start it, and verify again after its first head"))

// Verify recomputes the audit's chain.
func (l *Local) Verify(ctx context.Context) (api.VerifyDoc, error) {
	if err := l.authorize(ctx, access.Audit, rotation.OpVerify, ""); err != nil {
		return api.VerifyDoc{}, err
	}
	doc, compare := api.VerifyDoc{Verified: true}, verifyWithoutStore
	if l.DB != nil {
		chain, err := l.DB.Audit().Verify(ctx)
		if err != nil {
			return api.VerifyDoc{}, err
		}
		doc.Entries, doc.Head, compare = chain.Entries, chain.Head, l.DB.Audit().VerifyHeads
		for _, b := range chain.Breaks {
			doc.Breaks = append(doc.Breaks, api.BreakDoc(b))
		}
	}
	// What's wrong at one place doesn't hide what another one shows.
	var tampered, others []error
	for _, p := range l.Anchors {
		heads, err := p.Heads(ctx)
		if errors.Is(err, anchor.ErrWriteOnly) {
			continue
		}
		if _, stray := errors.AsType[*anchor.StrayError](err); err == nil || stray {
			err = cmp.Or(compare(ctx, heads), err)
		}
		if err == nil && len(heads) == 0 && doc.Entries > 0 {
			err = errNoHeads
		}
		if err != nil {
			err = fmt.Errorf("the heads in %s: %w", p.Name(), err)
			if _, ok := errors.AsType[*store.TamperError](err); ok {
				tampered = append(tampered, err)
			} else {
				others = append(others, err)
			}
			continue
		}
		doc.Anchored += len(heads)
		doc.Places = append(doc.Places, p.Name())
	}
	if len(tampered)+len(others) > 0 {
		return api.VerifyDoc{}, errors.Join(slices.Concat(tampered, others)...)
	}
	return doc, nil
}
