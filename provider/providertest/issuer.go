package providertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// IssuerFixture is an issuer for a fresh user or role that has no credentials
// the fixture knows about.
type IssuerFixture struct {
	Issuer rota.Issuer
	// Current is the credential in use, for an issuer that makes new ones from it.
	Current rota.Credential
	Polling
	// Inject makes the issuer's system fail; nil if it can't.
	Inject Inject
	// PublicFields are the fields of a credential that errors can show, in
	// addition to the credential's id.
	PublicFields []string
	// Wrong returns a credential with the same id that was never issued.
	// Defaults to changing the last character of every field that isn't public.
	Wrong func(rota.Credential) rota.Credential
	// Rejected returns a credential that the issuer's rules reject at Set; nil
	// if it has no rules.
	Rejected func(rota.Credential) rota.Credential
	// UnknownID is an id that the issuer never issued; "" skips those cases.
	UnknownID string
	// Use makes a consumer use the credential so that LastUsed will show it
	// soon, and keeps it in use until the test ends; nil if it can't.
	Use func(t *testing.T, c rota.Credential)
	// First makes a credential outside Rota, for an issuer that only replaces one
	// ([rota.Traits].Replaces).
	First func() rota.Credential
	// Expire waits until the credentials made so far have expired on their own;
	// nil if they never do, or if time can't be advanced.
	Expire func(t *testing.T)
	// Pass lets time pass, for credentials that end unless they're renewed
	// ([rota.Traits].Renewable); nil if time can't be advanced. RenewFor is how long
	// one lasts after it was made or renewed, a third of its Lifetime at most.
	Pass     func(t *testing.T, d time.Duration)
	RenewFor time.Duration
}

// issuer is one case's issuer, with the credentials made in the case.
type issuer struct {
	IssuerFixture
	mu   sync.Mutex
	made []rota.Credential
}

// Issuer runs the suite for [rota.Issuer] and for those optional interfaces
// that the fixture's issuer has. fixture is called once per case, and once
// before all of them to find out which cases apply.
func Issuer(t *testing.T, fixture func(t *testing.T) IssuerFixture) {
	RunIssuer(std{t}, func(t T) IssuerFixture { return fixture(goTest(t)) })
}

// RunIssuer is [Issuer] for programs that run the suite outside of go test. Their
// fixtures have no Use, Expire or Pass, which take go test's own.
func RunIssuer(t T, fixture func(t T) IssuerFixture) {
	suite(t, func(t T) *issuer { return &issuer{IssuerFixture: fixture(t)} }, []conformance[*issuer]{
		{"traits are complete and never change", testTraits, nil},
		{"a credential has an id", testCredentialID, nil},
		{"a credential that was created and set logs in", testCreateSetTest, nil},
		{"setting twice has the same effect as once", testSetTwice, nil},
		{"create has no effect outside if Rota chooses the value", testCreateTouchesNothing, (*issuer).rotaChooses},
		{"a wrong credential is refused", testWrongRefused, nil},
		{"the credential reported as in force is the one that logs in", testInForce, (*issuer).teller},
		{"the previous credential stays valid with overlap, and stops working without", testOverlap, nil},
		{"create refuses to exceed the limit", testLimit, (*issuer).limited},
		{"a value that the rules reject has to be regenerated", testRejected, (*issuer).rejects},
		{"a credential goes through its whole life", testLife, (*issuer).retires},
		{"a credential that expires says when, and only revoking it ends it earlier", testLifetime, (*issuer).ends},
		{"an expired credential is refused", testExpiry, func(i *issuer) bool { return i.Expire != nil }},
		{"a credential is renewed, and not beyond what was asked for", testRenew, (*issuer).renewer},
		{"a credential that ended or was revoked can't be renewed", testRenewEnded, (*issuer).renewer},
		{"a credential ends unless it's renewed", testRenewInTime, func(i *issuer) bool { return i.renewer() && i.Pass != nil }},
		{"an active credential isn't deleted", testDeleteActive, (*issuer).deactivator},
		{"an unknown credential isn't found", testUnknown, (*issuer).unknown},
		{"the list shows what exists", testList, (*issuer).lister},
		{"reported use is real", testUse, (*issuer).reporter},
		{"methods can run concurrently", testIssuerConcurrency, nil},
		{"calls return when their context ends", testIssuerContext, nil},
		{"preflight finds no problems and changes nothing", testIssuerPreflight, (*issuer).preflight},
		{"faults: a call that fails before it takes effect can be repeated", testIssuerFailBefore, func(i *issuer) bool { return i.canFail(FailBefore) }},
		{"faults: a lost response is detected", testIssuerLostReply, func(i *issuer) bool { return i.canFail(LoseReply) }},
		{"faults: a call that's sent twice does no harm", testIssuerRepeat, func(i *issuer) bool { return i.canFail(Repeat) }},
	})
}

