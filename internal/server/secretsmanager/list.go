package secretsmanager

import (
	"context"
	"time"

	"github.com/rota-dev/rota/internal/store/record"
)

const (
	maxPage = 100 // also the default
	// maxScan bounds how many secrets one call looks at if filters or the
	// caller's permissions let few of them through. The page is then short.
	maxScan = 5000
)

type listSecretsRequest struct {
	Filters                []filter
	IncludePlannedDeletion bool
	MaxResults             *int64
	NextToken              string
	SortOrder              string
	SortBy                 string
}

var orders = map[string]record.Order{
	"":                   record.ByCreation,
	"created-date":       record.ByCreation,
	"last-accessed-date": record.ByAccess,
	"last-changed-date":  record.ByChange,
	"name":               record.ByName,
}

func (r *listSecretsRequest) check() error {
	if _, ok := orders[r.SortBy]; !ok {
		return violation("sortBy", "Member must satisfy enum value set: [created-date, last-accessed-date, last-changed-date, name]")
	}
	if r.SortOrder != "" && r.SortOrder != "asc" && r.SortOrder != "desc" {
		return violation("sortOrder", "Member must satisfy enum value set: [asc, desc]")
	}
	return firstError(checkFilters(r.Filters), checkRange("maxResults", r.MaxResults, 1, maxPage), checkLength("nextToken", r.NextToken, 0, maxToken))
}

type listEntry struct {
	secretEntry
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

type secretList struct {
	SecretList []listEntry
	NextToken  string `json:",omitempty"`
}

func listSecrets(ctx context.Context, s *Server, g *record.Guarded, in *listSecretsRequest) (*secretList, error) {
	q := search{
		filters: in.Filters, includeDeleted: in.IncludePlannedDeletion, by: orders[in.SortBy],
		descending: in.SortOrder == "desc", limit: maxPage, token: in.NextToken,
	}
	if in.MaxResults != nil {
		q.limit = int(*in.MaxResults)
	}
	found, next, err := scan(ctx, s, g, q)
	if err != nil {
		return nil, err
	}
	managed, err := s.managedSecrets(ctx, found...)
	if err != nil {
		return nil, err
	}
	out := &secretList{SecretList: make([]listEntry, 0, len(found)), NextToken: next}
	for _, r := range found {
		out.SecretList = append(out.SecretList, listEntry{s.entry(r, managed), stages(r)})
	}
	return out, nil
}

// search says which secrets are wanted.
type search struct {
	filters        []filter
	includeDeleted bool // also those scheduled for deletion
	by             record.Order
	descending     bool
	limit          int
	token          string // of the previous page
}

// scan returns one page of the matching secrets and the next page's token, ""
// at the end.
func scan(ctx context.Context, s *Server, g *record.Guarded, q search) (found []record.Record, token string, err error) {
	p := record.Page{By: q.by, Descending: q.descending, Limit: maxPage}
	if q.token != "" {
		if p.After, err = q.readToken(ctx, s); err != nil {
			return nil, "", err
		}
	}
	for scanned := 0; ; scanned += p.Limit {
		page, next, err := g.List(ctx, p)
		if err != nil {
			return nil, "", err
		}
		for _, r := range page {
			if (!q.includeDeleted && !r.DeleteAt.IsZero()) || !s.matchesAll(r, q.filters) {
				continue
			}
			if len(found) == q.limit {
				token, err := q.nextToken(ctx, s, q.by.Cursor(found[len(found)-1]))
				return found, token, err
			}
			found = append(found, r)
		}
		if next == (record.Cursor{}) {
			return found, "", nil
		}
		if p.After = next; scanned >= maxScan {
			token, err := q.nextToken(ctx, s, next)
			return found, token, err
		}
	}
}

// listToken is where a list continues, and which list it is.
type listToken struct {
	By         record.Order `json:"b,omitempty"`
	Descending bool         `json:"d,omitempty"`
	At         int64        `json:"a,omitempty"` // Unix nanoseconds, 0 for no time
	Name       string       `json:"n"`
}

func (q search) nextToken(ctx context.Context, s *Server, m record.Cursor) (string, error) {
	t := listToken{By: q.by, Descending: q.descending, Name: m.Name}
	if !m.At.IsZero() {
		t.At = m.At.UnixNano()
	}
	return s.sealToken(ctx, t)
}

func (q search) readToken(ctx context.Context, s *Server) (record.Cursor, error) {
	var t listToken
	if err := s.openToken(ctx, q.token, &t); err != nil {
		return record.Cursor{}, err
	}
	if t.Name == "" || t.By != q.by || t.Descending != q.descending {
		return record.Cursor{}, errBadToken()
	}
	m := record.Cursor{Name: t.Name}
	if t.At != 0 {
		m.At = time.Unix(0, t.At).UTC()
	}
	return m, nil
}

func errBadToken() *Error {
	return newError("InvalidNextTokenException", "The NextToken value is invalid.")
}
