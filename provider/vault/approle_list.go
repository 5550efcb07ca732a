package vault

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rota-dev/rota"
)

// secretID is one as Vault shows it.
type secretID struct {
	Created  time.Time         `json:"creation_time"`
	Updated  time.Time         `json:"last_updated_time"`
	Expires  time.Time         `json:"expiration_time"` // the year 1 if it doesn't
	Uses     int64             `json:"secret_id_num_uses"`
	Metadata map[string]string `json:"metadata"`
}

// lookUp asks about one secret id; false if there's no such one.
func (s *SecretIDs) lookUp(ctx context.Context, accessor string) (secretID, bool, error) {
	var one *secretID
	k := call{op: "look at secret id " + accessor + " of " + s.role(), method: http.MethodPost, path: s.at("secret-id-accessor", "lookup"), body: map[string]any{FieldAccessor: accessor}}
	_, err := s.Connection.do(ctx, k, &one)
	if isAbsent(err) { // Vault says why among the data, which is of no use
		return secretID{}, false, nil
	}
	if err != nil || one == nil {
		return secretID{}, false, err
	}
	return *one, true, nil
}

// lookUpsAtOnce is how many secret ids are looked up at the same time. Some roles have
// thousands.
const lookUpsAtOnce = 8

// lookUpAll asks about secret ids that it doesn't know yet, and forgets the others.
func (s *SecretIDs) lookUpAll(ctx context.Context, accessors []string) (map[string]secretID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]secretID{}
	var mu sync.Mutex // guards all
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lookUpsAtOnce)
	for _, accessor := range accessors {
		if one, known := s.known[accessor]; known {
			mu.Lock()
			all[accessor] = one
			mu.Unlock()
			continue
		}
		g.Go(func() error {
			one, there, err := s.lookUp(ctx, accessor)
			if there {
				mu.Lock()
				defer mu.Unlock()
				all[accessor] = one
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	s.known = all
	return all, nil
}

// List implements [rota.Lister]: the role's secret ids that aren't over, whoever made
// them.
func (s *SecretIDs) List(ctx context.Context) ([]rota.Issued, error) {
	var list struct {
		Keys []string `json:"keys"`
	}
	_, err := s.Connection.do(ctx, call{op: "list the secret ids of " + s.role(), method: methodList, path: s.at("secret-id")}, &list)
	if err != nil && !isAbsent(err) {
		return nil, err
	}
	known, err := s.lookUpAll(ctx, list.Keys)
	if err != nil {
		return nil, err
	}
	now := s.Connection.vaultsNow()
	here := s.Connection.clock.Here
	var issued []rota.Issued
	for _, accessor := range list.Keys {
		one, there := known[accessor]
		if !there || one.over(now) {
			continue
		}
		x := rota.Issued{ID: accessor, Active: true, CreatedAt: here(one.Created.UTC()), Mark: one.Metadata[markKey]}
		if one.Expires.Year() > 1 {
			x.ExpiresAt = here(one.Expires.UTC())
		}
		issued = append(issued, x)
	}
	return issued, nil
}

// over reports whether it has expired. Vault lists those for a while.
func (x secretID) over(now time.Time) bool { return x.Expires.Year() > 1 && !now.Before(x.Expires) }

// LastUsed implements [rota.UseReporter].
func (s *SecretIDs) LastUsed(ctx context.Context, accessor string) (rota.Use, error) {
	one, there, err := s.lookUp(ctx, accessor)
	if err != nil {
		return rota.Use{}, err
	}
	if !there || one.Uses == 0 {
		return rota.Use{Remedies: rota.Configure("num_uses", "set num_uses to a number far above the logins that there will be, such as 1000000: Vault notes the use of a secret id only if it counts it")}, nil
	}
	use := rota.Use{Evidence: rota.EvidenceRecorded}
	if one.Updated.After(one.Created) {
		use.At = s.Connection.clock.Here(one.Updated.UTC())
	}
	return use, nil
}
