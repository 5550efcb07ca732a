package parcel_test

import (
	"net/http"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/httpapi"
	"github.com/rota-dev/rota/provider/providertest"

	"example.com/rota-parcel/parcel"
	"example.com/rota-parcel/parcel/parceltest"
)

// start gives a Parcel and a connection to it.
func start(t *testing.T) (*parceltest.Server, *httpapi.Connection) {
	t.Helper()
	server := parceltest.New()
	t.Cleanup(server.Close)
	connection, err := parcel.Connect("test", server.URL, parceltest.AdminToken)
	if err != nil {
		t.Fatal(err)
	}
	return server, connection
}

func TestTheIssuerConforms(t *testing.T) {
	providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
		server, connection := start(t)
		issuer := &parcel.Tokens{Connection: connection, Account: "shop"}
		return providertest.IssuerFixture{
			Issuer: issuer,
			Inject: server.Inject(map[string]string{
				"create": http.MethodPost, "test": http.MethodGet, "list": http.MethodGet,
				"deactivate": http.MethodPatch, "reactivate": http.MethodPatch, "delete": http.MethodDelete,
			}),
			UnknownID: "tok-unknown",
			Use: func(t *testing.T, c rota.Credential) {
				if err := issuer.Test(t.Context(), rota.TestRequest{Credential: c}); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

func TestTheTargetConforms(t *testing.T) {
	providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
		server, connection := start(t)
		value, err := rota.ParseFieldMap(map[string]string{"api_token": parcel.FieldToken}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return providertest.TargetFixture{
			Target: &parcel.Setting{Target: "settings", Connection: connection, Account: "shop", Setting: "api_token", Value: value},
			Inject: server.Inject(map[string]string{"deliver": http.MethodPut}),
			Credential: func(n int) rota.Credential {
				return rota.NewCredential(map[string]string{parcel.FieldToken: "token-number-" + string(rune('a'+n))})
			},
			Read: func() (rota.Credential, bool, error) {
				value, ok := server.Setting("shop", "api_token")
				return rota.NewCredential(map[string]string{parcel.FieldToken: value}), ok, nil
			},
			Writes: server.Writes,
		}
	})
}

func TestTheReloaderConforms(t *testing.T) {
	providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
		server, connection := start(t)
		return providertest.ReloaderFixture{
			Reloader: &parcel.App{Reloader: "storefront", Connection: connection, App: "storefront"},
			Inject:   server.Inject(map[string]string{"reload": http.MethodPost}),
			Running:  func() (string, error) { return server.Running("storefront"), nil },
			Sicken:   server.Crash,
		}
	})
}
