package rotation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// observation is what a turn saw when it last looked outside.
type observation struct {
	// contents is the store's, with the credentials of its versions identified.
	contents rota.Contents
	// issued is the issuer's list, kept until an effect makes it stale; listed
	// says whether there is one, and listedAt when it was asked for.
	issued   []rota.Issued
	listed   bool
	listedAt time.Time
	// idleLooks counts the looks in a row that found the previous credential idle,
	// where the issuer only shows who is logged in right now; sampled says that
	// one of them went into the progress.
	idleLooks int
	sampled   bool
	// outdatedSince is when the store was restored from a backup, if its current
	// version, refused, was replaced since then.
	outdatedSince time.Time
	refused       string
	rivals        []Rival
	ready         readiness
	told          told
	// holdings are the consumers that may hold the previous credential, if
	// holdersKnown.
	holdings     []Holding
	holdersKnown bool
	// instances are who holds which version, if instancesKnown.
	instances      Instances
	instancesKnown bool
}

// find is the version that carries the label.
func (o *observation) find(l rota.Label) (rota.Version, bool) {
	return rota.Find(o.contents.Versions, l)
}

// credential is the version that carries the label, if it holds a credential.
func (o *observation) credential(l rota.Label) (rota.Version, bool) {
	return findCredential(o.contents.Versions, l)
}

// holder is the id of the version that carries the label, "" for none.
func (o *observation) holder(l rota.Label) string {
	v, _ := o.find(l)
	return v.ID
}

// version is the one with that id, as long as it carries a label.
func (o *observation) version(id string) (rota.Version, bool) {
	return rota.FindID(o.contents.Versions, id)
}

// issuedAs is the issuer's entry for a credential.
func (o *observation) issuedAs(credentialID string) (rota.Issued, bool) {
	return findIssued(o.issued, credentialID)
}

// noteIssued applies to the issuer's list what a call of ours did to a
// credential. The list itself may lag behind: after asking again, the planner
// would repeat the call over and over.
func (o *observation) noteIssued(credentialID string, change func(*rota.Issued)) {
	o.issued = slices.Clone(o.issued)
	for i := range o.issued {
		if o.issued[i].ID == credentialID {
			change(&o.issued[i])
		}
	}
	o.issued = slices.DeleteFunc(o.issued, func(i rota.Issued) bool { return i.ID == "" })
}

// invalidateList says that an effect changed what the issuer has, so it must be
// listed again. Who holds the previous credential is asked again, too.
func (o *observation) invalidateList() {
	o.listed, o.issued = false, nil
	o.holdings, o.holdersKnown = nil, false
	o.instances, o.instancesKnown = Instances{}, false
}