func (i *issuer) rotaChooses() bool { return !i.Issuer.Traits().IssuerChooses }
func (i *issuer) limited() bool     { return i.Issuer.Traits().Limit >= 2 }
func (i *issuer) rejects() bool     { return i.Rejected != nil }
func (i *issuer) retires() bool     { return i.Issuer.Traits().Overlap() && !i.ends() }
func (i *issuer) ends() bool        { return i.Issuer.Traits().Lifetime > 0 }
func (i *issuer) renewer() bool     { return i.Issuer.Traits().Renewable }
func (i *issuer) deactivator() bool { return is[rota.Deactivator](i.Issuer) }
func (i *issuer) unknown() bool     { return i.UnknownID != "" }
func (i *issuer) teller() bool      { return is[rota.Teller](i.Issuer) }
func (i *issuer) lister() bool      { return is[rota.Lister](i.Issuer) }
func (i *issuer) reporter() bool    { return is[rota.UseReporter](i.Issuer) }
func (i *issuer) preflight() bool   { return is[rota.Preflighter](i.Issuer) }

// canFail reports whether the calls after create can fail in this way.
func (i *issuer) canFail(kind FaultKind) bool {
	return i.Inject.can(kind, "set", "renew", "deactivate", "reactivate", "delete")
}

// seen checks that an error contains no value of any of the case's credentials.
func (i *issuer) seen(t T, err error, also ...rota.Credential) error {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, c := range slices.Concat(i.made, also) {
		safe(t, err, i.public(c), c)
	}
	return err
}

// public returns a credential's public fields.
func (i *issuer) public(c rota.Credential) []string {
	public := slices.Clone(i.PublicFields)
	for name, value := range c.Fields() {
		if value == i.Issuer.CredentialID(c) {
			public = append(public, name)
		}
	}
	return public
}

func (i *issuer) taken() []string {
	var ids []string
	for _, c := range i.made {
		ids = append(ids, i.Issuer.CredentialID(c))
	}
	return ids
}

// inUse is the credential in use when another is made, set or retired: the last one
// with another value and, for one that's retired, with another id.
func (i *issuer) inUse(c rota.Credential, retired string) rota.Credential {
	if !i.Issuer.Traits().FromCurrent {
		return rota.Credential{}
	}
	for _, made := range slices.Backward(i.made) {
		if !made.Equal(c) && (retired == "" || i.Issuer.CredentialID(made) != retired) {
			return made
		}
	}
	return i.Current
}

// createRequest is for a credential that replaces the last one, if the traits say so.
func (i *issuer) createRequest() rota.CreateRequest {
	r := rota.CreateRequest{Taken: i.taken(), Current: i.inUse(rota.Credential{}, "")}
	switch n := len(i.made); {
	case !i.Issuer.Traits().Replaces:
	case n > 0:
		r.Replaces = i.Issuer.CredentialID(i.made[n-1])
	default:
		r.Replaces = i.Issuer.CredentialID(i.First())
	}
	return r
}

