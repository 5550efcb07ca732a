package crash

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/function"
	"github.com/rota-dev/rota/provider/function/functiontest"
	"github.com/rota-dev/rota/rotation"
)

func TestRotationFunctionsThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "Rotation functions", 16,
		life{name: "a function that changes one user's password", build: inOwnStore(functions()), kinds: fewKinds, steps: lifeOfPassword},
		life{name: "a function with two users", build: inOwnStore(functions("app_a", "app_b")), kinds: fewKinds, steps: append([]step{{name: "day 0", ask: rotateNow, done: isIssued}}, lifeOfUnseen[1:]...)},
	)
}

// first is an issuer whose first credential is made from one that a person could have
// handed in: adopting isn't what's tested here. It notes what was made for Rota to keep.
type first struct {
	rota.Issuer
	given rota.Credential
	made  *madeList
	scene *scene
}

type madeList struct {
	mu  sync.Mutex
	all []rota.Credential
}

func (m *madeList) add(c rota.Credential) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, c)
}

// valid are the ids of those that log in. A user whose password nobody keeps has none.
func (m *madeList) valid(server *functiontest.Function) map[string]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	exist := map[string]bool{}
	for _, c := range m.all {
		if server.LogsIn(c.Field("username"), c.Field("password")) {
			exist[c.Field("username")] = true
		}
	}
	return exist
}

func (f first) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	if r.Current.IsZero() {
		r.Current = f.given
	}
	c, err := f.Issuer.Create(ctx, r)
	if err == nil {
		f.made.add(c)
	}
	return c, err
}

func (f first) Set(ctx context.Context, r rota.SetRequest) error {
	if r.Current.IsZero() {
		r.Current = f.given
	}
	if !f.Traits().Overlap() {
		f.scene.consumers.mayGap()
	}
	return f.Issuer.Set(ctx, r)
}

// functions are a function's credentials.
func functions(users ...string) func(testing.TB, *scene) fixture {
	return func(t testing.TB, s *scene) fixture {
		listen := testenv.Address(t)
		server := functiontest.New(t, "http://"+listen, "ROTAFUNCTION00000000", "function-key", users...)
		front := s.w.before(server.Config.Handler, "function", functionOp)
		given := rota.NewCredential(map[string]string{"username": "app_b", "password": "given-password"})
		server.SetPassword("app_b", "given-password")
		made := &madeList{}
		connect := func() (rota.Issuer, error) {
			c, err := function.New("rotate", function.Config{URL: front.URL, Listen: listen, AccessKeyID: "ROTAFUNCTION00000000", SecretAccessKey: "function-key"})
			if err != nil {
				return nil, err
			}
			return first{c.Credentials(function.CredentialConfig{Name: "app", Users: users}), given, made, s}, nil
		}
		issuer, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		return fixture{
			connect: func(_ *process, secret *rotation.Secret) (err error) {
				secret.Issuer, err = connect()
				return err
			},
			traits: issuer.Traits(), id: issuer.CredentialID,
			works: func(c rota.Credential) (bool, error) {
				return server.LogsIn(c.Field("username"), c.Field("password")), nil
			},
			exists: func() (map[string]bool, error) { return made.valid(server), nil },
			close:  front.Close,
		}
	}
}

// functionOp is the step that a function is called for.
func functionOp(r *http.Request) string {
	var e functiontest.Event
	_ = json.NewDecoder(r.Body).Decode(&e)
	return e.Step
}
