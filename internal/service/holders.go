package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// The most that one report may hold.
const (
	maxReported       = 1000 // secrets
	maxVersionsHeld   = 20   // of one secret
	maxInstanceName   = 200  // bytes
	maxVersionIDBytes = 128
)

// Report records which versions an instance holds, as far as the caller may read
// them.
func (l *Local) Report(ctx context.Context, r api.ReportRequest) (api.ReportDoc, error) {
	if err := checkReport(r); err != nil {
		return api.ReportDoc{}, &UsageError{Err: err}
	}
	if l.DB == nil {
		return api.ReportDoc{}, errNoStore
	}
	by := l.Caller.Principal
	if r.Ended {
		return api.ReportDoc{}, l.DB.Holders().End(ctx, by, r.Instance)
	}
	var doc api.ReportDoc
	refuse := func(secret string, why api.RefusalReason) {
		doc.Refused = append(doc.Refused, api.RefusedReport{Secret: secret, Reason: why})
	}
	next := rotation.DefaultWithin
	report := store.HolderReport{Principal: by, Instance: r.Instance}
	for _, h := range r.Holding {
		if !l.Caller.Allows(access.Read, h.Secret) {
			if err := l.authorize(ctx, access.Read, rotation.OpReport, h.Secret); !errors.Is(err, access.ErrDenied) {
				return api.ReportDoc{}, err
			}
			refuse(h.Secret, api.RefusedDenied)
			continue
		}
		if !l.File.Has(h.Secret) {
			refuse(h.Secret, api.RefusedUnknown)
			continue
		}
		within := l.within(h.Secret)
		next = min(next, within)
		report.Held = append(report.Held, store.Held{Secret: h.Secret, Versions: h.Versions, Within: within})
	}
	full, err := l.DB.Holders().Report(ctx, report)
	if err != nil {
		return api.ReportDoc{}, err
	}
	for _, secret := range full {
		refuse(secret, api.RefusedFull)
	}
	doc.NextSeconds = int64((next / 3).Seconds())
	return doc, nil
}

func (l *Local) within(secret string) time.Duration { return Within(l.File.Policy(secret)) }

// Within is how long a report about a secret with this policy counts.
func Within(p rotation.Policy) time.Duration {
	if p.RetireWhen != nil {
		return p.RetireWhen.Within
	}
	return rotation.DefaultWithin
}

func checkReport(r api.ReportRequest) error {
	switch {
	case !printable(r.Instance, maxInstanceName):
		return rota.WithRemedies(errors.New("the instance has no name that can be shown"), rota.Outside(fmt.Sprintf("a name of 1 to %d bytes, without control characters", maxInstanceName)))
	case len(r.Holding) > maxReported:
		return rota.WithRemedies(fmt.Errorf("a report about %d secrets", len(r.Holding)), rota.Outside(fmt.Sprintf("several reports about %d at most", maxReported)))
	case r.Ended && len(r.Holding) > 0:
		return errors.New("an instance that has ended holds nothing")
	}
	seen := make(map[string]bool, len(r.Holding))
	for _, h := range r.Holding {
		if seen[h.Secret] { // each says all that's held of one secret, so the other would be forgotten
			return errors.New("a report that names a secret twice")
		}
		seen[h.Secret] = true
		if len(h.Versions) > maxVersionsHeld || !printable(h.Secret, 512) {
			return fmt.Errorf("a report about %d versions of one secret: %d at most", len(h.Versions), maxVersionsHeld)
		}
		for _, v := range h.Versions {
			if !printable(v, maxVersionIDBytes) {
				return fmt.Errorf("a version's id has 1 to %d bytes, without control characters", maxVersionIDBytes)
			}
		}
	}
	return nil
}

func printable(s string, most int) bool {
	return s != "" && len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// noteRead records that an instance is about to get a value, before it gets it: from
// then on it holds that version, whether or not it ever reports.
func (l *Local) noteRead(ctx context.Context, instance, secret, version string) error {
	if instance == "" {
		return nil
	}
	if !printable(instance, maxInstanceName) {
		return &UsageError{Err: errors.New("the instance has no name that can be shown")}
	}
	_, err := l.DB.Holders().Report(ctx, store.HolderReport{
		Principal: l.Caller.Principal, Instance: instance, Adds: true,
		Held: []store.Held{{Secret: secret, Versions: []string{version}, Within: l.within(secret)}},
	})
	return err
}

// Holders says who holds which version of a secret.
func (l *Local) Holders(ctx context.Context, name string) (api.HoldersDoc, error) {
	if err := l.authorize(ctx, access.List, rotation.OpHolders, name); err != nil {
		return api.HoldersDoc{}, err
	}
	if _, err := l.resolveNames([]string{name}); err != nil {
		return api.HoldersDoc{}, err
	}
	doc := api.HoldersDoc{Secret: name, WithinSeconds: int64(l.within(name).Seconds()), Retires: l.File.Policy(name).RetireWhen != nil, Holders: []api.HolderDoc{}}
	if l.DB == nil {
		return doc, nil
	}
	kept, err := l.DB.Journal().Load(ctx, name)
	if err != nil {
		return api.HoldersDoc{}, err
	}
	doc.Version = kept.Progress.Status.Version
	if v, ok := rota.Find(kept.Contents.Versions, rota.LabelCurrent); ok {
		doc.Version = v.ID
	}
	if doc.ListeningSince, err = l.DB.Holders().ListeningSince(ctx); err != nil {
		return api.HoldersDoc{}, err
	}
	leases, err := l.DB.Holders().Of(ctx, name)
	if err != nil {
		return api.HoldersDoc{}, err
	}
	type instance struct{ principal, name string }
	known, older := map[instance]bool{}, map[instance]bool{}
	for _, h := range leases {
		one := api.HolderDoc{Instance: h.Instance, Principal: h.Principal, Version: h.Version, Current: h.Version == doc.Version, Since: h.Since, Until: h.Until}
		doc.Holders = append(doc.Holders, one)
		known[instance{h.Principal, h.Instance}] = true
		if !one.Current {
			older[instance{h.Principal, h.Instance}] = true
		}
	}
	doc.Instances, doc.Older = len(known), len(older)
	// Those with an older version first: they're what one looks for.
	slices.SortStableFunc(doc.Holders, func(x, y api.HolderDoc) int {
		switch {
		case x.Current == y.Current:
			return 0
		case y.Current:
			return -1
		}
		return 1
	})
	return doc, nil
}

// Forget drops what instances reported about versions other than the current one.
func (l *Local) Forget(ctx context.Context, r api.ForgetRequest) (api.ForgetDoc, error) {
	secret, err := l.chooseOne(ctx, access.Retire, rotation.OpForget, r.Secret)
	if err != nil {
		return api.ForgetDoc{}, err
	}
	if l.DB == nil {
		return api.ForgetDoc{}, errNoStore
	}
	current, err := findVersion(ctx, secret, rota.LabelCurrent, "")
	if err != nil {
		return api.ForgetDoc{}, err
	}
	n, err := l.DB.Holders().Forget(ctx, r.Secret, current.ID, r.Instance, l.Caller, r.Reason)
	return api.ForgetDoc{Secret: r.Secret, Forgotten: n}, err
}
