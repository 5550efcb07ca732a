package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// checkTimeout limits all checks of one secret.
const checkTimeout = time.Minute

// Check asks the real systems whether a rotation would work.
func (l *Local) Check(ctx context.Context, names []string) (api.CheckDoc, error) {
	list, err := l.choose(ctx, access.Rotate, rotation.OpCheck, names)
	if err != nil {
		return api.CheckDoc{}, err
	}
	var findings []api.FindingDoc
	for _, f := range l.StoreFindings {
		findings = append(findings, api.FindingDoc{Finding: f})
	}
	findings = append(findings, l.checkStore(ctx)...)
	for _, w := range slices.Concat(l.File.Warnings(), l.Wired.Warnings) {
		findings = append(findings, api.FindingDoc{Finding: rota.Finding{
			Warning: true, Check: fmt.Sprintf("%s:%d", w.File, w.Line), Detail: w.Text(), Remedies: w.Remedies,
		}})
	}
	doc := api.CheckDoc{Findings: append(findings, l.preflight(ctx, list)...)}
	for i, f := range doc.Findings {
		doc.Findings[i].Hint = hint.Of(f.Remedies)
		switch {
		case f.OK:
		case f.Warning:
			doc.Warnings++
		default:
			doc.Failed++
		}
	}
	doc.OK = doc.Failed == 0
	return doc, nil
}

// preflight runs the checks of all secrets, several at once, and returns
// the findings in the order of the secrets.
func (l *Local) preflight(ctx context.Context, list []chosen) []api.FindingDoc {
	found := make([][]rota.Finding, len(list))
	errs := readEach(ctx, list, func(ctx context.Context, i int, s *rotation.Secret) error {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		found[i] = rotation.Preflight(ctx, l.forCaller(s))
		return ctx.Err()
	})
	var out []api.FindingDoc
	for i, c := range list {
		if errs[i] != nil && found[i] == nil {
			f := rota.Finding{Check: "systems"}
			if c.err != nil {
				f.Check = "configuration"
			}
			f.Detail, _, f.Remedies = DescribeIn(errs[i])
			found[i] = []rota.Finding{f}
		}
		for _, f := range found[i] {
			out = append(out, api.FindingDoc{Secret: c.name, Finding: f})
		}
	}
	return out
}

// forCaller is the secret without the names of those that the caller may not
// see.
func (l *Local) forCaller(s *rotation.Secret) *rotation.Secret {
	if s.Rivals == nil {
		return s
	}
	seen := *s
	seen.Rivals = func(ctx context.Context) rotation.Rivals {
		r := s.Rivals(ctx)
		for _, rivals := range [][]rotation.Rival{r.Found, r.Unknown} {
			for i := range rivals {
				if !l.Caller.Allows(access.List, rivals[i].Secret) {
					rivals[i] = rivals[i].Anonymous()
				}
			}
		}
		return r
	}
	return &seen
}

// checkStore checks Rota's own store.
func (l *Local) checkStore(ctx context.Context) []api.FindingDoc {
	if l.DB == nil || !l.Caller.Allows(access.Audit, "") {
		return nil
	}
	finding := func(check, detail string, err error) api.FindingDoc {
		f := rota.Finding{OK: err == nil, Check: "own store: " + check, Detail: detail}
		if err != nil {
			f.Detail, f.Remedies = err.Error(), rota.RemediesOf(err)
		}
		return api.FindingDoc{Finding: f}
	}
	chain, err := l.DB.Audit().Verify(ctx)
	detail := fmt.Sprintf("the chain of %d entries is intact", chain.Entries)
	if n := len(chain.Breaks); n > 0 {
		detail += fmt.Sprintf(", except for breaks that were acknowledged: %d", n)
	}
	out := []api.FindingDoc{finding("audit", detail, err)}
	switch open, err := l.DB.IsOpen(ctx); {
	case err != nil:
		out = append(out, finding("access", "", err))
	case open:
		f := finding("access", "every role of the server may connect to the database, and so hold up Rota's writes with locks", nil)
		f.OK, f.Warning, f.Remedies = false, true, rota.Outside("REVOKE CONNECT ON DATABASE … FROM PUBLIC")
		out = append(out, f)
	}
	statuses, err := l.DB.Overview().Statuses(ctx)
	if err != nil {
		return append(out, finding("progress", "", err))
	}
	if unknown := l.unknown(statuses); len(unknown) > 0 {
		f := finding("progress", "it still has secrets that rota.yaml no longer names: "+strings.Join(unknown, ", "), nil)
		f.OK, f.Warning, f.Remedies = false, true, rota.Configure("secrets", "put them back, if they were removed or renamed by mistake")
		out = append(out, f)
	}
	return out
}
