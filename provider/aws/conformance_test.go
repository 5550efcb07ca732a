package aws

import (
	"context"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws/awstest"
	"github.com/rota-dev/rota/provider/providertest"
)

// injector makes awstest fail in the ways that the conformance suites ask for.
func injector(e *env, actions map[string]string) providertest.Inject {
	return func(op string, kind providertest.FaultKind) bool {
		action, ok := actions[op]
		if !ok {
			return false
		}
		switch kind {
		case providertest.FailBefore: // until the SDK gives up
			e.onNext(action, attempts, awstest.Fault{FailBefore: "ServiceUnavailable"})
			if action == "CreateAccessKey" { // which is sent once
				e.onNext(action, 1, awstest.Fault{FailBefore: "ServiceUnavailable"})
			}
		case providertest.LoseReply:
			e.onNext(action, 1, awstest.Fault{DropReply: true})
		case providertest.Repeat:
			e.onNext(action, 1, awstest.Fault{Repeat: true})
		case providertest.Hang:
			if op == "delete" {
				action = "ListAccessKeys" // its first call
			}
			e.onNext(action, 1, awstest.Fault{Delay: 1e18})
		default:
			return false
		}
		return true
	}
}

func TestIssuerConformance(t *testing.T) {
	t.Run("awstest", func(t *testing.T) {
		providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
			e := startAWSTest(t, awstest.Options{})
			k := e.issuer(t)
			warm(t, e)
			return providertest.IssuerFixture{
				Issuer:    k,
				UnknownID: "AKIA0000000000000000",
				Inject: injector(e, map[string]string{
					"create": "CreateAccessKey", "test": "GetCallerIdentity", "delete": "DeleteAccessKey", "list": "ListAccessKeys",
					"deactivate": "UpdateAccessKey", "reactivate": "UpdateAccessKey",
				}),
				Use: func(t *testing.T, c rota.Credential) {
					if err := k.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
						t.Error(err)
					}
				},
			}
		})
	})
	t.Run("moto", func(t *testing.T) {
		e := startMoto(t)
		warm(t, e)
		providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
			return providertest.IssuerFixture{Issuer: motoIssuer{accessKeys: e.issuer(t), admin: e.admin}, UnknownID: "AKIA0000000000000000"}
		})
	})
}

// warm lets the connection find out who it is, so that a fault on
// GetCallerIdentity hits the login that is tested.
func warm(t *testing.T, e *env) {
	t.Helper()
	if _, err := e.identity(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// motoIssuer makes up for moto's one difference that no case can live with: a
// key that is inactive still logs in there.
type motoIssuer struct {
	*accessKeys
	admin *iam.Client
}

func (m motoIssuer) Test(ctx context.Context, r rota.TestRequest) error {
	if err := m.accessKeys.Test(ctx, r); err != nil {
		return err
	}
	list, err := m.List(ctx)
	if err != nil {
		return err
	}
	for _, key := range list {
		if key.ID == m.CredentialID(r.Credential) && !key.Active {
			return rota.ErrRefused
		}
	}
	return nil
}

func TestStoreConformance(t *testing.T) {
	t.Run("awstest", func(t *testing.T) {
		providertest.Store(t, func(t *testing.T) providertest.StoreFixture {
			e := startAWSTest(t, awstest.Options{})
			s := e.store(rota.FieldMap{})
			return providertest.StoreFixture{
				Store:  s,
				Reopen: func(*testing.T) rota.Store { return e.SecretsManager(s.cfg) },
				Inject: injector(e, map[string]string{
					"describe": "DescribeSecret", "get": "GetSecretValue", "put": "PutSecretValue", "move": "UpdateSecretVersionStage",
				}),
			}
		})
	})
	t.Run("moto", func(t *testing.T) {
		e := startMoto(t)
		providertest.Store(t, func(t *testing.T) providertest.StoreFixture {
			return providertest.StoreFixture{Store: &motoStore{secretStore: e.store(rota.FieldMap{})}}
		})
	})
}

// motoStore makes up for three of moto's differences: of two writers of the same
// version the second wins, a label that is moved to a version that does not
// exist is lost, and AWSPENDING stays on the version that AWSCURRENT leaves.
type motoStore struct {
	*secretStore
	one sync.Mutex
}

func (m *motoStore) Put(ctx context.Context, r rota.PutRequest) error {
	m.one.Lock()
	defer m.one.Unlock()
	return m.secretStore.Put(ctx, r)
}

func (m *motoStore) Move(ctx context.Context, r rota.MoveRequest) error {
	if r.To != "" {
		if _, err := m.Get(ctx, rota.GetRequest{Version: r.To}); err != nil {
			return err
		}
	}
	before, err := m.Describe(ctx)
	if err != nil {
		return err
	}
	err = m.secretStore.Move(ctx, r)
	current, _ := rota.Find(before.Versions, rota.LabelCurrent)
	if pending, _ := rota.Find(before.Versions, rota.LabelPending); err == nil && r.Label == rota.LabelCurrent && r.From != "" && current.ID == r.From && r.From != r.To && pending.ID == r.From {
		err = m.secretStore.Move(ctx, rota.MoveRequest{Label: rota.LabelPending, From: r.From})
	}
	return err
}