// observe looks at the store, and brings what is remembered in line with it.
func (t *turn) observe(ctx context.Context) error {
	contents, known := t.ledger.takeContents()
	if !known {
		err := t.outside.retry(ctx, 3, "store.describe", "", func(ctx context.Context) (err error) {
			contents, err = t.s.Store.Describe(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("describe the store: %w", err)
		}
	}
	t.ledger.foresee(contents.Versions)
	if err := t.identify(ctx, contents.Versions); err != nil {
		return err
	}
	t.seen.contents = contents
	if t.s.Rivals != nil {
		t.seen.rivals = t.s.Rivals(ctx).Found
	}
	t.ledger.noteWentBack(contents)
	t.ledger.forget(contents, t.asked.driver != nil)
	t.ledger.rebuild(contents, t.asked.step)
	return t.compareRestored(ctx)
}

// identify fills in the issuer's names of the versions' credentials: from
// memory, as a version never changes, or by reading the value, which an issuer
// that lists by value has to see in each process.
func (t *turn) identify(ctx context.Context, versions []rota.Version) error {
	traits := t.s.Issuer.Traits()
	life := traits.Lifetime
	for i := range versions {
		v := &versions[i]
		known := t.ledger.version(v.ID)
		v.CredentialID, v.ExpiresAt = known.CredentialID, known.ExpiresAt
		if v.CredentialID != "" && !traits.ListsByValue && (life == 0 || !v.ExpiresAt.IsZero() || v.CredentialID == rota.NoCredential) {
			continue
		}
		c, err := t.outside.get(ctx, v.ID)
		if errors.Is(err, rota.ErrNotFound) {
			v.Empty = true // announced, but without a value yet
			continue
		}
		if err != nil {
			return fmt.Errorf("read version %s: %w", v.ID, err)
		}
		v.CredentialID = cmp.Or(t.s.Issuer.CredentialID(c), rota.NoCredential)
		v.ExpiresAt = c.ExpiresAt()
		t.ledger.update(v.ID, func(vp *VersionProgress) { vp.CredentialID, vp.ExpiresAt = v.CredentialID, v.ExpiresAt })
	}
	return nil
}

// list asks the issuer which credentials exist, and whether those that could be
// retired are in use. If it can't say, they count as in use.
func (t *turn) list(ctx context.Context) error {
	lister, ok := t.s.Issuer.(rota.Lister)
	if !ok {
		return nil
	}
	var issued []rota.Issued
	var asked time.Time
	err := t.outside.retry(ctx, 3, "issuer.list", "", func(ctx context.Context) (err error) {
		asked = t.Now()
		issued, err = lister.List(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("list what the issuer has: %w", err)
	}
	current, _ := t.seen.find(rota.LabelCurrent)
	if hidesLock(t.s.Issuer, issued, current.CredentialID) {
		if err := t.outside.retry(ctx, 3, "issuer.locked", current.CredentialID, func(ctx context.Context) (err error) {
			issued, err = withLock(ctx, t.s.Issuer, issued, current.CredentialID)
			return err
		}); err != nil {
			return fmt.Errorf("see whether %s is locked: %w", current.CredentialID, err)
		}
	}
	if reporter, ok := t.s.Issuer.(rota.UseReporter); ok {
		for i := range issued {
			if issued[i].ID != current.CredentialID {
				issued[i].Use = t.use(ctx, reporter, issued[i].ID)
			}
		}
	}
	t.seen.issued, t.seen.listed, t.seen.listedAt = issued, true, asked
	t.noteEnds()
	t.noteReactivated()
	t.sample()
	t.forgetIntents()
	return nil
}

// hidesLock reports whether somebody may have locked the account of the current
// credential without the issuer's list showing it.
func hidesLock(issuer rota.Issuer, issued []rota.Issued, current string) bool {
	_, ok := issuer.(rota.Locker)
	c, there := findIssued(issued, current)
	return ok && current != "" && current != rota.NoCredential && (!there || !c.Active && c.Unlock == "")
}

// withLock adds to the issuer's list whether somebody locked the account of the
// current credential, if the list may hide that.
func withLock(ctx context.Context, issuer rota.Issuer, issued []rota.Issued, current string) ([]rota.Issued, error) {
	if !hidesLock(issuer, issued, current) {
		return issued, nil
	}
	unlock, err := issuer.(rota.Locker).Locked(ctx, current)
	i := slices.IndexFunc(issued, func(c rota.Issued) bool { return c.ID == current })
	switch {
	case err != nil || unlock == "":
		return issued, err
	case i >= 0:
		issued[i].Unlock = unlock
		return issued, nil
	}
	return append(issued, rota.Issued{ID: current, Unlock: unlock}), nil
}

// noteEnds remembers when the issuer ends the versions' credentials: its list may
// leave out those that have ended. Several versions may hold the same account's
// credential, and what's listed is the end of the current one.
func (t *turn) noteEnds() {
	current := t.seen.holder(rota.LabelCurrent)
	held, _ := t.seen.credential(rota.LabelCurrent)
	for _, v := range t.seen.contents.Versions {
		c, there := t.seen.issuedAs(v.CredentialID)
		if !there || v.ID != current && v.CredentialID == held.CredentialID {
			continue
		}
		if c.EndsWithAccount {
			c.ExpiresAt = time.Time{}
		}
		if !t.ledger.version(v.ID).EndsAt.Equal(c.ExpiresAt) {
			t.ledger.update(v.ID, func(vp *VersionProgress) { vp.EndsAt = c.ExpiresAt })
		}
	}
}

// noteReactivated notes that a person reactivated what Rota had deactivated, and when
// it was off again: the second grace starts anew.
func (t *turn) noteReactivated() {
	for _, v := range t.seen.contents.Versions {
		vp := t.ledger.version(v.ID)
		c, there := t.seen.issuedAs(v.CredentialID)
		switch since := vp.DeactivatedAt; {
		case !there || since.IsZero():
		case c.Active && vp.ActiveAt.IsZero() && !t.seen.listedAt.Before(since.Add(t.s.Issuer.Traits().ConsistencyDelay)):
			t.ledger.update(v.ID, func(vp *VersionProgress) { vp.ActiveAt = t.seen.listedAt })
		case !c.Active && !vp.ActiveAt.IsZero():
			t.ledger.update(v.ID, func(vp *VersionProgress) { vp.off(t.seen.listedAt) })
		}
	}
}

func (t *turn) use(ctx context.Context, reporter rota.UseReporter, id string) rota.Use {
	var u rota.Use
	err := t.outside.retry(ctx, 3, "issuer.last_used", id, func(ctx context.Context) (err error) {
		u, err = reporter.LastUsed(ctx, id)
		return err
	})
	if err != nil {
		err = t.ledger.clean(err)
		return rota.Use{Detail: "the issuer (its answer: " + rota.OneLine(err.Error()) + ")", Remedies: rota.RemediesOf(err)}
	}
	return u
}

// sample counts a look at whether the previous credential is in use, where the
// issuer only shows the moment. A turn adds one look at most to the progress.
func (t *turn) sample() {
	previous, _ := t.seen.find(rota.LabelPrevious)
	for _, c := range t.seen.issued {
		if c.ID != previous.CredentialID || c.Use.Evidence != rota.EvidenceSampled {
			continue
		}
		if t.seen.idleLooks++; !c.Use.At.IsZero() {
			t.seen.idleLooks = 0
		}
		if t.seen.sampled {
			continue
		}
		t.seen.sampled = true
		t.ledger.update(previous.ID, func(vp *VersionProgress) {
			switch {
			case !c.Use.At.IsZero():
				vp.QuietSince, vp.QuietSamples = time.Time{}, 0
			case vp.QuietSince.IsZero():
				vp.QuietSince, vp.QuietSamples = t.Now(), 1
			default:
				vp.QuietSamples++
			}
		})
	}
}
