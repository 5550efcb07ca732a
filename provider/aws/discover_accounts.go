package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// atOnce is how many accounts are searched at the same time.
const atOnce = 4

// account is one AWS account and what was found in it.
type account struct {
	number      string   // "" if it couldn't be asked
	connections []string // that lead to it; the first one listed the keys
	inventory   Inventory
	holders     []holding
	problems    []error
	err         error // why nothing was found
}

// holding is a secret that holds a key, and the connection that found it.
type holding struct {
	Holder
	connection string
}

// lookAtAccounts searches each account once, however many connections lead to
// it, and Secrets Manager through each of them.
func lookAtAccounts(ctx context.Context, connections []*Connection, search bool) []account {
	byNumber := map[string][]*Connection{}
	var order []string
	var accounts []account
	for i, at := range places(ctx, connections) {
		c := connections[i]
		if at.err != nil {
			accounts = append(accounts, account{connections: []string{c.Name()}, err: at.err})
			continue
		}
		if byNumber[at.Account] == nil {
			order = append(order, at.Account)
		}
		byNumber[at.Account] = append(byNumber[at.Account], c)
	}
	found := make([]account, len(order))
	inParallel(len(order), func(i int) { found[i] = lookAtAccount(ctx, order[i], byNumber[order[i]], search) })
	return append(accounts, found...)
}

type placed struct {
	Place
	err error
}

// places asks AWS which account each connection leads to. A role's account is
// known without asking, but this finds roles that can't be assumed.
func places(ctx context.Context, connections []*Connection) []placed {
	out := make([]placed, len(connections))
	inParallel(len(connections), func(i int) {
		out[i].Place, out[i].err = connections[i].Place(ctx)
		if out[i].err == nil && !out[i].Ask {
			out[i].err = connections[i].LogIn(ctx)
		}
	})
	return out
}

// inParallel calls do n times, a few at a time.
func inParallel(n int, do func(i int)) {
	var all errgroup.Group
	all.SetLimit(atOnce)
	for i := range n {
		all.Go(func() error { do(i); return nil })
	}
	_ = all.Wait()
}