func (i *issuer) setRequest(c rota.Credential) rota.SetRequest {
	return rota.SetRequest{Credential: c, Current: i.inUse(c, "")}
}

func (i *issuer) retireRequest(id string) rota.RetireRequest {
	return rota.RetireRequest{CredentialID: id, Current: i.inUse(rota.Credential{}, id)}
}

// create makes a credential that isn't set yet.
func (i *issuer) create(t T) rota.Credential {
	t.Helper()
	c, err := i.Issuer.Create(t.Context(), i.createRequest())
	if i.seen(t, err) != nil {
		t.Fatalf("create: %v", err)
	}
	i.made = append(i.made, c)
	return c
}

// valid makes a credential that logs in.
func (i *issuer) valid(t T) rota.Credential {
	t.Helper()
	c := i.create(t)
	i.set(t, c)
	i.works(t, c)
	return c
}

func (i *issuer) set(t T, c rota.Credential) {
	t.Helper()
	if err := i.seen(t, i.Issuer.Set(t.Context(), i.setRequest(c)), c); err != nil {
		t.Fatalf("set: %v", err)
	}
}

func (i *issuer) test(t T, c rota.Credential) error {
	t.Helper()
	return i.seen(t, i.Issuer.Test(t.Context(), rota.TestRequest{Credential: c}), c)
}

// works waits until the credential logs in as many times in a row as the traits
// require.
func (i *issuer) works(t T, c rota.Credential) {
	t.Helper()
	wanted := i.Issuer.Traits().TestSuccesses
	if wanted == 0 {
		wanted = 3
	}
	i.until(t, "logging in with "+i.Issuer.CredentialID(c), func() error {
		for range wanted {
			if err := i.test(t, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// refused waits until the credential is refused with the right error.
func (i *issuer) refused(t T, c rota.Credential) {
	t.Helper()
	i.until(t, "being refused with "+i.Issuer.CredentialID(c), func() error {
		err := i.test(t, c)
		if err == nil {
			return errors.New("it logs in")
		}
		if !errors.Is(err, rota.ErrRefused) {
			return fmt.Errorf("want %q, got: %w", rota.ErrRefused, err)
		}
		return nil
	})
}

// listed waits until the list shows the credential in the wanted state; "gone"
// means that it isn't listed.
func (i *issuer) listed(t T, id, wanted string) {
	t.Helper()
	lister, ok := i.Issuer.(rota.Lister)
	if !ok {
		return
	}
	i.until(t, "listing "+id+" as "+wanted, func() error {
		list, err := lister.List(t.Context())
		if i.seen(t, err) != nil {
			return err
		}
		found := "gone"
		for _, x := range list {
			switch {
			case x.ID != id:
			case found != "gone":
				t.Fatalf("the list has %s twice", id)
			case x.Active:
				found = "active"
			default:
				found = "inactive"
			}
		}
		if found != wanted {
			return fmt.Errorf("it is %s", found)
		}
		return nil
	})
}

func (i *issuer) wrong(c rota.Credential) rota.Credential {
	if i.Wrong != nil {
		return i.Wrong(c)
	}
	fields := c.Fields()
	for name, value := range fields {
		if value == "" || slices.Contains(i.public(c), name) {
			continue
		}
		fields[name] = misspelled(value)
	}
	return rota.NewCredential(fields)
}

// misspelled changes the last two characters: the very last one of a signature in base64
// may hold bits that nobody reads.
func misspelled(value string) string {
	wrong := []byte(value)
	for i := max(0, len(wrong)-2); i < len(wrong); i++ {
		if wrong[i] == 'x' {
			wrong[i] = 'y'
		} else {
			wrong[i] = 'x'
		}
	}
	return string(wrong)
}

func (i *issuer) delete(ctx context.Context, id string) error {
	return i.Issuer.Delete(ctx, i.retireRequest(id))
}