// lookAtAccount lists the keys through the first connection that's allowed to,
// and searches the secrets of all of them.
func lookAtAccount(ctx context.Context, number string, connections []*Connection, search bool) account {
	x := account{number: number}
	for _, c := range connections {
		x.connections = append(x.connections, c.Name())
	}
	var errs []error
	for i, c := range connections {
		inventory, err := c.Inventory(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		x.inventory, x.problems, errs = inventory, inventory.Problems, nil
		x.connections[0], x.connections[i] = x.connections[i], x.connections[0]
		break
	}
	if x.err = errors.Join(errs...); x.err != nil || !search {
		return x
	}
	regions := map[string]bool{}
	for _, c := range connections {
		if regions[c.Region()] {
			continue
		}
		found, problems, err := c.FindKeys(ctx)
		if err != nil {
			problems = append(problems, err)
		} else {
			regions[c.Region()] = true
		}
		x.problems = append(x.problems, problems...)
		for _, h := range found {
			x.holders = append(x.holders, holding{h, c.Name()})
		}
	}
	return x
}

// managed returns the secrets in rota.yaml that rotate an IAM user's keys, by
// account and user.
func managed(ctx context.Context, file *provider.DiscoveryFile, accounts []account) map[[2]string]string {
	out := map[[2]string]string{}
	if file == nil {
		return out
	}
	numbers := map[string]string{}
	for _, x := range accounts {
		for _, name := range x.connections {
			numbers[name] = x.number
		}
	}
	for _, p := range file.Pieces() {
		keys, ok := p.Made.(*accessKeys)
		if !ok {
			continue
		}
		c := keys.Connection()
		if _, asked := numbers[c.Name()]; !asked { // not one to search, but it might be the same account
			at, _ := c.Place(ctx)
			numbers[c.Name()] = at.Account
		}
		out[[2]string{numbers[c.Name()], strings.ToLower(keys.User())}] = p.Secret
	}
	return out
}

// discovered combines what was found, overdue keys first.
func (o *discoverOptions) discovered(ctx context.Context, r provider.DiscoveryRequest, accounts []account) discoverDoc {
	now := r.Now
	managed := managed(ctx, r.File, accounts)
	doc := discoverDoc{At: now.UTC(), MaxAge: rota.FormatDuration(o.limit), Keys: []discoveredKey{}}
	slices.SortFunc(accounts, func(a, b account) int {
		return cmp.Or(cmp.Compare(a.number, b.number), slices.Compare(a.connections, b.connections))
	})
	for _, x := range accounts {
		doc.Accounts = append(doc.Accounts, x.doc())
		for _, k := range x.inventory.Keys {
			age := max(now.Sub(k.CreatedAt), 0)
			key := discoveredKey{
				Account: x.number, Connection: x.connections[0], User: k.User, KeyID: k.ID, Active: k.Active, Created: k.CreatedAt,
				AgeDays: int(age / rota.Day), UseKnown: k.UseKnown, LastUsed: k.UsedAt, Service: k.Service, Region: k.Region,
				Managed: managed[[2]string{x.number, strings.ToLower(k.User)}], Overdue: k.Active && age > o.limit,
			}
			for _, h := range x.holders {
				if h.KeyID == k.ID {
					key.HeldBy = append(key.HeldBy, heldBy{Secret: h.Secret, Region: h.Region, Connection: h.connection, IDField: h.IDField, SecretField: h.SecretField})
				}
			}
			if key.Overdue {
				doc.Overdue++
			}
			doc.Keys = append(doc.Keys, key)
		}
	}
	slices.SortFunc(doc.Keys, func(a, b discoveredKey) int {
		if a.Overdue != b.Overdue {
			if a.Overdue {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.User, b.User), a.Created.Compare(b.Created), cmp.Compare(a.KeyID, b.KeyID))
	})
	return doc
}

// doc converts the account for output.
func (x account) doc() discoveredAccount {
	d := discoveredAccount{
		Account: x.number, Connections: x.connections, Users: x.inventory.Users, WithoutKeys: x.inventory.WithoutKeys,
		RootKeys: x.inventory.RootKeys, ReportAt: x.inventory.ReportAt,
	}
	if n := x.inventory.ConsoleOnly; n >= 0 && x.err == nil {
		d.ConsoleOnly = &n
	}
	if x.err != nil {
		d.Error, d.Remedies = x.err.Error(), rota.RemediesOf(x.err)
		d.Hint = rota.Hint(d.Remedies)
	}
	for _, p := range x.problems {
		d.Problems = append(d.Problems, rota.WithHint(p.Error(), rota.RemediesOf(p), rota.Remedy.String))
	}
	return d
}

// problemsOf returns what couldn't be determined, for people.
func problemsOf(accounts []account) []error {
	var all []error
	for _, x := range accounts {
		if x.err != nil {
			all = append(all, fmt.Errorf("connection %s: %w", strings.Join(x.connections, ", "), x.err))
		}
		for _, p := range x.problems {
			all = append(all, fmt.Errorf("account %s: %w", x.number, p))
		}
	}
	return all
}

// The document of rota discover aws.

type discoverDoc struct {
	At       time.Time           `json:"at"`
	MaxAge   string              `json:"max_age"`
	Overdue  int                 `json:"overdue"`
	Accounts []discoveredAccount `json:"accounts"`
	Keys     []discoveredKey     `json:"keys"`
}

type discoveredAccount struct {
	Account     string        `json:"account,omitempty"` // missing if it couldn't be asked
	Connections []string      `json:"connections"`
	Users       int           `json:"users"`
	WithoutKeys int           `json:"without_keys"`           // users without an access key
	ConsoleOnly *int          `json:"console_only,omitempty"` // those of them with a password; missing if unknown
	RootKeys    *bool         `json:"root_keys,omitempty"`    // missing if unknown
	ReportAt    time.Time     `json:"report_at,omitzero"`     // when IAM generated the credential report; missing if none was used
	Error       string        `json:"error,omitempty"`
	Hint        string        `json:"hint,omitempty"`
	Remedies    []rota.Remedy `json:"remedies,omitempty"`
	Problems    []string      `json:"problems,omitempty"` // what couldn't be determined
}

type discoveredKey struct {
	Account    string    `json:"account"`
	Connection string    `json:"connection"`
	User       string    `json:"user"`
	KeyID      string    `json:"key_id"`
	Active     bool      `json:"active"`
	Created    time.Time `json:"created"`
	AgeDays    int       `json:"age_days"`
	UseKnown   bool      `json:"use_known"`
	LastUsed   time.Time `json:"last_used,omitzero"` // missing if never used
	Service    string    `json:"service,omitempty"`  // of the last use
	Region     string    `json:"region,omitempty"`
	HeldBy     []heldBy  `json:"held_by,omitempty"`
	Managed    string    `json:"managed,omitempty"` // the secret of rota.yaml that rotates the user's keys
	Overdue    bool      `json:"overdue"`
}

type heldBy struct {
	Secret      string `json:"secret"`
	Region      string `json:"region"`
	Connection  string `json:"connection"`
	IDField     string `json:"id_field,omitempty"`
	SecretField string `json:"secret_field,omitempty"`
}
